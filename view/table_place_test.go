package view

import (
	"math/rand/v2"
	"testing"

	"anabranch/event"
)

// TestPlaces writes keys of any number and kind into records and reads them again:
// none is in the way of another or of the null bits.
func TestPlaces(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(5, 6))
	for range 2000 {
		types := make([]event.Type, 1+r.IntN(maxKeys))
		for k := range types {
			types[k] = testKinds[r.IntN(len(testKinds))]
		}
		table := newTable(types)
		rec := make([]uint64, table.width)
		nulls, want, low := uint64(0), make([]uint64, len(types)), make([]uint64, len(types))
		for _, k := range r.Perm(len(types)) {
			p := &table.places[k]
			if r.IntN(4) == 0 {
				nulls |= 1 << k
				rec[0] |= 1 << k
				continue
			}
			want[k], low[k] = r.Uint64()&p.mask, r.Uint64()
			p.set(rec, r.Uint64()&p.mask)
			p.set(rec, want[k])
			if types[k].Storage() == event.InWide {
				rec[p.word+1] = low[k]
			}
		}
		if got := table.nulls(rec); got != nulls {
			t.Fatalf("%v: null bits %b, want %b", types, got, nulls)
		}
		for k := range types {
			p := &table.places[k]
			if got := p.get(rec); got != want[k] {
				t.Fatalf("%v: key %d is %x, want %x", types, k, got, want[k])
			}
			if types[k].Storage() == event.InWide && rec[p.word+1] != low[k] {
				t.Fatalf("%v: lower half of key %d is %x, want %x", types, k, rec[p.word+1], low[k])
			}
		}
	}
}
