package archive

import (
	"bytes"
	"io"
	"math/rand/v2"
	"testing"
)

// TestPieces writes bytes in parts of any size and reads them at any place.
func TestPieces(t *testing.T) {
	t.Parallel()
	seed := rand.Uint64()
	r := rand.New(rand.NewPCG(seed, 1))
	var p pieces
	var want []byte
	for len(want) < 5*pieceBytes/2 {
		part := make([]byte, r.IntN(pieceBytes/3))
		for i := range part {
			part[i] = byte(r.Uint32())
		}
		if n, _ := p.Write(part); n != len(part) {
			t.Fatalf("seed %d: %d of %d bytes taken", seed, n, len(part))
		}
		want = append(want, part...)
	}
	got, err := io.ReadAll(io.NewSectionReader(&p, 0, p.size))
	if err != nil || !bytes.Equal(got, want) {
		t.Fatalf("seed %d: %d bytes of %d, or others: %v", seed, len(got), len(want), err)
	}
	for range 200 {
		at := r.IntN(len(want) + 10)
		b := make([]byte, r.IntN(pieceBytes))
		n, err := p.ReadAt(b, int64(at))
		left := want[min(at, len(want)):]
		if whole := len(left) >= len(b); n != min(len(b), len(left)) || !bytes.Equal(b[:n], left[:n]) || (err == nil) != whole {
			t.Fatalf("seed %d: %d bytes at %d: %d, %v", seed, len(b), at, n, err)
		}
	}
}
