package batch_test

import (
	"math/rand/v2"
	"strings"
	"testing"

	"anabranch/batch"
	"anabranch/bucket/faultbucket"
	"anabranch/fault"
	"anabranch/internal/soak"
)

// theManifest stands for the call that puts a manifest: the last look at the
// files is behind it, and one call of many.
const theManifest = -1

// stopped is a rule that harms nothing: before call n the process stands
// still, while others do what meanwhile says.
func stopped(n int, meanwhile func(faultbucket.Call)) faultbucket.Rule {
	return func(c faultbucket.Call) (faultbucket.Harm, bool) {
		if c.N == n || n == theManifest && c.Op == faultbucket.Put && strings.HasPrefix(c.Name, pipeline+"/manifests/") {
			n = c.N
			meanwhile(c)
		}
		return faultbucket.Harm{}, false
	}
}

// A worker stands still before one of its calls for as long as it likes. The
// run is done by another process, or others publish, or days pass and what it
// made is collected. Then it goes on: nothing is counted twice, no version
// replaces a newer one, none lacks a file.
func TestZombies(t *testing.T) {
	t.Parallel()
	eachSeed(t, "zombie-batch", func(t *testing.T, record *soak.Run, rnd *rand.Rand) {
		base, k := crashWorldOf(t, rnd)
		pack := packWorldOf(t, rnd)
		for _, q := range []batch.Request{nightly("run", k), backfill("run"), compaction("run")} {
			if q.Kind == batch.Compaction {
				base = pack
			}
			for range 2 {
				zombieRun(t, record, rnd, base.copied(t), q, theManifest, k)
			}
			for n, reached := rnd.IntN(zombieStride), true; reached; n += 1 + rnd.IntN(2*zombieStride-1) {
				reached = zombieRun(t, record, rnd, base.copied(t), q, n, k)
				if t.Failed() {
					t.Fatalf("%s stopped before call %d", q.Kind, n)
				}
			}
		}
	})
}

func zombieRun(t *testing.T, record *soak.Run, rnd *rand.Rand, w *world, q batch.Request, n int, k uint64) (reached bool) {
	t.Helper()
	first := w.newest(t).Version
	var taken uint64 // the newest version when the zombie wakes
	others := 0      // runs that published meanwhile
	meanwhile := func(c faultbucket.Call) {
		reached = true
		r := w.runner(t, w.bucket, oneAtATime)
		if rnd.IntN(3) > 0 { // the same run, which Temporal gave to another
			mustRun(t, r, q)
		}
		if rnd.IntN(3) == 0 {
			mustRun(t, r, batch.Request{Kind: batch.Backfill, RunID: "other"})
			others++
		}
		if rnd.IntN(3) == 0 {
			mustRun(t, r, nightly("another", k))
		}
		if rnd.IntN(2) == 0 {
			if err := w.collect(t, w.bucket, 1); err != nil {
				t.Fatal(err)
			}
			if n == theManifest && w.newest(t).Version == first {
				record.Sometimes("collected while a run stood before the put of its manifest")
			}
		}
		taken = w.intact(t).Version
	}
	zombie := w.runner(t, faultbucket.Wrap(w.bucket, stopped(n, meanwhile)), oneAtATime)
	_, err := batch.Run(t.Context(), zombie, q)
	if !reached {
		return false
	}
	record.Add("zombies", 1)
	m := w.intact(t)
	if m.Version < taken {
		t.Fatalf("manifest %d is the newest, %d was", m.Version, taken)
	}
	if err != nil { // Temporal tries again, or somebody starts it again
		record.Add("gave up", 1)
		if fault.Is(err, fault.Bug) || fault.Is(err, fault.Corrupt) {
			t.Fatalf("the zombie blames others: %v", err)
		}
		mustRun(t, w.runner(t, w.bucket, oneAtATime), q)
		m = w.intact(t)
	}
	// The first night, the second or the asked backfill, and those of others;
	// a zombie whose notes were collected does its backfill once more.
	most := first + 1 + uint64(others)
	if q.Kind != batch.Nightly {
		most += 2
	}
	if m.Version < first+1 || m.Version > most {
		t.Fatalf("manifest %d is the newest; %d runs of others published meanwhile", m.Version, others)
	}
	w.check(t, m)
	return true
}

// A collector stands still before one of its calls, its last look and the
// delete behind it among them, while the run whose files it takes for garbage
// goes on and publishes them, or another does. It wakes and deletes nothing
// that is published.
func TestZombieCollector(t *testing.T) {
	t.Parallel()
	eachSeed(t, "zombie-batch", func(t *testing.T, record *soak.Run, rnd *rand.Rand) {
		base, k := crashWorldOf(t, rnd)
		pack := packWorldOf(t, rnd)
		for _, q := range []batch.Request{nightly("run", k), backfill("run"), compaction("run")} {
			if q.Kind == batch.Compaction {
				base = pack
			}
			for _, op := range []faultbucket.Op{faultbucket.Stat, faultbucket.Delete} {
				if !zombieCollect(t, record, rnd, base.copied(t), q, op, 0) {
					t.Fatalf("%s: the collector found no garbage", q.Kind)
				}
			}
			for n, reached := rnd.IntN(zombieStride), true; reached; n += 1 + rnd.IntN(2*zombieStride-1) {
				reached = zombieCollect(t, record, rnd, base.copied(t), q, "", n)
				if t.Failed() {
					t.Fatalf("the collector stood before call %d", n)
				}
			}
		}
	})
}

// zombieCollect stops the collector before call n, or, given an op, before its
// first such call for a file of the dead run, whatever the dice say.
func zombieCollect(t *testing.T, record *soak.Run, rnd *rand.Rand, w *world, q batch.Request, op faultbucket.Op, n int) (reached bool) {
	t.Helper()
	die := faultbucket.From(20+rnd.IntN(200), faultbucket.Harm{Kind: fault.Transient})
	if op != "" { // with all its files written
		die = func(c faultbucket.Call) (faultbucket.Harm, bool) {
			return faultbucket.Harm{Kind: fault.Transient}, c.Op == faultbucket.Put && strings.HasPrefix(c.Name, pipeline+"/manifests/")
		}
	}
	_, _ = batch.Run(t.Context(), w.runner(t, faultbucket.Wrap(w.bucket, die), oneAtATime), q)
	if op != "" || rnd.IntN(3) == 0 { // its parent is not the newest any more
		mustRun(t, w.runner(t, w.bucket, oneAtATime), batch.Request{Kind: batch.Backfill, RunID: "other"})
	}
	rule := func(c faultbucket.Call) (faultbucket.Harm, bool) {
		if op == "" && c.N != n || op != "" && (c.Op != op || strings.HasPrefix(c.Name, pipeline+"/work/")) || reached {
			return faultbucket.Harm{}, false
		}
		reached = true
		record.Add("zombies", 1)
		switch c.Op {
		case faultbucket.Stat:
			record.Sometimes("a collector stood before its last look")
		case faultbucket.Delete:
			record.Sometimes("a collector stood between its last look and its delete")
		}
		q := q
		if op != "" || rnd.IntN(3) == 0 {
			q.RunID = "successor"
		}
		mustRun(t, w.runner(t, w.bucket, oneAtATime), q)
		w.intact(t)
		return faultbucket.Harm{}, false
	}
	if err := w.collect(t, faultbucket.Wrap(w.bucket, rule), 1); err != nil {
		t.Fatal(err)
	}
	w.intact(t)
	return reached
}

// TestAPlanIsMadeOnce: a worker stands still while it plans, and somebody who
// was given the same run plans it, publishes, and others publish behind. The
// plan that is there is the run's: another beside the notes of its steps would
// add up to nothing.
func TestAPlanIsMadeOnce(t *testing.T) {
	t.Parallel()
	rnd := seeded(t)
	w := newWorld(t, 2)
	w.history(t, rnd, 10, 50, 0, 5)
	mustRun(t, w.runner(t, w.bucket), nightly("first", w.begin(t)))
	w.history(t, rnd, 10, 50, 0, 5)
	k, q := w.begin(t), backfill("run")
	meanwhile := func(faultbucket.Call) {
		r := w.runner(t, w.bucket)
		mustRun(t, r, q)
		mustRun(t, r, nightly("another", k))
	}
	zombie := w.runner(t, faultbucket.Wrap(w.bucket, stopped(1, meanwhile)))
	plan, err := zombie.Plan(t.Context(), q)
	if err != nil || plan.Parent != 1 {
		t.Fatalf("planned %+v, %v", plan, err)
	}
	if p, err := zombie.Publish(t.Context(), plan); err != nil || p.Version != 2 {
		t.Errorf("published %+v, %v", p, err)
	}
	if m := w.intact(t); m.Version != 3 {
		t.Errorf("manifest %d is the newest", m.Version)
	}
}
