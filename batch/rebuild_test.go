package batch_test

import (
	"bytes"
	"fmt"
	"io"
	"slices"
	"testing"

	"anabranch/archive"
	"anabranch/batch"
	"anabranch/bucket"
	"anabranch/fault"
)

func (w *world) object(t testing.TB, name string) []byte {
	t.Helper()
	body, _, err := w.bucket.Get(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	defer body.Close()
	data, err := io.ReadAll(body)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func (w *world) spoil(t testing.TB, name string) {
	t.Helper()
	if _, err := w.bucket.Put(t.Context(), name, bytes.NewReader([]byte("damaged")), bucket.Condition{}); err != nil {
		t.Fatal(err)
	}
}

// TestLostRunsAndDaysAreRebuilt loses id runs and day files, one after the
// other: they come back from the segments, byte by byte.
func TestLostRunsAndDaysAreRebuilt(t *testing.T) {
	t.Parallel()
	rnd := seeded(t)
	w := newWorld(t, 2)
	small := func(o *batch.Options) { o.ChunkRows = 60 }
	// Merging may have left one run of each partition, which a rebuild gives
	// again: there must be something to replace.
	several := func(runs [][]archive.Run) bool {
		return slices.ContainsFunc(runs, func(of []archive.Run) bool { return len(of) > 1 })
	}
	for night := 0; night < 6 || !several(w.newest(t).Runs); night++ {
		w.history(t, rnd, 25, 300, 10*night, 30)
		mustRun(t, w.runner(t, w.bucket, small), nightly(fmt.Sprintf("night-%d", night), w.begin(t)))
	}
	m := w.newest(t)
	r := w.runner(t, w.bucket)
	for p, runs := range m.Runs {
		for _, run := range runs {
			good := w.object(t, run.Name)
			w.spoil(t, run.Name)
			again, err := r.RebuildRuns(t.Context(), m, p, map[string]bool{run.Name: true})
			if err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(again, runs) || !bytes.Equal(w.object(t, run.Name), good) {
				t.Errorf("%s came back as %+v", run.Name, again)
			}
		}
	}
	for _, d := range m.Days {
		good := w.object(t, d.Name)
		w.spoil(t, d.Name)
		old, made, err := r.RebuildDays(t.Context(), m, d)
		if err != nil {
			t.Fatal(err)
		}
		if fmt.Sprint(old) != fmt.Sprint(made) || !bytes.Equal(w.object(t, d.Name), good) {
			t.Errorf("%+v came back as %+v", old, made)
		}
	}
	if same, err := r.Replace(t.Context(), m, m.Runs, m.Days, "nothing", "test"); err != nil || same.Version != m.Version {
		t.Errorf("nothing was replaced: %v, %v", same, err)
	}

	// All runs at once come back as one; a later night goes on from it.
	runs := slices.Clone(m.Runs)
	for p := range runs {
		lost := map[string]bool{}
		for _, run := range runs[p] {
			lost[run.Name] = true
			w.spoil(t, run.Name)
		}
		var err error
		if runs[p], err = w.runner(t, w.bucket, small).RebuildRuns(t.Context(), m, p, lost); err != nil || len(runs[p]) != 1 {
			t.Fatal(runs[p], err)
		}
	}
	next, err := r.Replace(t.Context(), m, runs, m.Days, "lost runs", "test")
	if err != nil || next.Version != m.Version+1 || next.Kind != batch.Repair {
		t.Fatalf("%+v, %v", next, err)
	}
	w.check(t, w.newest(t))
	w.history(t, rnd, 25, 400, 30, 30)
	mustRun(t, r, nightly("later", w.begin(t)))
	w.check(t, w.newest(t))
}

// TestRebuildRefusesOtherCounts: with other filters than those of the time
// nothing is made up.
func TestRebuildRefusesOtherCounts(t *testing.T) {
	t.Parallel()
	rnd := seeded(t)
	w := newWorld(t, 1)
	for version := range uint32(2) { // the first file has something that is filtered
		w.append(t, 0, version+1, sale{id: 1000 + int(version), item: 3, ts: dayMicros, amount: 100, pieces: 1})
	}
	w.history(t, rnd, 40, 100, 0, 3)
	mustRun(t, w.runner(t, w.bucket), nightly("night", w.begin(t)))
	m := w.newest(t)
	other := w.runner(t, w.bucket, func(o *batch.Options) { o.Filters = nil })
	if _, _, err := other.RebuildDays(t.Context(), m, m.Days[0]); !fault.Is(err, fault.Corrupt) {
		t.Errorf("without the filter: %v", err)
	}
	var gone []archive.Segment
	chain, err := w.open(w.bucket).Segments(t.Context(), 0, 0)
	if err != nil {
		t.Fatal(err)
	}
	if gone = chain[:1]; w.bucket.Delete(t.Context(), gone[0].Name) != nil {
		t.Fatal("delete")
	}
	if _, err := w.runner(t, w.bucket).RebuildRuns(t.Context(), m, 0, map[string]bool{m.Runs[0][0].Name: true}); !fault.Is(err, fault.Corrupt) {
		t.Errorf("without a segment: %v", err)
	}
}
