package view

import (
	"math/rand/v2"
	"testing"
)

// TestArenaBlocks takes and gives back blocks of all sizes, larger than a page
// too, and sees that none overlaps another, also in a clone and after a reset.
func TestArenaBlocks(t *testing.T) {
	t.Parallel()
	const seed = 11
	r := rand.New(rand.NewPCG(seed, 0))
	var a arena[uint32]
	for range 3 {
		type held struct {
			off   uint32
			class uint8
			mark  uint32
		}
		var blocks []held
		check := func(in *arena[uint32]) {
			t.Helper()
			for _, b := range blocks {
				for i, v := range in.block(b.off, b.class) {
					if v != b.mark {
						t.Fatalf("seed %d: element %d of block %d of class %d is %d, want %d", seed, i, b.off, b.class, v, b.mark)
					}
				}
			}
		}
		for n := range uint32(3000) {
			if len(blocks) > 0 && r.IntN(4) == 0 {
				i := r.IntN(len(blocks))
				a.release(blocks[i].off, blocks[i].class)
				blocks[i] = blocks[len(blocks)-1]
				blocks = blocks[:len(blocks)-1]
				continue
			}
			class := uint8(r.IntN(9))
			if r.IntN(50) == 0 {
				class = uint8(13 + r.IntN(6)) // up to four pages
			}
			b := held{a.alloc(class), class, n + 1}
			for i, v := range a.block(b.off, class) {
				if v != 0 {
					t.Fatalf("seed %d: element %d of a new block is %d", seed, i, v)
				}
				a.block(b.off, class)[i] = b.mark
			}
			blocks = append(blocks, b)
		}
		check(&a)
		c := a.clone()
		for range 100 {
			off := a.alloc(3)
			clear(a.block(off, 3))
			a.block(off, 3)[0] = 1 << 31
		}
		check(&a)
		check(&c)
		a.reset()
	}
}
