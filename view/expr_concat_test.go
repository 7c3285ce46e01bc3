package view

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"anabranch/event"
)

// TestJoiner joins columns whose dictionaries are few or many texts, change,
// grow and are empty, with nulls and failed rows, and compares each text.
func TestJoiner(t *testing.T) {
	t.Parallel()
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	for range 30 {
		parts := 1 + r.IntN(4)
		if r.IntN(8) == 0 {
			parts = 12 // a combination has no room in a word
		}
		j := &joiner{parts: make([]joined, parts)}
		dicts := make([]*event.Dict, parts)
		for range 40 {
			n := 1 + r.IntN(600)
			vs := make([]*vec, parts)
			for k := range vs {
				switch d := dicts[k]; {
				case d == nil || r.IntN(8) == 0:
					dicts[k] = &event.Dict{}
					if r.IntN(8) > 0 {
						addTexts(r, dicts[k], []int{1, 30, 1000, 3 * fewTexts}[r.IntN(4)])
					}
				case r.IntN(4) == 0:
					addTexts(r, d, r.IntN(50))
				}
				d := dicts[k]
				v := &vec{Column: event.Column{Type: typeString, Dict: d, Codes: make([]uint32, n)}}
				if d.Len() == 0 || r.IntN(2) == 0 {
					v.Valid = event.NewBitmap(n)
				}
				if r.IntN(6) == 0 {
					v.failed = event.NewBitmap(n)
				}
				for i := range n {
					switch {
					case v.failed != nil && r.IntN(5) == 0:
						v.failed.Set(i)
						v.Codes[i] = 1 << 30 // it says nothing
					case d.Len() > 0:
						v.Codes[i] = uint32(r.IntN(d.Len()))
					}
					if v.Valid != nil && d.Len() > 0 && r.IntN(3) > 0 {
						v.Valid.Set(i)
					}
				}
				vs[k] = v
			}
			out := make([]uint32, n)
			j.join(out, vs)
			for i := range n {
				want := ""
				for _, v := range vs {
					if v.has(i) {
						want += string(v.Dict.Value(v.Codes[i]))
					}
				}
				if got := string(j.dict.Value(out[i])); got != want {
					t.Fatalf("row %d of %d, %d parts: %q, want %q", i, n, parts, got, want)
				}
			}
		}
	}
}

func addTexts(r *rand.Rand, d *event.Dict, n int) {
	for range n {
		d.Append(fmt.Appendf(nil, "%d,", r.IntN(1<<r.IntN(18))))
	}
}
