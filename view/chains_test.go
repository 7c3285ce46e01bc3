package view

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"

	"anabranch/event"
)

// A few groups of count(DISTINCT) have the bytes that they have among all,
// however the state has grown since groups were picked of it before, and by
// many who pick at once.
func TestPickOfDistinctValues(t *testing.T) {
	t.Parallel()
	shape := event.NewShape(
		event.Field{Name: "k", Type: event.Type{Kind: event.Int64}},
		event.Field{Name: "i", Type: event.Type{Kind: event.Int64}},
		event.Field{Name: "s", Type: event.Type{Kind: event.String}, Nullable: true})
	v, err := Compile(t.Context(), Source{Name: "v", SQL: "SELECT k, count(DISTINCT i) AS narrow, count(DISTINCT s) AS wide FROM events GROUP BY ALL"}, shape, "")
	if err != nil {
		t.Fatal(err)
	}
	const seed = 51
	r := rand.New(rand.NewPCG(seed, 1))
	random := func(n, keys int) *event.Batch {
		b := &event.Batch{Shape: shape, N: n, Columns: make([]event.Column, 3)}
		dict, valid := &event.Dict{Offsets: []uint32{0}}, event.NewBitmap(n)
		for i, f := range shape.Fields {
			b.Columns[i].Type = f.Type
		}
		for row := range n {
			b.Columns[0].Ints = append(b.Columns[0].Ints, r.Int64N(int64(keys)))
			b.Columns[1].Ints = append(b.Columns[1].Ints, r.Int64N(50)-25)
			b.Columns[2].Codes = append(b.Columns[2].Codes, dict.Append(fmt.Appendf(nil, "v%d", r.IntN(30))))
			if r.IntN(3) > 0 {
				valid.Set(row)
			}
		}
		b.Columns[2].Dict, b.Columns[2].Valid = dict, valid
		return b
	}
	// pick returns the bytes of a group's state; it may be called at once.
	pick := func(st *State, k int64) (string, error) {
		b, err := st.Pick(&Pick{Keys: []*event.Column{{Type: shape.Fields[0].Type, Ints: []int64{k}}}, Range: -1})
		if err != nil || b == nil {
			return "", err
		}
		return string(b.Columns[1].Bytes(0)), nil
	}
	all := func(st *State) map[int64]string {
		b, err := st.Groups()
		if err != nil {
			t.Fatal(err)
		}
		out := map[int64]string{}
		for i := range b.N {
			out[b.Columns[0].Ints[i]] = string(b.Columns[1].Bytes(i))
		}
		return out
	}
	st := v.New()
	for round := range 60 {
		if err := st.Fold(random(1+r.IntN(200), 40+10*round), nil); err != nil {
			t.Fatal(err)
		}
		if round == 40 { // folded and picked anew
			st.Reset()
		}
		want := all(st)
		for k := range int64(60 + 10*round) {
			if got, err := pick(st, k); err != nil || got != want[k] {
				t.Fatalf("seed %d, round %d, key %d: %x, %v, want %x", seed, round, k, got, err, want[k])
			}
		}
	}
	fresh := v.New()
	if err := fresh.Fold(random(4000, 500), nil); err != nil {
		t.Fatal(err)
	}
	want := all(fresh)
	var readers sync.WaitGroup
	for range 4 {
		readers.Go(func() {
			for k := range int64(500) {
				if got, err := pick(fresh, k); err != nil || got != want[k] {
					t.Errorf("at once, key %d: %x, %v, want %x", k, got, err, want[k])
					return
				}
			}
		})
	}
	readers.Wait()
}
