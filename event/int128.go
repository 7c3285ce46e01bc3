package event

import (
	"math"
	"math/big"
	"math/bits"
)

// Int128 is a signed 128-bit integer in two's complement.
type Int128 struct {
	Hi int64
	Lo uint64
}

// Int128Of widens v.
func Int128Of(v int64) Int128 { return Int128{v >> 63, uint64(v)} }

// Add returns a+b and whether it fits.
func (a Int128) Add(b Int128) (Int128, bool) {
	lo, carry := bits.Add64(a.Lo, b.Lo, 0)
	hi, _ := bits.Add64(uint64(a.Hi), uint64(b.Hi), carry)
	s := Int128{int64(hi), lo}
	return s, (a.Hi >= 0) != (b.Hi >= 0) || (s.Hi >= 0) == (a.Hi >= 0)
}

// Neg returns -a and whether it fits; only the smallest value does not.
func (a Int128) Neg() (Int128, bool) {
	lo, borrow := bits.Sub64(0, a.Lo, 0)
	hi, _ := bits.Sub64(0, uint64(a.Hi), borrow)
	n := Int128{int64(hi), lo}
	return n, !(a.Hi == math.MinInt64 && a.Lo == 0)
}

// MulInt64 returns the product of two 64-bit values, which always fits.
func MulInt64(a, b int64) Int128 {
	hi, lo := bits.Mul64(uint64(a), uint64(b))
	if a < 0 {
		hi -= uint64(b)
	}
	if b < 0 {
		hi -= uint64(a)
	}
	return Int128{int64(hi), lo}
}

// Compare returns -1, 0 or 1 as a is less than, equal to or greater than b.
func (a Int128) Compare(b Int128) int {
	switch {
	case a.Hi < b.Hi || a.Hi == b.Hi && a.Lo < b.Lo:
		return -1
	case a == b:
		return 0
	}
	return 1
}

// IsInt64 reports whether a fits an int64.
func (a Int128) IsInt64() bool { return a.Hi == int64(a.Lo)>>63 }

// Int64 returns the low 64 bits; meaningful when IsInt64.
func (a Int128) Int64() int64 { return int64(a.Lo) }

// Float64 returns the nearest float64.
func (a Int128) Float64() float64 {
	if a.IsInt64() {
		return float64(a.Int64())
	}
	f, _ := new(big.Float).SetInt(a.Big()).Float64()
	return f
}

// Big returns a as a big integer.
func (a Int128) Big() *big.Int {
	b := new(big.Int).Lsh(big.NewInt(a.Hi), 64)
	return b.Add(b, new(big.Int).SetUint64(a.Lo))
}

// Int128FromBig narrows b and reports whether it fits.
func Int128FromBig(b *big.Int) (Int128, bool) {
	lo := new(big.Int).And(b, new(big.Int).SetUint64(math.MaxUint64)).Uint64()
	hi := new(big.Int).Rsh(b, 64)
	if !hi.IsInt64() {
		return Int128{}, false
	}
	return Int128{hi.Int64(), lo}, true
}

// String renders a in decimal.
func (a Int128) String() string { return a.Big().String() }

// FormatDecimal renders an unscaled value with scale digits behind the point.
func (a Int128) FormatDecimal(scale int) string {
	s := a.Big().String()
	if scale == 0 {
		return s
	}
	sign := ""
	if s[0] == '-' {
		sign, s = "-", s[1:]
	}
	for len(s) <= scale {
		s = "0" + s
	}
	return sign + s[:len(s)-scale] + "." + s[len(s)-scale:]
}
