package batch

import (
	"cmp"
	"math/rand/v2"
	"slices"
	"testing"
)

// TestSortSpread compares with a sort by comparisons, for keys that are spread
// and for those that are not.
func TestSortSpread(t *testing.T) {
	t.Parallel()
	type item struct{ key, rest uint64 }
	compare := func(a, b item) int { return cmp.Or(cmp.Compare(a.key, b.key), cmp.Compare(a.rest, b.rest)) }
	seed := rand.Uint64()
	r := rand.New(rand.NewPCG(seed, 1))
	for name, key := range map[string]func(i int) uint64{
		"hashes":           func(int) uint64 { return r.Uint64() },
		"few":              func(int) uint64 { return r.Uint64N(3) },
		"one":              func(int) uint64 { return 7 },
		"sorted":           func(i int) uint64 { return uint64(i / 3) },
		"nearly sorted":    func(i int) uint64 { return uint64(i) + r.Uint64N(50) },
		"late ones":        func(i int) uint64 { return uint64(i) << (r.Uint64N(100) / 99) },
		"one far away":     func(i int) uint64 { return uint64(max(i-1, 0))<<40/max(uint64(i), 1) + 1<<63*uint64(min(i, 1)) },
		"the whole range":  func(i int) uint64 { return -uint64(i % 2) },
		"powers of two":    func(int) uint64 { return 1 << r.Uint64N(64) },
		"growing distance": func(i int) uint64 { return uint64(i) * uint64(i) * uint64(i) },
	} {
		for _, n := range []int{0, 1, 2, 24, 25, 300, 5000, 70_000} {
			s := make([]item, n)
			for i := range s {
				s[i] = item{key(i), r.Uint64N(1000)}
			}
			want := slices.Clone(s)
			slices.SortFunc(want, compare)
			sortSpread(s, make([]item, n), func(e *item) uint64 { return e.key }, compare)
			if !slices.Equal(s, want) {
				t.Fatalf("seed %d: %d of %s: not as a sort by comparisons has it", seed, n, name)
			}
		}
	}
}
