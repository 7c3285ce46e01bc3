package batch_test

import (
	"encoding/json"
	"fmt"
	"testing"

	"anabranch/batch"
)

// A run that is taken up again, after its id runs were merged, leaves the
// manifest it was planned from as it was, which others read too.
func TestTakenUpAgainLeavesTheParentAsItIs(t *testing.T) {
	t.Parallel()
	rnd := seeded(t)
	w := newWorld(t, 1)
	var r *batch.Runner
	for night := range 4 {
		w.surely(t, 10) // or it has no id run
		w.history(t, rnd, 4, 200, 10, 5)
		k := w.begin(t)
		r = w.runner(t, w.bucket, func(o *batch.Options) { o.ChunkRows = 1 << 20 })
		if night < 3 {
			mustRun(t, r, nightly(fmt.Sprintf("night-%d", night), k))
			continue
		}
		plan, err := r.Plan(t.Context(), nightly("run", k))
		if err != nil {
			t.Fatal(err)
		}
		parent, err := r.Archive.Newest(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		before, err := json.Marshal(parent)
		if err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if _, err := r.Compact(t.Context(), plan, 0); err != nil {
				t.Fatal(err)
			}
		}
		if after, err := json.Marshal(parent); err != nil || string(after) != string(before) {
			t.Errorf("the parent was\n%s\nand is\n%s (%v)", before, after, err)
		}
		if len(parent.Runs[0]) != 3 {
			t.Errorf("%d id runs before the night, want the 3 that it merges", len(parent.Runs[0]))
		}
		mustRun(t, r, nightly("run", k))
		w.check(t, w.newest(t))
	}
}

// TestChunksAreBoundedInBytes: with room for nothing every segment is a chunk
// of its own, and the answer is the same.
func TestChunksAreBoundedInBytes(t *testing.T) {
	t.Parallel()
	rnd := seeded(t)
	files := map[int64]int{}
	for _, bytes := range []int64{1, 1 << 30} {
		w := newWorld(t, 1)
		w.history(t, rnd, 20, 200, 10, 1)
		r := w.runner(t, w.bucket, func(o *batch.Options) { o.ChunkRows, o.ChunkBytes = 1<<20, bytes })
		mustRun(t, r, nightly("night", w.begin(t)))
		m := w.newest(t)
		w.check(t, m)
		for _, d := range m.Days {
			files[bytes] = max(files[bytes], len(d.Segments))
		}
	}
	if files[1] != 1 || files[1<<30] < 2 {
		t.Errorf("segments of a day file: %v", files)
	}
}
