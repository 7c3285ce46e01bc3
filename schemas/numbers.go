package schemas

import (
	"math"
	"math/bits"

	"anabranch/event"
)

// numberError says why a text is not the number that was asked for; 0 is that
// it is.
type numberError uint8

const (
	notNumber numberError = iota + 1
	tooLarge
	tooFine // digits behind the point that would be lost
)

func isDigit(c byte) bool { return c-'0' < 10 }

// isDigits reports whether b is a whole number, perhaps negative.
func isDigits(b []byte) bool {
	if len(b) > 0 && b[0] == '-' {
		b = b[1:]
	}
	for _, c := range b {
		if !isDigit(c) {
			return false
		}
	}
	return len(b) > 0
}

// parseInt reads a whole number without a plus, spaces or an exponent.
func parseInt(b []byte) (int64, numberError) {
	minus := len(b) > 0 && b[0] == '-'
	if minus {
		b = b[1:]
	}
	if len(b) == 0 {
		return 0, notNumber
	}
	v, over := uint64(0), false
	for _, c := range b {
		if !isDigit(c) {
			return 0, notNumber
		}
		hi, lo := bits.Mul64(v, 10)
		v = lo + uint64(c-'0')
		over = over || hi != 0 || v < lo
	}
	switch {
	case over:
		return 0, tooLarge
	case minus && v <= 1<<63:
		return -int64(v), 0
	case v > math.MaxInt64:
		return 0, tooLarge
	}
	return int64(v), 0
}

// parseNarrow is parseDecimal for what most decimals are: a sign, up to 17
// digits, a point, and no more digits behind it than scale. False: it is not,
// and parseDecimal has the say.
func parseNarrow(b []byte, scale int) (v int64, ok bool) {
	const most = 19 // bytes: 17 digits, a sign and a point
	negative := len(b) > 0 && b[0] == '-'
	if negative {
		b = b[1:]
	}
	point := -1
	for i, c := range b {
		switch {
		case isDigit(c):
			v = 10*v + int64(c-'0')
		case c == '.' && point < 0 && i > 0:
			point = i
		default:
			return 0, false
		}
		if i == most {
			return 0, false
		}
	}
	behind := 0
	if point >= 0 {
		behind = len(b) - point - 1
	}
	if len(b) == 0 || len(b) > most-1 || behind > scale || point >= 0 && behind == 0 || len(b)+scale-behind > most-1 {
		return 0, false
	}
	for ; behind < scale; behind++ {
		v *= 10
	}
	if negative {
		v = -v
	}
	return v, true
}

// parseDecimal reads a decimal, perhaps with an exponent, as an unscaled
// number of scale digits behind the point. Nothing is rounded.
func parseDecimal(b []byte, scale int) (event.Int128, numberError) {
	minus := len(b) > 0 && (b[0] == '-' || b[0] == '+')
	negative := minus && b[0] == '-'
	if minus {
		b = b[1:]
	}
	// Zeros wait until a digit behind them shows that they count: "2.5000" is
	// as good as "2.5".
	var v event.Int128
	digits, zeros, behind, point, large := 0, 0, 0, false, false
	i := 0
	for ; i < len(b); i++ {
		c := b[i]
		if c == '.' && !point {
			point = true
			continue
		}
		if !isDigit(c) {
			break
		}
		digits++
		if point {
			behind++
		}
		if c == '0' {
			zeros++
			continue
		}
		if v != (event.Int128{}) {
			v, large = scaleUp(v, zeros+1, large)
		}
		zeros = 0
		sum, ok := v.Add(event.Int128Of(int64(c - '0')))
		v, large = sum, large || !ok
	}
	exponent := 0
	if digits > 0 && i < len(b) && b[i]|0x20 == 'e' {
		var ok bool
		if exponent, ok = parseExponent(b[i+1:]); !ok {
			return v, notNumber
		}
		i = len(b)
	}
	if digits == 0 || i < len(b) || b[0] == '.' || behind == 0 && point {
		return v, notNumber
	}
	if v == (event.Int128{}) {
		return v, 0
	}
	shift := scale - behind + zeros + exponent
	switch {
	case shift < 0:
		return v, tooFine
	case large:
		return v, tooLarge
	}
	if v, large = scaleUp(v, shift, false); large {
		return v, tooLarge
	}
	if negative {
		v, _ = v.Neg()
	}
	return v, 0
}

// parseExponent reads what follows the e of a number; beyond a million either
// way it is a million.
func parseExponent(b []byte) (int, bool) {
	const far = 1000000
	if len(b) > 1 && b[0] == '+' && isDigit(b[1]) {
		b = b[1:]
	}
	e, what := parseInt(b)
	switch {
	case what == notNumber:
		return 0, false
	case what == tooLarge && b[0] == '-':
		return -far, true
	case what == tooLarge:
		return far, true
	}
	return int(min(max(e, -far), far)), true
}

// scaleUp returns v, which is positive, times 10^n, and whether it or what
// came before was too large.
func scaleUp(v event.Int128, n int, large bool) (event.Int128, bool) {
	if large || n >= len(powers) {
		return v, true
	}
	p := powers[n]
	if v.Hi == 0 && p.Hi == 0 {
		hi, lo := bits.Mul64(v.Lo, p.Lo)
		return event.Int128{Hi: int64(hi), Lo: lo}, hi > math.MaxInt64
	}
	if v.Hi != 0 && p.Hi != 0 {
		return v, true
	}
	// One of them is narrow: (hi*2^64 + lo) * narrow.
	wide, narrow := v, p.Lo
	if p.Hi != 0 {
		wide, narrow = p, v.Lo
	}
	over, top := bits.Mul64(uint64(wide.Hi), narrow)
	carry, lo := bits.Mul64(wide.Lo, narrow)
	hi, c := bits.Add64(top, carry, 0)
	return event.Int128{Hi: int64(hi), Lo: lo}, over != 0 || c != 0 || hi > math.MaxInt64
}
