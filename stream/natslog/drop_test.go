package natslog

import (
	"errors"
	"slices"
	"testing"

	"anabranch/stream"
)

// TestTrimmedBlockByBlock: what is trimmed goes at the borders of the server's
// blocks, and all of it goes.
func TestTrimmedBlockByBlock(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	l := open(t, start(t, Options{Dir: dir}), 1)
	const frames, below = 60, 55
	frame := make([]byte, 1<<20)
	for range frames {
		if _, err := l.Append(t.Context(), 0, frame); err != nil {
			t.Fatal(err)
		}
	}
	folder := streamDir(dir, streamName("shop", 0))
	blocks, err := listBlocks(folder)
	if err != nil {
		t.Fatal(err)
	}
	all := borders(folder, below)
	if len(all) < 3 || len(all) > len(blocks) || !slices.IsSorted(all) || all[0] < 2 || all[len(all)-1] >= below {
		t.Fatalf("%d blocks, borders %d", len(blocks), all)
	}
	if got := borders(folder, all[1]); !slices.Equal(got, all[:1]) {
		t.Errorf("below %d: %d", all[1], got)
	}
	if err := l.Trim(t.Context(), 0, below); err != nil {
		t.Fatal(err)
	}
	if left, err := listBlocks(folder); err != nil || len(left) > len(blocks)-len(all) {
		t.Errorf("%d of %d blocks are left, %v", len(left), len(blocks), err)
	}
	if first, next, err := l.Bounds(t.Context(), 0); err != nil || first != below || next != frames+1 {
		t.Errorf("bounds %d to %d, %v", first, next, err)
	}
	if _, err := l.Read(t.Context(), 0, below-1); !errors.Is(err, stream.ErrTrimmed) {
		t.Error(err)
	}
	r, err := l.Read(t.Context(), 0, below)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if recs, err := r.Next(t.Context()); err != nil || len(recs) == 0 || recs[0].Offset != below {
		t.Errorf("%d records, %v", len(recs), err)
	}
}
