package batch_test

import (
	"bytes"
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"anabranch/archive"
	"anabranch/batch"
	"anabranch/bucket"
	"anabranch/bucket/faultbucket"
	"anabranch/deadletter"
)

var figureNights = flag.Int("nights", 8, "nightlies of TestCompactionFigures; the figures of proposal 010 are of 400")

// TestCompactionFigures has many nights, each with events of its own day and
// late ones of the thirty before, and says what they leave and what a
// compaction makes of it.
func TestCompactionFigures(t *testing.T) {
	t.Parallel()
	const partitions, sales, lateDays = 4, 2000, 30
	nights := *figureNights
	w := newWorld(t, partitions)
	rnd := rand.New(rand.NewPCG(7, 7))
	normal := func(o *batch.Options) { o.ChunkRows, o.FoldRows, o.MaxGroups, o.Parallel = 0, 0, 0, 2 }
	id := 0
	for night := range nights {
		by := make([][]sale, partitions)
		for range sales {
			on := 1000 + night
			if rnd.IntN(10) == 0 {
				on -= rnd.IntN(lateDays)
			}
			id++
			s := sale{id: id, item: id % 200, ts: int64(on)*dayMicros + rnd.Int64N(dayMicros), amount: rnd.Int64N(9000), pieces: 1}
			by[id%partitions] = append(by[id%partitions], s)
		}
		for p, sales := range by {
			w.append(t, p, 2, sales...)
		}
		mustRun(t, w.runner(t, w.bucket, normal), nightly(fmt.Sprint("night-", night), w.begin(t)))
	}
	w = w.inFiles(t)
	tell := func(what string) (objects, oneDay int) {
		m := w.newest(t)
		days, states := files(m)
		from := int32(1000 + nights/2)
		var took []time.Duration
		for n := range 5 {
			calls := faultbucket.Wrap(w.bucket, func(faultbucket.Call) (faultbucket.Harm, bool) { return faultbucket.Harm{}, false })
			r := w.runner(t, calls, normal)
			day := from + int32(n%max(nights/3, 1))
			q := batch.Request{Kind: batch.Backfill, RunID: fmt.Sprint(what, n), View: "daily", From: &day, To: &day}
			began := time.Now()
			plan, err := r.Plan(t.Context(), q)
			if err != nil {
				t.Fatal(err)
			}
			finishSteps(t, r, plan) // all but Publish, so that each finds the same
			took = append(took, time.Since(began))
			oneDay = 0
			for _, c := range calls.Calls() {
				if c.Op == faultbucket.Get && strings.Contains(c.Name, "/days/") {
					oneDay++
				}
			}
		}
		slices.Sort(took)
		size := int64(0)
		for _, n := range mentioned(m) {
			size += n
		}
		manifest := w.object(t, w.archive.ManifestName(m.Version))
		t.Logf("%s: %d objects (%d day files, %d of states), %d bytes; manifest of %d bytes; a backfill of one day gets %d day files, in %v", what, len(mentioned(m)), days, states, size, len(manifest), oneDay, took[2].Round(time.Millisecond))
		return len(mentioned(m)), oneDay
	}
	wasObjects, wasGets := tell("before")
	before := w.newest(t)
	began := time.Now()
	mustRun(t, w.runner(t, w.bucket, normal), compaction("compact"))
	t.Logf("the compaction took %v", time.Since(began).Round(time.Millisecond))
	m := w.newest(t)
	objects, gets := tell("after")
	if objects >= wasObjects/2+partitions || gets > partitions || gets >= wasGets {
		t.Errorf("%d objects became %d, a day's %d files %d", wasObjects, objects, wasGets, gets)
	}
	for name, v := range m.Views {
		if !slices.EqualFunc(v.Results, before.Views[name].Results, func(a, b archive.ResultFile) bool { return a == b }) {
			t.Errorf("%s: its results have changed", name)
		}
	}
}

// inFiles returns the world with its bucket in files.
func (w *world) inFiles(t *testing.T) *world {
	t.Helper()
	dir, err := bucket.NewFile(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range w.names(t) {
		if _, err := dir.Put(t.Context(), name, bytes.NewReader(w.object(t, name)), bucket.Condition{}); err != nil {
			t.Fatal(err)
		}
	}
	out := *w
	out.bucket = dir
	out.archive, out.letters = out.open(dir), deadletter.New(dir, pipeline)
	return &out
}
