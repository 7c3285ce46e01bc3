package view

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"anabranch/event"
)

// TestInterner interns texts of all lengths, many at once and single ones, of
// dictionaries that have some twice.
func TestInterner(t *testing.T) {
	t.Parallel()
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	d := &interner{}
	codes := map[string]uint32{}
	for round := range 40 {
		if round == 30 {
			d = d.anew()
			clear(codes)
		}
		from := &event.Dict{}
		for range r.IntN(3000) {
			from.Append(fmt.Appendf(nil, "%0*d", r.IntN(40), r.IntN(1<<r.IntN(20))))
		}
		known := d.translation(from)
		var asked []uint32
		for c := range from.Len() {
			if r.IntN(4) > 0 {
				asked = append(asked, uint32(c))
			}
		}
		if err := d.internAll(from, asked, known); err != nil {
			t.Fatal(err)
		}
		for _, c := range asked {
			v := string(from.Value(c))
			code, met := codes[v]
			if !met {
				code = known[c] - 1
				codes[v] = code
			}
			if one, err := d.intern([]byte(v)); err != nil || one != code || known[c] != code+1 || string(d.values.Value(code)) != v {
				t.Fatalf("round %d: %q has code %d, and %d by itself (%v), want %d", round, v, known[c]-1, one, err, code)
			}
		}
		for range 100 {
			v := fmt.Sprint(r.IntN(1 << 21))
			want, met := codes[v]
			if code, ok := d.find([]byte(v)); ok != met || code != want {
				t.Fatalf("round %d: %q is found with code %d, %v, want %d, %v", round, v, code, ok, want, met)
			}
		}
		if d.values.Len() != len(codes) {
			t.Fatalf("round %d: %d texts, want %d", round, d.values.Len(), len(codes))
		}
	}
}
