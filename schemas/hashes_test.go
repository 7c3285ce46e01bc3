package schemas

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/zeebo/xxh3"
)

// randomBlock fills a block with texts of up to longest bytes, of which many come
// again, the last of them at its end.
func randomBlock(r *rand.Rand, longest int) (*blockText, []span) {
	b := new(blockText)
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	var spans []span
	at := blockBytes - blockLines*(longest+1)
	for range blockLines {
		n := r.IntN(longest + 1)
		spans = append(spans, span{int32(at), int32(at + n)})
		if r.IntN(2) == 0 {
			copy(b[at:at+n], fmt.Sprintf("text %028d", r.IntN(3)))
		}
		at += n
	}
	move := blockBytes - at // the last text ends with the block
	copy(b[blockBytes-blockLines*(longest+1)+move:blockBytes], bytes.Clone(b[blockBytes-blockLines*(longest+1):]))
	for i := range spans {
		spans[i].from, spans[i].to = spans[i].from+int32(move), spans[i].to+int32(move)
	}
	return b, spans
}

func TestHashesOfAColumnAreThoseOfItsTexts(t *testing.T) {
	t.Parallel()
	r := seeded(t, 52)
	for i := range 500 {
		b, spans := randomBlock(r, []int{5, 20, 40, 300}[i%4])
		var hashes, sums [blockLines]uint64
		seed, before := r.Uint64(), r.Uint64()
		sums[7] = before
		hashTexts(b, spans, seed, &hashes, &sums)
		if hashes[7]+before != sums[7] {
			t.Fatalf("sum %x of %x and %x", sums[7], before, hashes[7])
		}
		for row, s := range spans {
			want := xxh3.HashSeed(b[s.from:s.to], seed)
			if s.len() == 0 {
				want = 0
			}
			if hashes[row] != want {
				t.Fatalf("%q, seed %x: hash %x, want %x", b[s.from:s.to], seed, hashes[row], want)
			}
		}
	}
}

// TestValuesStandOnce: texts have one code, whichever way they were asked for.
func TestValuesStandOnce(t *testing.T) {
	t.Parallel()
	r := seeded(t, 53)
	var in interner
	in.reset()
	known := map[string]uint32{}
	for i := range 400 {
		b, spans := randomBlock(r, 20)
		var texts []span
		var hashes []uint64
		for row, s := range spans {
			text := b[s.from:s.to]
			if row%5 > 0 && len(text) > 0 {
				texts, hashes = append(texts, s), append(hashes, xxh3.HashSeed(text, in.seed))
				continue
			}
			code := in.code(text)
			if want, ok := known[string(text)]; ok && code != want {
				t.Fatalf("%q is %d and %d", text, want, code)
			}
			known[string(text)] = code
		}
		for row, code := range in.appendCodes(nil, b, texts, hashes) {
			text := b[texts[row].from:texts[row].to]
			if want, ok := known[string(text)]; ok && code != want {
				t.Fatalf("%q is %d and %d", text, want, code)
			}
			known[string(text)] = code
		}
		if i%100 == 99 {
			if in.dict.Len() != len(known) {
				t.Fatalf("%d values, %d codes", in.dict.Len(), len(known))
			}
			for text, code := range known {
				if got := string(in.dict.Value(code)); got != text {
					t.Fatalf("code %d of %q is of %q", code, text, got)
				}
			}
			clear(known)
			in.next(0, i%200 == 99)
		}
	}
}
