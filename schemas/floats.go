package schemas

import (
	"math"
	"math/bits"
)

// exactly is how large the whole numbers are at most all of which are floating-point
// numbers too.
const exactly = 1 << 53

// nearestFloat returns the floating-point number nearest to v / 10^behind, the even
// one of two; behind is at most longest.
//
// The quotient of two numbers without an error, which those below 2^53 and powers up
// to 10^22 are, is rounded once by the processor (W. D. Clinger, How to read floating
// point numbers accurately, 1990). Of others the first 63 or 64 bits of the quotient are
// computed, and whether something follows them, which is more than rounding to 53 asks
// for.
func nearestFloat(v uint64, behind int) float64 {
	if v <= exactly {
		return float64(v) / powersFloat[behind]
	}
	p := powersUnsigned[behind]
	up, down := bits.LeadingZeros64(v), bits.LeadingZeros64(p)
	v, p = v<<up, p<<down
	q, rest := bits.Div64(v>>1, v<<63, p) // v and p have their highest bit, so that 1/2 < v/p < 2
	if rest != 0 {
		q |= 1
	}
	return float64(q) * math.Float64frombits(uint64(1023+down-up-63)<<52) // a power of two, which rounds nothing
}

// powersFloat holds 10^0 to 10^19.
var powersFloat = func() (p [longest + 1]float64) {
	for i := range p {
		p[i] = float64(powersUnsigned[i])
	}
	return p
}()
