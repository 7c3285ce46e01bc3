package view

import (
	"math"
	"math/big"
	"math/bits"

	"anabranch/event"
)

// 128-bit arithmetic as DuckDB does it, for HUGEINT and long decimals.

// powers are 10^0 to 10^38.
var powers = func() (p [39]event.Int128) {
	p[0] = event.Int128Of(1)
	for i := 1; i < len(p); i++ {
		p[i], _ = mul128(p[i-1], event.Int128Of(10))
	}
	return p
}()

var floatPowers = func() (p [39]float64) {
	for i := range p {
		p[i], _ = new(big.Float).SetInt(powers[i].Big()).Float64()
	}
	return p
}()

func sub128(a, b event.Int128) (event.Int128, bool) {
	lo, borrow := bits.Sub64(a.Lo, b.Lo, 0)
	hi, _ := bits.Sub64(uint64(a.Hi), uint64(b.Hi), borrow)
	s := event.Int128{Hi: int64(hi), Lo: lo}
	return s, (a.Hi >= 0) == (b.Hi >= 0) || (s.Hi >= 0) == (a.Hi >= 0)
}

func mul128(a, b event.Int128) (event.Int128, bool) {
	if a.IsInt64() && b.IsInt64() {
		return event.MulInt64(a.Int64(), b.Int64()), true
	}
	return event.Int128FromBig(new(big.Int).Mul(a.Big(), b.Big()))
}

// quo128 divides towards zero; b is not 0.
func quo128(a, b event.Int128) (event.Int128, bool) {
	if a.IsInt64() && b.IsInt64() && a.Int64() != math.MinInt64 {
		return event.Int128Of(a.Int64() / b.Int64()), true
	}
	return event.Int128FromBig(new(big.Int).Quo(a.Big(), b.Big()))
}

// rem128 is the rest of quo128.
func rem128(a, b event.Int128) event.Int128 {
	if a.IsInt64() && b.IsInt64() && b.Int64() != -1 {
		return event.Int128Of(a.Int64() % b.Int64())
	}
	r, _ := event.Int128FromBig(new(big.Int).Rem(a.Big(), b.Big()))
	return r
}

// rescale divides v by 10^digits, rounding halves away from zero.
func rescale128(v event.Int128, digits int) event.Int128 {
	if digits == 0 {
		return v
	}
	p := powers[digits]
	q, _ := quo128(v, p)
	r := rem128(v, p)
	if r.Hi < 0 {
		r, _ = r.Neg()
	}
	half, _ := quo128(p, event.Int128Of(2))
	if r.Compare(half) >= 0 {
		if v.Hi < 0 {
			q, _ = q.Add(event.Int128Of(-1))
		} else {
			q, _ = q.Add(event.Int128Of(1))
		}
	}
	return q
}

// within reports whether |v| has at most width digits.
func within128(v event.Int128, width uint8) bool {
	p := powers[width]
	n, _ := p.Neg()
	return v.Compare(p) < 0 && v.Compare(n) > 0
}

// float128 converts as DuckDB does, which rounds the two halves apart.
func float128(v event.Int128) float64 {
	if v.Hi == -1 {
		return -float64(math.MaxUint64-v.Lo) - 1
	}
	return float64(v.Lo) + float64(v.Hi)*float64(math.MaxUint64)
}

// decimalFloat converts an unscaled value of a decimal as DuckDB does: in two
// parts when it is too long for a float64.
func decimalFloat(v event.Int128, scale uint8) float64 {
	exact := v.IsInt64() && v.Int64() <= 1<<53 && v.Int64() >= -1<<53
	if exact || scale == 0 {
		return float128(v) / floatPowers[scale]
	}
	q, _ := quo128(v, powers[scale])
	return float128(q) + float128(rem128(v, powers[scale]))/floatPowers[scale]
}

// floatWide rounds f to the nearest 128-bit integer, halves to even.
func floatWide(f float64) (event.Int128, bool) {
	f = math.RoundToEven(f)
	if math.Abs(f) < 1<<62 {
		return event.Int128Of(int64(f)), true
	}
	if !(math.Abs(f) < 0x1p127) { // nor is what is no number
		return event.Int128{}, false
	}
	i, _ := big.NewFloat(f).Int(nil)
	return event.Int128FromBig(i)
}
