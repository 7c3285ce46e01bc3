package speed

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"anabranch/archive"
	"anabranch/bucket/faultbucket"
	"anabranch/event"
	"anabranch/fault"
	"anabranch/internal/clock"
	"anabranch/view"
)

// setup returns a world of two partitions with a started speed.
func setup(t *testing.T, options func(*Options)) *world {
	t.Helper()
	w := newWorld(t, rand.New(rand.NewPCG(11, 11)), 2)
	w.options = options
	w.start()
	t.Cleanup(func() {
		if w.started {
			w.kill()
		}
	})
	return w
}

// fill appends n frames and folds everything.
func (w *world) fill(n int) {
	for range n {
		w.send()
	}
	w.runAll()
}

func (w *world) runAll() {
	for p := range w.entries {
		w.run(p, len(w.entries[p]))
	}
}

// mustCheck wants a right answer at the newest manifest.
func (w *world) mustCheck() {
	w.t.Helper()
	if !w.check(w.newest()) {
		w.t.Fatal("no answer")
	}
}

// logged collects the log.
type logged struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func TestDamagedSnapshotIsNamedAndTheOlderOneUsed(t *testing.T) {
	t.Parallel()
	out := &logged{}
	w := setup(t, func(o *Options) { o.Logger = slog.New(slog.NewTextHandler(out, nil)) })
	w.fill(20)
	w.no(w.speed.Snapshot(t.Context()))
	older := w.speed.At()
	w.fill(20)
	w.no(w.speed.Snapshot(t.Context()))
	if safe := w.speed.SafeTrim(); !safe.AtLeast(older) || !older.AtLeast(safe) {
		t.Fatalf("safe to trim below %s, want the older snapshot's %s", safe, older)
	}
	w.kill()
	for p := range w.entries {
		damageNewest(t, w.speed.part[p].shelf.dir, w.r)
	}
	w.start()
	if at := w.speed.At(); at.String() != older.String() {
		t.Fatalf("restored at %s, want the older snapshot's %s", at, older)
	}
	for p := range w.entries {
		if name := filepath.Join("p000"+string(rune('0'+p)), snapshotName(2)); !strings.Contains(out.String(), name) {
			t.Errorf("the log does not name %s:\n%s", name, out)
		}
	}
	w.mustCheck()
	w.runAll()
	w.mustCheck()
}

func TestEveryFlippedBitOfASnapshotIsFound(t *testing.T) {
	t.Parallel()
	w := setup(t, nil)
	w.fill(10)
	w.nightly(0)
	w.fill(10)
	w.kill()
	p := w.speed.part[0]
	data, err := p.encode()
	w.no(err)
	if s, err := decode(p.opt, data); err != nil || s.next != p.next.Load() || len(s.gens) != len(p.gens) || s.hot.n != p.hot.n {
		t.Fatalf("not read back: %+v %v", s, err)
	}
	for bit := range len(data) * 8 {
		data[bit/8] ^= 1 << (bit % 8)
		if _, err := decode(p.opt, data); !fault.Is(err, fault.Corrupt) {
			t.Fatalf("bit %d flipped: %v", bit, err)
		}
		data[bit/8] ^= 1 << (bit % 8)
	}
	for n := range len(data) {
		if _, err := decode(p.opt, data[:n]); !fault.Is(err, fault.Corrupt) {
			t.Fatalf("cut to %d bytes: %v", n, err)
		}
	}
}

var update = flag.Bool("update", false, "write the golden snapshot anew")

// TestGoldenSnapshot reads a snapshot that an earlier program wrote. The bytes
// of the views' states have a golden file of their own in package view; here
// they belong to views that are gone.
func TestGoldenSnapshot(t *testing.T) {
	t.Parallel()
	name := filepath.Join("testdata", "version1.snap")
	w := setup(t, func(o *Options) { o.Filters = nil })
	if *update {
		w.appendFacts(0, []fact{w.fact(0), w.fact(0)})
		w.nightly(0)
		w.appendFacts(0, []fact{w.fact(0)})
		w.runAll()
		w.kill()
		data, err := w.speed.part[0].encode()
		w.no(err)
		w.no(os.WriteFile(name, data, 0o644))
	}
	data, err := os.ReadFile(name)
	w.no(err)
	o := *w.speed.part[0].opt
	o.Views = nil
	s, err := decode(&o, data)
	w.no(err)
	var b strings.Builder
	fmt.Fprintf(&b, "%s %d/%d at %s next %d max %d manifest %d k %d cut %d\n", s.pipeline, s.partition, s.partitions, s.created.Format(time.RFC3339),
		s.next, s.maxTime, s.manifest, s.k, s.cut)
	for _, g := range s.gens {
		fmt.Fprintf(&b, "generation %d: %d counted, %d duplicates, %d conflicts\n", g.k, g.counted, g.duplicates, g.conflicts)
	}
	for p := range s.hot.n {
		e := s.hot.at(p)
		fmt.Fprintf(&b, "id %d/%d hash %x from %d\n", e.id.Hi, e.id.Lo, e.hash, s.hot.offset(p))
	}
	golden := filepath.Join("testdata", "version1.txt")
	if *update {
		w.no(os.WriteFile(golden, []byte(b.String()), 0o644))
	}
	want, err := os.ReadFile(golden)
	w.no(err)
	if b.String() != string(want) {
		t.Fatalf("got\n%s\nwant\n%s", b.String(), want)
	}
}

func TestSnapshotsInABucketOnly(t *testing.T) {
	t.Parallel()
	w := setup(t, func(o *Options) { o.Dir = "" })
	w.options = func(o *Options) { o.Dir, o.Bucket = "", w.bucket }
	w.kill()
	w.start()
	for range 4 {
		w.fill(5)
		w.no(w.speed.Snapshot(t.Context()))
	}
	at := w.speed.At()
	var names []string
	for info, err := range w.bucket.List(t.Context(), testPipeline+"/snapshots/", "") {
		w.no(err)
		names = append(names, info.Name)
	}
	if len(names) != keepSnapshots*len(w.entries) {
		t.Fatalf("kept %v, want the two newest of each partition", names)
	}
	w.kill()
	w.start()
	if got := w.speed.At(); got.String() != at.String() {
		t.Fatalf("restored at %s, want %s", got, at)
	}
	w.mustCheck()
}

// TestEveryCallOfTheSnapshotBucketFails lets call n fail, and all after it, for
// n = 0, 1, 2, ... until nothing fails. Whatever was left behind, the program
// that starts next answers right.
func TestEveryCallOfTheSnapshotBucketFails(t *testing.T) {
	t.Parallel()
	for _, after := range []bool{false, true} {
		for n, hit := 0, true; hit; n++ {
			w := newWorld(t, rand.New(rand.NewPCG(5, 5)), 2)
			faults := faultbucket.Wrap(w.bucket, nil)
			w.options = func(o *Options) { o.Dir, o.Bucket = "", faults }
			w.start()
			hit = false
			faults.Set(func(c faultbucket.Call) (faultbucket.Harm, bool) {
				h, yes := faultbucket.From(n, faultbucket.Harm{Kind: fault.Transient, After: after})(c)
				hit = hit || yes
				return h, yes
			})
			for range 3 {
				w.fill(3)
				if err := w.speed.Snapshot(t.Context()); (err != nil) != hit {
					t.Fatalf("call %d: snapshot says %v", n, err)
				}
			}
			safe := w.speed.SafeTrim()
			w.kill()
			faults.Set(nil)
			w.start()
			if !w.speed.At().AtLeast(safe) {
				t.Fatalf("call %d: restored at %s, and the log may be trimmed below %s", n, w.speed.At(), safe)
			}
			w.runAll()
			w.mustCheck()
			w.kill()
		}
	}
}

func TestWithoutSnapshotsItBeginsAtTheCut(t *testing.T) {
	t.Parallel()
	w := setup(t, nil)
	w.fill(20)
	w.nightly(0)
	w.fill(20)
	w.kill()
	w.no(os.RemoveAll(w.dir))
	w.start()
	if got := w.speed.At(); got.String() != w.newest().m.Cut.String() {
		t.Fatalf("began at %s, want the cut %s", got, w.newest().m.Cut)
	}
	if _, err := w.speed.Since(t.Context(), 0, nil); !errIs(err, ErrDropped) {
		t.Fatalf("since the beginning: %v, want ErrDropped", err)
	}
	w.mustCheck()
	w.runAll()
	w.mustCheck()
}

func TestAChangedViewIsBuiltAnewFromTheCut(t *testing.T) {
	t.Parallel()
	w := setup(t, nil)
	w.fill(10)
	w.nightly(0)
	w.fill(10)
	w.speed.Notice(w.newest().m)
	w.settle()
	w.speed.Stop()
	other, err := view.Compile(t.Context(), view.Source{
		Name: "keys", SQL: `SELECT key, sum(extra) AS extra, sum(val) AS total, count(*) AS n FROM events WHERE true GROUP BY key`,
	}, w.f.set.Newest().Shape(), "ts")
	w.no(err)
	w.options = func(o *Options) { o.Views = []*view.View{w.f.views[0], other} }
	w.start()
	if got := w.speed.At(); got.String() != w.newest().m.Cut.String() {
		t.Fatalf("began at %s, want the cut %s", got, w.newest().m.Cut)
	}
	w.runAll()
	w.mustCheck()
	w.speed.Stop()
	w.options = func(o *Options) { o.Filters = nil }
	w.start()
	if got := w.speed.At(); got.String() != w.newest().m.Cut.String() {
		t.Fatalf("with other rules: began at %s, want the cut %s", got, w.newest().m.Cut)
	}
}

// seal copies the log into segments, up to its end.
func (w *world) seal() {
	w.t.Helper()
	s := archive.NewSealer(w.archive, w.log.Log, archive.SealerOptions{MaxRows: 7})
	w.no(s.Start(w.t.Context()))
	defer s.Stop()
	for p := range w.entries { // the last barrier ends every segment
		w.append(p, barrierFrame(w.t, 1_000_000), entry{k: 1_000_000})
	}
	end, _ := w.cutAt(1_000_000)
	for !s.Sealed().AtLeast(end) {
		select {
		case <-w.t.Context().Done():
			w.t.Fatal("not sealed")
		case <-time.After(time.Millisecond):
		}
	}
}

func TestATrimmedLogIsReadFromTheArchive(t *testing.T) {
	t.Parallel()
	w := setup(t, nil)
	w.fill(20)
	w.nightly(0)
	w.fill(40)
	w.seal()
	w.kill()
	w.no(os.RemoveAll(w.dir))
	for p := range w.entries {
		_, end, err := w.log.Bounds(t.Context(), p)
		w.no(err)
		w.no(w.log.Trim(t.Context(), p, end))
	}
	for range 10 {
		w.send()
	}
	w.startRunning()
	w.mustCheck()
}

// startRunning starts speed with nothing held back and waits for the end.
func (w *world) startRunning() {
	w.t.Helper()
	w.start()
	end := make(event.Cut, len(w.entries))
	for p, es := range w.entries {
		end[p] = es[len(es)-1].offset + 1
		w.log.let(p, end[p])
	}
	w.no(w.speed.Wait(w.t.Context(), end))
	w.settle()
}

func TestALogTrimmedBelowWhatIsArchivedIsSaidAloud(t *testing.T) {
	t.Parallel()
	w := setup(t, nil)
	w.fill(20)
	w.kill()
	w.no(os.RemoveAll(w.dir))
	w.no(w.log.Trim(t.Context(), 1, w.entries[1][3].offset+1))
	w.start()
	w.log.let(0, w.entries[0][2].offset+1)
	err := w.speed.Wait(t.Context(), event.Cut{0, w.entries[1][5].offset})
	if !fault.Is(err, fault.Corrupt) || !strings.Contains(err.Error(), "partition 1, offset 0") {
		t.Fatalf("wait: %v, want Corrupt with the place", err)
	}
}

func TestACorruptFrameStopsItsPartitionOnly(t *testing.T) {
	t.Parallel()
	w := setup(t, nil)
	w.fill(10)
	good := w.entries[1][len(w.entries[1])-1].offset + 1
	frame := w.f.frameOf(t, 1, []fact{w.fact(1)})
	frame[len(frame)-3] ^= 4
	bad, err := w.log.Append(t.Context(), 1, frame)
	w.no(err)
	w.append(1, w.f.frameOf(t, 1, []fact{w.fact(1)}), entry{})
	w.appendFacts(0, []fact{w.fact(0)})
	for range 2 { // and again after a restart
		w.log.let(1, bad+100)
		err = w.speed.Wait(t.Context(), event.Cut{0, bad + 1})
		place := event.Position{Partition: 1, Offset: bad}
		if !fault.Is(err, fault.Corrupt) || !strings.Contains(err.Error(), "partition 1, offset") {
			t.Fatalf("wait: %v, want Corrupt at %s", err, place)
		}
		if _, err := w.speed.Since(t.Context(), 0, nil); !fault.Is(err, fault.Corrupt) {
			t.Fatalf("since: %v, want Corrupt", err)
		}
		st := w.speed.Stats().Partitions[1]
		if st.State != "stopped" || !fault.Is(st.Err, fault.Corrupt) || st.Next != good {
			t.Fatalf("stats: %+v, want stopped at %d", st, good)
		}
		w.run(0, 1)
		if st := w.speed.Stats().Partitions[0]; st.State != "folding" || st.Err != nil {
			t.Fatalf("the other partition: %+v", st)
		}
		w.speed.Stop()
		w.start()
	}
}

func TestGraceAndNotReached(t *testing.T) {
	t.Parallel()
	w := setup(t, func(o *Options) { o.Grace = time.Minute })
	w.fill(10)
	old := w.newest()
	w.nightly(0)
	if _, err := w.speed.Since(t.Context(), w.newest().m.K, nil); !errIs(err, ErrNotReached) || !fault.Is(err, fault.Transient) {
		t.Fatalf("before the barrier: %v, want ErrNotReached", err)
	}
	w.speed.Notice(w.newest().m)
	w.settle()
	if w.speed.Stats().Partitions[0].Manifest != 0 {
		t.Fatal("adopted before the cut was passed")
	}
	w.runAll()
	if st := w.speed.Stats().Partitions[0]; st.Manifest != w.newest().m.Version || st.HotIDs != 0 && len(w.entries[0]) == 0 {
		t.Fatalf("not adopted: %+v", st)
	}
	w.clock.Advance(59 * time.Second)
	w.settle()
	w.fill(5)
	if _, err := w.speed.Since(t.Context(), old.m.K, nil); err != nil {
		t.Fatalf("the older manifest must be answered in its grace period: %v", err)
	}
	w.check(old)
	w.clock.Advance(time.Second)
	w.settle()
	if _, err := w.speed.Since(t.Context(), old.m.K, nil); !errIs(err, ErrDropped) || !fault.Is(err, fault.Conflict) {
		t.Fatalf("after the grace period: %v, want ErrDropped", err)
	}
	w.mustCheck()
}

// TestReadersWhileFolding asks all the time while frames are folded: every
// answer is one position of each partition, whatever is going on.
func TestReadersWhileFolding(t *testing.T) {
	t.Parallel()
	w := setup(t, nil)
	for range 300 {
		w.send()
	}
	end := make(event.Cut, len(w.entries))
	for p, es := range w.entries {
		end[p] = es[len(es)-1].offset + 1
		w.log.let(p, end[p])
	}
	var wg sync.WaitGroup
	for range 3 {
		wg.Go(func() {
			for {
				changed := w.speed.Changed()
				d, got, v, err := w.query(w.newest())
				if err != nil {
					t.Error(err)
					return
				}
				want, _ := w.truth(d.At, v)
				if diff := differ(got, want); diff != "" {
					t.Errorf("at %s: %s", d.At, diff)
					return
				}
				if d.At.AtLeast(end) {
					return
				}
				<-changed
			}
		})
	}
	wg.Wait()
}

// TestTheBucketGoesAway has reads of id runs fail: the frame is folded later,
// once, as if nothing had happened.
func TestTheBucketGoesAway(t *testing.T) {
	t.Parallel()
	w := setup(t, func(o *Options) { o.Clock = clock.Wall })
	for i := range 40 { // enough ids for several blocks
		for p := range w.entries {
			var facts []fact
			for j := range 50 {
				facts = append(facts, fact{id: event.ID{Hi: uint64(p), Lo: uint64(i*50 + j)}, key: j % 5, day: j % 4, val: int64(j)})
			}
			w.appendFacts(p, facts)
		}
	}
	w.runAll()
	w.nightly(0)
	w.runAll()
	w.speed.Notice(w.newest().m)
	w.settle()
	failed := 0
	w.faults.Set(func(c faultbucket.Call) (faultbucket.Harm, bool) {
		if c.Op != faultbucket.Put && strings.Contains(c.Name, "/runs/") && failed < 3 {
			failed++
			return faultbucket.Harm{Kind: fault.Transient}, true
		}
		return faultbucket.Harm{}, false
	})
	for range 10 {
		for p := range w.entries {
			fresh := w.fact(p)
			fresh.id.Lo += 1 << 30
			w.appendFacts(p, []fact{w.fact(p), fresh})
		}
	}
	w.runAll()
	w.mustCheck()
	if failed != 3 {
		t.Fatalf("%d reads failed: the test does not reach the runs", failed)
	}
}

func TestWaitEndsWithItsContextAndWithSpeed(t *testing.T) {
	t.Parallel()
	w := setup(t, nil)
	far := event.Cut{1 << 40}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := w.speed.Wait(ctx, far); !errIs(err, context.Canceled) {
		t.Fatalf("cancelled: %v", err)
	}
	done := make(chan error)
	go func() { done <- w.speed.Wait(t.Context(), far) }()
	w.speed.Stop()
	if err := <-done; !fault.Is(err, fault.Transient) {
		t.Fatalf("stopped: %v", err)
	}
	if err := w.speed.Wait(t.Context(), event.Cut{0, 0, 1}); !fault.Is(err, fault.Invalid) {
		t.Fatalf("too many partitions: %v", err)
	}
	if _, err := w.speed.Since(t.Context(), 0, []string{"dialy"}); !fault.Is(err, fault.Invalid) {
		t.Fatalf("unknown view: %v", err)
	}
}

func TestMetricsAndOptions(t *testing.T) {
	t.Parallel()
	reg := prometheus.NewPedanticRegistry()
	w := newWorld(t, rand.New(rand.NewPCG(3, 3)), 2)
	w.options = func(o *Options) { o.Metrics = reg }
	w.start()
	defer w.kill()
	w.fill(20)
	_, o := w.truth(w.speed.At(), w.newest())
	got := map[string]float64{}
	families, err := reg.Gather()
	w.no(err)
	for _, f := range families {
		for _, m := range f.GetMetric() {
			name := f.GetName()
			for _, l := range m.GetLabel() {
				if l.GetName() == "outcome" {
					name += "/" + l.GetValue()
				}
			}
			got[name] += m.GetGauge().GetValue() + m.GetCounter().GetValue()
		}
	}
	if got["anabranch_speed_events_total/counted"] != float64(o.counted) || got["anabranch_speed_events_total/duplicate"] != float64(o.duplicates) ||
		got["anabranch_speed_events_total/conflict"] != float64(o.conflicts) || got["anabranch_speed_events_total/filtered"] != float64(o.filtered) {
		t.Fatalf("%v, want %+v", got, o)
	}
	if _, ok := got["anabranch_speed_fold_lag_seconds"]; !ok || got["anabranch_speed_groups"] == 0 {
		t.Fatalf("%v", got)
	}
	if err := New(Options{Pipeline: "x"}).Start(t.Context()); !fault.Is(err, fault.Invalid) {
		t.Fatalf("no schemas: %v", err)
	}
}
