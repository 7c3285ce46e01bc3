package view

import (
	"math"
	"math/rand/v2"
	"testing"
)

// sumOf adds xs in the order of perm, dealt to parts that are then merged.
func sumOf(r *rand.Rand, xs []float64, parts int) float64 {
	s := exactSums{cells: make([]exact, parts)}
	for _, i := range r.Perm(len(xs)) {
		s.add(uint32(r.IntN(parts)), xs[i])
	}
	for g := 1; g < parts; g++ {
		var d number
		s.number(&s.cells[g], &d)
		s.cells[0].seen |= s.cells[g].seen
		s.addNumber(0, &d)
	}
	return s.value(&s.cells[0])
}

func TestExactSumIsTheNearestDoubleInAnyOrder(t *testing.T) {
	t.Parallel()
	tiny, big := math.SmallestNonzeroFloat64, math.MaxFloat64
	cases := [][]float64{
		{}, {0}, {math.Copysign(0, -1)}, {1, -1}, {1e308, 1e308, -1e308}, {big, big}, {-big, -big}, {big, -big, tiny},
		{tiny, tiny, tiny}, {tiny, -tiny}, {-tiny, big}, {1, tiny, -1}, {1 << 53, 1}, {1 << 53, 1, tiny}, {1<<53 + 2, 1}, {1<<53 + 2, 1, -tiny},
		{0x1p-1022, -tiny}, {0.1, 0.2, 0.3, -0.6}, {big, math.Ldexp(1, 969)}, {big, math.Ldexp(1, 970)},
		{math.Inf(1), 1}, {math.Inf(-1), 1}, {math.Inf(1), math.Inf(-1)}, {math.NaN(), 1},
	}
	r := rand.New(rand.NewPCG(5, 6))
	for range 400 {
		xs := make([]float64, r.IntN(200))
		spread := 1 + r.IntN(2000)
		for i := range xs {
			if xs[i] = math.Ldexp(r.Float64()*2-1, r.IntN(spread)-min(spread/2, 1000)); i > 0 && r.IntN(3) == 0 {
				xs[i] = -xs[r.IntN(i)] // cancel
			}
		}
		cases = append(cases, xs)
	}
	for _, xs := range cases {
		args := make([]any, len(xs))
		for i, x := range xs {
			if args[i] = x; x != x {
				args[i] = "NaN"
			}
		}
		want := plainSum(args)
		for parts := 1; parts <= 4; parts++ {
			if got := sumOf(r, xs, parts); math.Float64bits(got) != math.Float64bits(want) && (got == got || want == want) {
				t.Fatalf("sum of %v in %d parts = %v, want %v", xs, parts, got, want)
			}
		}
	}
}

// TestExactSumCarriesInTime adds the value with the most bits more often than
// one limb could take without carrying, by making the counter believe it.
func TestExactSumCarriesInTime(t *testing.T) {
	t.Parallel()
	s := exactSums{cells: make([]exact, 1)}
	x := math.Nextafter(4, 0)
	for i := range 1000 {
		s.add(0, x)
		if i%7 == 0 {
			s.cells[0].adds = maxAdds
		}
	}
	want := 1000 * x // exact but for one rounding
	if got := s.value(&s.cells[0]); got != want {
		t.Fatalf("%v, want %v", got, want)
	}
	// Doubling the sum again and again walks it out of its window.
	for range 900 {
		var d number
		s.number(&s.cells[0], &d)
		s.addNumber(0, &d)
	}
	if got, want := s.value(&s.cells[0]), math.Ldexp(want, 900); got != want {
		t.Fatalf("%v, want %v", got, want)
	}
}
