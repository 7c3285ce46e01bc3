package speed

import (
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"testing"
	"time"

	"anabranch/archive"
	"anabranch/bucket/faultbucket"
	"anabranch/event"
	"anabranch/fault"
)

// TestARebuildThatFailsHalfWay has the archive go away in the middle of a
// rebuild from its segments, which hold rows of two schema versions and a
// barrier whose batch is still at work. Nobody sees the half, nothing saves it,
// and what comes out in the end is right at both cuts.
func TestARebuildThatFailsHalfWay(t *testing.T) {
	t.Parallel()
	interrupted := 0
	for seed := range uint64(12) {
		w := newWorld(t, rand.New(rand.NewPCG(seed, 12)), 1)
		w.alone = true
		w.start()
		w.fill(10)
		w.nightly(0)
		w.fill(30)
		w.k++
		k := w.k
		w.append(0, barrierFrame(t, k), entry{k: k})
		for i := range 5 { // a segment has the rows of the older version first
			first := fact{id: event.ID{Hi: 9, Lo: uint64(i)}, key: 1, day: 1, val: 1, extra: 5}
			copied := first
			copied.val = 1001
			w.append(0, w.f.frameOf(t, 2, []fact{first}), entry{facts: []fact{first}})
			w.append(0, w.f.frameOf(t, 1, []fact{copied}), entry{facts: []fact{copied}})
		}
		w.fill(30)
		w.seal()
		w.kill()
		w.no(os.RemoveAll(w.dir))
		_, end, err := w.log.Bounds(t.Context(), 0)
		w.no(err)
		w.no(w.log.Trim(t.Context(), 0, end))
		for range 5 {
			w.send()
		}

		reads := 0
		away := func(c faultbucket.Call) (faultbucket.Harm, bool) {
			if !strings.Contains(c.Name, "/segments/") || c.Op != faultbucket.Range {
				return faultbucket.Harm{}, false
			}
			reads++
			return faultbucket.Harm{Kind: fault.Transient}, reads > int(seed)
		}
		w.faults.Set(away)
		w.start()
		w.settle() // the first attempt is over
		if w.speed.Stats().Partitions[0].State == "retrying" {
			interrupted++
			if _, err := w.speed.Since(t.Context(), w.newest().m.K, nil); !errIs(err, ErrNotReached) {
				t.Fatalf("seed %d, in the middle of a rebuild: %v, want ErrNotReached", seed, err)
			}
			if err := w.speed.Snapshot(t.Context()); err == nil {
				t.Fatalf("seed %d: half a rebuild was saved", seed)
			}
		}
		w.faults.Set(nil)
		w.clock.Advance(time.Minute)
		last := w.entries[0][len(w.entries[0])-1].offset + 1
		w.log.let(0, last)
		w.no(w.speed.Wait(t.Context(), event.Cut{last}))
		w.mustCheck()
		w.finish(k, 0)
		if w.newest().m.K != k {
			t.Fatal("the batch was not published")
		}
		w.mustCheck() // speed has a generation at its barrier
		w.speed.Notice(w.newest().m)
		w.settle()
		w.mustCheck()
		w.kill()
	}
	if interrupted < 3 {
		t.Errorf("%d rebuilds were interrupted", interrupted)
	}
}

// TestWhatIsPublishedMeanwhileIsForgottenAtRestore: a manifest whose cut the
// snapshot has passed takes the ids below it out of memory.
func TestWhatIsPublishedMeanwhileIsForgottenAtRestore(t *testing.T) {
	t.Parallel()
	w := setup(t, nil)
	w.alone = true
	w.fill(30)
	w.k++
	for p := range w.entries {
		w.append(p, barrierFrame(t, w.k), entry{k: w.k})
	}
	w.fill(3)
	w.no(w.speed.Snapshot(t.Context()))
	w.kill()
	w.finish(w.k, 0)
	w.start()
	for p, es := range w.entries {
		above := map[event.ID]bool{}
		for _, e := range es {
			if e.offset >= w.newest().m.Cut[p] {
				for _, f := range e.facts {
					above[f.id] = true
				}
			}
		}
		if st := w.speed.Stats().Partitions[p]; st.HotIDs > len(above) || st.Next != es[len(es)-1].offset+1 {
			t.Errorf("partition %d holds %d ids at %d; above the cut there are %d", p, st.HotIDs, st.Next, len(above))
		}
	}
	w.mustCheck()
}

// TestASnapshotThatKnowsMoreThanTheArchive is of a bucket that was restored
// from a copy: the snapshot has forgotten ids which the newest manifest there
// is does not know either.
func TestASnapshotThatKnowsMoreThanTheArchive(t *testing.T) {
	t.Parallel()
	w := setup(t, func(o *Options) { o.Grace = time.Hour })
	w.alone = true
	w.fill(20)
	w.nightly(0)
	w.speed.Notice(w.newest().m)
	w.fill(20)
	w.nightly(0)
	w.speed.Notice(w.newest().m)
	w.fill(20)
	w.no(w.speed.Snapshot(t.Context()))
	w.kill()
	lost := w.newest().m
	w.no(w.bucket.Delete(t.Context(), w.archive.ManifestName(lost.Version)))
	w.archive = archive.Open(w.faults, testPipeline, w.f.set, archive.Options{Partitions: len(w.entries), Clock: w.clock})
	w.versions = w.versions[:len(w.versions)-1]
	w.start()
	for range 40 { // copies of what the lost manifest knew, among others
		w.send()
	}
	w.runAll()
	w.mustCheck()
}

// TestASnapshotThatFailedIsTakenAgain, also when nothing has happened since.
func TestASnapshotThatFailedIsTakenAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(t, rand.New(rand.NewPCG(8, 8)), 1)
	faults := faultbucket.Wrap(w.bucket, nil)
	w.options = func(o *Options) { o.Dir, o.Bucket = "", faults }
	w.start()
	t.Cleanup(w.kill)
	w.fill(5)
	at := w.speed.At()[0]
	for _, fails := range []bool{true, false} {
		faults.Set(func(c faultbucket.Call) (faultbucket.Harm, bool) {
			return faultbucket.Harm{Kind: fault.Transient}, fails && c.Op == faultbucket.Put
		})
		for until := time.Now().Add(5 * time.Minute); len(faults.Calls()) == 0; {
			if time.Now().After(until) {
				t.Fatalf("no snapshot is tried (before: failed %v)", !fails)
			}
			w.clock.Advance(time.Minute)
			w.settle()
		}
		w.settle()
		if st := w.speed.Stats().Partitions[0]; (st.Snapshot == at) == fails {
			t.Fatalf("failed %v: the newest snapshot is at %d, all is folded up to %d", fails, st.Snapshot, at)
		}
	}
}

// TestFramesThatDoNotBelongStopThePartition.
func TestFramesThatDoNotBelongStopThePartition(t *testing.T) {
	t.Parallel()
	whole := func(h event.Header) event.Header {
		h.Producer, h.Ingested = "g1", 1
		return h
	}
	for _, c := range []struct {
		why  string
		h    event.Header
		kind fault.Kind
	}{
		{"of another pipeline", event.Header{Kind: event.Rows, Pipeline: "stop", Schema: 1, Rows: 2}, fault.Corrupt},
		{"more rows announced", event.Header{Kind: event.Rows, Pipeline: testPipeline, Schema: 1, Rows: 3}, fault.Corrupt},
		{"an unknown schema", event.Header{Kind: event.Rows, Pipeline: testPipeline, Schema: 9, Rows: 2}, fault.Invalid},
		{"an unknown kind", event.Header{Kind: 9, Pipeline: testPipeline}, fault.Corrupt},
		{"a barrier without a number", event.Header{Kind: event.Barrier, Pipeline: testPipeline}, fault.Corrupt},
		{"a barrier that admits an import", event.Header{Kind: event.Barrier, Pipeline: testPipeline, Barrier: 1, Admit: "old"}, fault.Invalid},
	} {
		t.Run(c.why, func(t *testing.T) {
			t.Parallel()
			w := setup(t, nil)
			w.fill(5)
			before := w.speed.At()
			var body []byte
			if c.h.Kind == event.Rows {
				var err error
				_, body, err = event.ParseFrame(w.f.frameOf(t, 1, []fact{w.fact(0), w.fact(0)}))
				w.no(err)
			}
			frame, err := event.AppendFrame(nil, whole(c.h), body)
			w.no(err)
			offset, err := w.log.Append(t.Context(), 0, frame)
			w.no(err)
			w.log.let(0, offset+1)
			err = w.speed.Wait(t.Context(), event.Cut{offset + 1})
			if !fault.Is(err, c.kind) || !strings.Contains(err.Error(), fmt.Sprintf("partition 0, offset %d", offset)) {
				t.Fatalf("%v, want %v with the place", err, c.kind)
			}
			if got := w.speed.At(); got[0] != before[0] {
				t.Fatalf("folded up to %d, the frame is at %d", got[0], offset)
			}
		})
	}
}

// TestTheNewestTimeIsOfEventsThatHaveOne: null is no time, not 1970.
func TestTheNewestTimeIsOfEventsThatHaveOne(t *testing.T) {
	t.Parallel()
	p := &partition{opt: &Options{TimeField: "ts"}}
	valid := event.NewBitmap(3)
	valid.Set(0)
	valid.Set(2)
	b := &event.Batch{Shape: event.NewShape(event.Field{Name: "ts", Type: event.Type{Kind: event.Timestamp}, Nullable: true}), N: 3,
		Columns: []event.Column{{Type: event.Type{Kind: event.Timestamp}, Ints: []int64{-70, 0, -50}, Valid: valid}}}
	for _, c := range []struct {
		rows []uint32
		want int64
	}{{[]uint32{0, 1, 2}, -50}, {[]uint32{0, 1}, -70}, {[]uint32{1}, noTime}, {nil, noTime}} {
		p.scratch.rows = c.rows
		if got := p.newestTime(b); got != c.want {
			t.Errorf("rows %v: %d, want %d", c.rows, got, c.want)
		}
	}
}

// TestRebuildIsAskedFor has states built anew while events come: of the log
// alone, and where it was trimmed above the cut of the archive's segments too.
// A snapshot of before is never used again.
func TestRebuildIsAskedFor(t *testing.T) {
	t.Parallel()
	for seed := range uint64(6) {
		w := newWorld(t, rand.New(rand.NewPCG(seed, 77)), 2)
		w.alone = true
		w.start()
		w.fill(20)
		w.nightly(0)
		w.fill(30)
		trimmed := seed%2 == 1
		if trimmed {
			w.seal()
			w.no(w.speed.Snapshot(t.Context()))
			for p := range w.entries {
				_, end, err := w.log.Bounds(t.Context(), p)
				w.no(err)
				w.no(w.log.Trim(t.Context(), p, end))
			}
		}
		for range 10 {
			w.send()
		}
		for p, es := range w.entries {
			w.log.let(p, es[len(es)-1].offset+1)
		}
		w.settle()
		from, to, err := w.speed.Rebuild(t.Context())
		w.no(err)
		if !to.AtLeast(from) || fmt.Sprint(from) != fmt.Sprint(w.newest().m.Cut) {
			t.Errorf("seed %d: from %v to %v, the cut is %v", seed, from, to, w.newest().m.Cut)
		}
		if at := w.speed.At(); !at.AtLeast(to) {
			t.Errorf("seed %d: it stands at %v, want %v", seed, at, to)
		}
		w.mustCheck()
		for _, p := range w.speed.part {
			if places, err := p.shelf.list(t.Context()); err != nil || len(places) > 0 {
				t.Errorf("seed %d: snapshots are left: %v %v", seed, places, err)
			}
			if p.safe.Load() != 0 {
				t.Errorf("seed %d: the log may be trimmed below %d", seed, p.safe.Load())
			}
		}
		w.kill()
		w.start()
		for p, es := range w.entries {
			w.log.let(p, es[len(es)-1].offset+1)
		}
		w.no(w.speed.Wait(t.Context(), to))
		w.mustCheck()
		w.kill()
	}
}
