package disk_test

import (
	"bytes"
	"io"
	"math/rand/v2"
	"path/filepath"
	"testing"

	"anabranch/internal/disk"
)

// What goes to the disk in pieces is what was written, whatever its parts.
func TestPiecesMakeTheWhole(t *testing.T) {
	t.Parallel()
	const seed = 11
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 1))
	want := make([]byte, 5<<20+12345)
	for i := range want {
		want[i] = byte(r.Uint32())
	}
	path := filepath.Join(t.TempDir(), "f")
	f, err := disk.Real{}.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	rest := want
	for len(rest) > 2<<20 {
		n, err := f.Write(rest[:min(len(rest), r.IntN(700<<10))])
		if err != nil {
			t.Fatal(err)
		}
		rest = rest[n:]
	}
	if n, err := io.Copy(f, bytes.NewReader(rest)); err != nil || n != int64(len(rest)) {
		t.Fatal(n, err)
	}
	if err := f.Sync(); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	got, err := disk.ReadFile(disk.Real{}, path)
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("%d bytes, %v, want %d", len(got), err, len(want))
	}
}
