package batch_test

import (
	"context"
	"flag"
	"math/rand/v2"
	"testing"
	"time"

	"anabranch/archive"
	"anabranch/batch"
	"anabranch/bucket"
	"anabranch/bucket/faultbucket"
	"anabranch/event"
	"anabranch/fault"
	"anabranch/internal/soak"
	"anabranch/stream"
)

var (
	pointSeeds = flag.Int("points", 1, "seeds of TestKillPoints and TestZombies")
	firstSeed  = flag.Uint64("seed", 0, "the first of these seeds; 0 picks one")
)

// eachSeed calls fn with every seed and the random source that it makes.
func eachSeed(t *testing.T, record string, fn func(t *testing.T, r *soak.Run, rnd *rand.Rand)) {
	first := *firstSeed
	if first == 0 {
		first = uint64(time.Now().UnixNano())
	}
	t.Logf("-points %d -seed %d", *pointSeeds, first)
	r := soak.Open(t, record, first)
	for seed := first; seed < first+uint64(*pointSeeds) && !t.Failed(); seed++ {
		r.Add("seeds", 1)
		if fn(t, r, rand.New(rand.NewPCG(seed, 0))); t.Failed() {
			t.Logf("seed %d", seed)
		}
	}
}

// day is longer than minAge, the age that Collect spares.
const (
	minAge = 24 * time.Hour
	day    = 25 * time.Hour
)

// collect has another process delete what it takes for garbage, a day later.
func (w *world) collect(t *testing.T, b bucket.Bucket, keep int) error {
	t.Helper()
	w.clock.Advance(day)
	_, err := w.open(b).Collect(t.Context(), keep, minAge)
	return err
}

// mentioned is every object that a manifest is made of.
func mentioned(m *archive.Manifest) map[string]int64 {
	all := map[string]int64{}
	for _, runs := range m.Runs {
		for _, f := range runs {
			all[f.Name] = f.Size
		}
	}
	for _, f := range m.Days {
		all[f.Name] = f.Size
	}
	for _, v := range m.Views {
		for _, f := range v.States {
			all[f.Name] = f.Size
		}
		for _, f := range v.Results {
			all[f.Name] = f.Size
		}
	}
	return all
}

// intact checks that the newest version is whole: its files are there, and its
// answers are those of the log below its cut.
func (w *world) intact(t *testing.T) *archive.Manifest {
	t.Helper()
	m := w.newest(t)
	for name, size := range mentioned(m) {
		if info, err := w.bucket.Stat(t.Context(), name); err != nil || info.Size != size {
			t.Fatalf("manifest %d mentions %s of %d bytes: %+v, %v", m.Version, name, size, info, err)
		}
	}
	w.checkViews(t, m)
	return m
}

// clean checks that nothing lies about that no manifest mentions.
func (w *world) clean(t *testing.T) {
	t.Helper()
	needed := mentioned(w.newest(t))
	for _, kind := range []string{"runs/", "days/", "views/", "work/"} {
		for info, err := range w.bucket.List(t.Context(), pipeline+"/"+kind, "") {
			if err != nil {
				t.Fatal(err)
			}
			if _, ok := needed[info.Name]; !ok {
				t.Errorf("%s is left", info.Name)
			}
		}
	}
}

// A run dies before or after each of its calls of store and catalog; what it
// left is collected or not, by a collector that may die as well; then it goes
// on, or another does. One version comes of it, whole, and nothing stays that
// nobody needs.
func TestKillPoints(t *testing.T) {
	t.Parallel()
	eachSeed(t, "killpoint", func(t *testing.T, record *soak.Run, rnd *rand.Rand) {
		base, k := crashWorldOf(t, rnd)
		pack := packWorldOf(t, rnd)
		for _, q := range []batch.Request{nightly("run", k), backfill("run"), compaction("run")} {
			if q.Kind == batch.Compaction {
				base = pack
			}
			for _, after := range []bool{false, true} {
				for n, died := rnd.IntN(pointStride), true; died; n += 1 + rnd.IntN(2*pointStride-1) {
					died = killPoint(t, record, rnd, base.copied(t), q, n, after)
					if t.Failed() {
						t.Fatalf("%s died at call %d, after its effect: %t", q.Kind, n, after)
					}
				}
			}
		}
	})
}

func killPoint(t *testing.T, record *soak.Run, rnd *rand.Rand, w *world, q batch.Request, n int, after bool) (died bool) {
	t.Helper()
	next := w.newest(t).Version + 1
	faulty := faultbucket.Wrap(w.bucket, faultbucket.From(n, faultbucket.Harm{Kind: fault.Transient, After: after}))
	_, err := batch.Run(t.Context(), w.runner(t, faulty, oneAtATime), q)
	calls := faulty.Calls()
	if died = len(calls) > n; died != (err != nil) {
		t.Fatalf("died %t, and the run says %v", died, err)
	}
	if died {
		record.Add("kill points", 1)
		if calls[n].Op == faultbucket.Put && after && w.newest(t).Version == next {
			record.Sometimes("died behind the put of its manifest")
		}
	}
	found := w.intact(t)
	if found.Version > next {
		t.Fatalf("manifest %d is published", found.Version)
	}
	looked := rnd.IntN(4)
	switch looked {
	case 0: // the collector looks before the run goes on
		if err := w.collect(t, w.bucket, 1+rnd.IntN(3)); err != nil {
			t.Fatal(err)
		}
	case 1: // and dies, too
		at, after := rnd.IntN(40), rnd.IntN(2) == 0
		dying := faultbucket.Wrap(w.bucket, faultbucket.From(at, faultbucket.Harm{Kind: fault.Transient, After: after}))
		if err := w.collect(t, dying, 1+rnd.IntN(3)); err != nil {
			record.Sometimes("a collector died")
		}
	}
	w.intact(t)
	other := rnd.IntN(2) == 0
	if other {
		q.RunID = "other"
	}
	mustRun(t, w.runner(t, w.bucket, oneAtATime), q)
	want := next
	m := w.intact(t)
	if found.Version == next && q.Kind == batch.Backfill && (other || looked < 2 && m.Version == next+1) {
		want++ // the dead one had published; this is one more, as it is when its notes were collected
	}
	if m.Version != want {
		t.Fatalf("manifest %d is the newest, want %d", m.Version, want)
	}
	if err := w.collect(t, w.bucket, 1); err != nil {
		t.Fatal(err)
	}
	w.clock.Advance(day)
	if err := w.collect(t, w.bucket, 1); err != nil {
		t.Fatal(err)
	}
	w.check(t, w.intact(t))
	w.clean(t)
	return died
}

// cutLog dies at one append, before or after it has its effect.
type cutLog struct {
	stream.Log
	left  int
	after bool
}

func (l *cutLog) Append(ctx context.Context, partition int, frame []byte) (uint64, error) {
	l.left--
	broken := fault.New(fault.Transient, "injected fault")
	if l.left < 0 {
		return 0, broken
	}
	offset, err := l.Log.Append(ctx, partition, frame)
	if l.left == 0 && l.after && err == nil {
		err = broken
	}
	return offset, err
}

// A run dies between its barriers. Whoever comes next, as the same run or as
// another, publishes one version whose cut is one barrier everywhere.
func TestDieBetweenBarriers(t *testing.T) {
	t.Parallel()
	eachSeed(t, "killpoint", func(t *testing.T, record *soak.Run, rnd *rand.Rand) {
		for range 4 {
			w := newWorld(t, 3)
			w.history(t, rnd, 12, 40, 10, 5)
			whole := w.log
			for range 1 + rnd.IntN(3) {
				w.log = &cutLog{Log: whole, left: rnd.IntN(5), after: rnd.IntN(2) == 0}
				r := w.runner(t, w.bucket)
				k, err := r.NextBarrier(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				if err := r.AppendBarriers(t.Context(), k); err != nil {
					record.Add("kill points", 1)
				}
				w.log = whole
				w.history(t, rnd, 3, 40, 10, 5)
			}
			p := mustRun(t, w.runner(t, w.bucket), nightly("next", w.begin(t)))
			if m := w.intact(t); p.Version != 1 || m.K != p.K || !m.Cut.AtLeast(event.Cut{1, 1, 1}) {
				t.Fatalf("published %+v: barrier %d at %s", p, m.K, m.Cut)
			}
			w.check(t, w.newest(t))
		}
	})
}
