package view

import (
	"bytes"
	"cmp"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"anabranch/event"
)

// TestHeads compares texts that begin alike, with zeros in them and at their ends, as cells
// with heads do, while groups get other texts.
func TestHeads(t *testing.T) {
	t.Parallel()
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	for range 200 {
		c := newOrdered(event.Type{Kind: event.Bytes})
		common := slices.Repeat([]byte{byte(r.IntN(2))}, r.IntN(12))
		text := func() []byte {
			v := bytes.Clone(common)
			if r.IntN(20) == 0 {
				v = v[:r.IntN(len(v)+1)]
			}
			for range r.IntN(20) {
				v = append(v, []byte{0, 0, 1, 'a', 255}[r.IntN(5)])
			}
			return v
		}
		var texts [][]byte
		for range 300 {
			g := uint32(r.IntN(20))
			for int(g) >= len(texts) {
				v := text()
				texts = append(texts, v)
				c.grow(len(texts))
				c.setStr(uint32(len(texts)-1), v)
			}
			v := text()
			if r.IntN(4) == 0 {
				v = bytes.Clone(texts[r.IntN(len(texts))])
			}
			if got, want := cmp.Compare(c.compare(v, g), 0), bytes.Compare(v, texts[g]); got != want {
				t.Fatalf("%q against %q: %d, want %d", v, texts[g], got, want)
			}
			if r.IntN(3) == 0 {
				c.setStr(g, v)
				texts[g] = v
			}
			switch r.IntN(200) {
			case 0:
				old := c
				c = c.clone()
				old.setStr(g, []byte("of another"))
			case 1:
				c.reset()
				texts = nil
			}
		}
	}
}
