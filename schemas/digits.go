package schemas

import "math/bits"

// Eight digits of a text are read as one word, the first of them in its lowest
// byte. No step depends on what they are, so that the processor never guesses.

const zeros = lows * '0'

// notDigits is 0 where all bytes of w, from which '0' has been taken, are
// digits. A byte below '0' has wrapped around, and what it borrowed from the
// byte above does not matter any more.
func notDigits(w uint64) uint64 { return (w | (w + lows*(0x80-10))) & highs }

func areDigits(w uint64) bool { return notDigits(w) == 0 }

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
	if dot := zeroBytes(w ^ lows*'.'); dot != 0 {
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

// longest is how many digits a number has at most that longNumber reads: those of
// any are below 2^64.
const longest = 19

// longNumber is shortNumber for n bytes at from, which have up to longest digits.
func longNumber(b *blockText, from, n int) (v uint64, behind int, ok bool) {
	if n <= 8 {
		return shortNumber(b.word(from), n)
	}
	whole := n
	for i := 0; i < n && i <= longest; i += 8 {
		if dot := zeroBytes(b.word(from+i) ^ lows*'.'); dot != 0 {
			whole = min(i+bits.TrailingZeros64(dot)/8, n)
			break
		}
	}
	if n-whole > 0 {
		behind = n - whole - 1
	}
	if whole == 0 || whole+behind > longest || n == whole+1 || whole > 1 && b[from] == '0' {
		return 0, 0, false
	}
	v, odd := digitsAt(b, from, whole)
	if behind > 0 {
		fine, alsoOdd := digitsAt(b, from+whole+1, behind)
		v, odd = v*powersUnsigned[behind]+fine, odd|alsoOdd
	}
	return v, behind, odd == 0
}

// zeroBytes sets the high bit of the first byte of w that is zero, and perhaps of
// bytes above it.
func zeroBytes(w uint64) uint64 { return (w - lows) &^ w & highs }

// digitsAt returns the number that up to 24 digits are, below 2^64, and 0 unless one
// of them is none.
func digitsAt(b *blockText, from, n int) (v, odd uint64) {
	for ; n > 8; n -= 8 {
		w := b.word(from) - zeros
		v, odd = v*1e8+eightDigits(w), odd|notDigits(w)
		from += 8
	}
	empty := uint(64 - 8*n)
	w := b.word(from)<<empty - zeros<<empty
	return v*powersUnsigned[n] + eightDigits(w), odd | notDigits(w)
}

// powersUnsigned holds 10^0 to 10^19.
var powersUnsigned = func() (p [longest + 1]uint64) {
	p[0] = 1
	for i := range longest {
		p[i+1] = 10 * p[i]
	}
	return p
}()
