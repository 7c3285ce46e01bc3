package schemas

import "math/bits"

// Eight digits of a text are read as one word, the first of them in its lowest
// byte. No step depends on what they are, so that the processor never guesses.

const zeros = lows * '0'

// areDigits reports whether all bytes of w, from which '0' has been taken, are
// digits. A byte below '0' has wrapped around, and what it borrowed from the
// byte above does not matter any more.
func areDigits(w uint64) bool { return (w|(w+lows*(0x80-10)))&highs == 0 }

// eightDigits returns the number that eight digits are, from which '0' has been
// taken: pairs, then fours, then all.
func eightDigits(w uint64) uint64 {
	w = (w*10 + w>>8) & 0x00ff00ff00ff00ff
	w = (w*100 + w>>16) & 0x0000ffff0000ffff
	return (w*10000 + w>>32) & 0xffffffff
}

// shortNumber reads the first n bytes of w, at most eight, as a JSON number
// without sign and exponent: its digits, and how many of them are behind the
// point. It takes leading zeros no more than JSON does.
func shortNumber(w uint64, n int) (v uint64, behind int, ok bool) {
	if uint(n-1) > 7 {
		return 0, 0, false
	}
	w &= firstBytes(n)
	digits, whole := n, n
	if dot := ((w ^ lows*'.') - lows) &^ (w ^ lows*'.') & highs; dot != 0 {
		whole = bits.TrailingZeros64(dot) / 8
		below := firstBytes(whole)
		w = w&below | w>>8&^below
		digits = n - 1
		behind = digits - whole
		if behind == 0 {
			return 0, 0, false
		}
	}
	if whole == 0 || whole > 1 && byte(w) == '0' {
		return 0, 0, false
	}
	empty := uint(64 - 8*digits)
	w = w<<empty - zeros<<empty
	return eightDigits(w), behind, areDigits(w)
}
