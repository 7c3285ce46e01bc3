package batch_test

import (
	"testing"

	"anabranch/batch"
)

// TestStepsAreBoundedInBytes: a day with large states is folded in parts, a few
// groups with large states are merged in pieces, and the answer is the same.
func TestStepsAreBoundedInBytes(t *testing.T) {
	t.Parallel()
	rnd := seeded(t)
	pieces, parts := map[int64]int{}, map[int64]int64{}
	for _, bytes := range []int64{1 << 12, 1 << 30} {
		w := newWorld(t, 2)
		w.history(t, rnd, 20, 400, 10, 5)
		r := w.runner(t, w.bucket, func(o *batch.Options) { o.MaxGroups, o.StateBytes = 1<<20, bytes })
		mustRun(t, r, nightly("night", w.begin(t)))
		m := w.newest(t)
		w.check(t, m)
		for name, v := range m.Views {
			pieces[bytes] = max(pieces[bytes], len(v.Results))
			for _, f := range v.States {
				parts[bytes] += f.Rows
				if f.Rows > 0 && (f.Memory < f.Rows || f.Memory > 10_000*f.Rows) {
					t.Errorf("view %s: %d groups take %d bytes", name, f.Rows, f.Memory)
				}
			}
		}
	}
	if parts[1<<12] <= parts[1<<30] {
		t.Errorf("groups in state files, some in several parts: %v", parts)
	}
	if pieces[1<<12] <= pieces[1<<30] {
		t.Errorf("result files of a view: %v", pieces)
	}
}
