package metamorphic

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"anabranch/archive"
	"anabranch/batch"
	"anabranch/bucket"
	"anabranch/fault"
	"anabranch/internal/soak"
	"anabranch/serving"
)

var storeFaults = flag.Int("storefaults", 32, "runs with a fault of the object store; 0: every call with every fault, once and lasting")

// trial is one run in which the nth call of the object store fails, alone or
// with all that follow until somebody mends it.
type trial struct {
	*world
	store   harmable
	n       int
	harm    harm
	lasting bool

	directBucket bucket.Bucket // past the harm

	run       *soak.Run
	published uint64 // versions that a batch was told of
	told      bool   // somebody was told of the fault
}

// fired reports whether the fault has been met.
func (t *trial) fired() bool {
	_, harmed := t.store.calls()
	return len(harmed) > 0
}

// plays the scenario: a version, more events, a night, a backfill, a
// collection. What it returns must not depend on the fault.
func (t *trial) play() (final string, err error) {
	for range len(t.Sends) / 2 {
		if err := t.do(Action{Do: "send"}); err != nil {
			return "", err
		}
	}
	for _, do := range []string{"nightly", "query"} {
		if err := t.do(Action{Do: do}); err != nil {
			return "", fmt.Errorf("before the fault: %s: %w", do, err)
		}
	}
	t.published = 1
	if err := t.served(1); err != nil {
		return "", fmt.Errorf("before the fault: %w", err)
	}
	t.store.arm(t.n, t.harm, t.lasting)
	for t.sent < len(t.Sends)-1 {
		if err := t.do(Action{Do: "send"}); err != nil {
			return "", fmt.Errorf("ingest must go on: %w", err)
		}
	}
	var k uint64
	night := batch.Request{Kind: batch.Nightly, RunID: "night"}
	steps := []struct {
		what string
		do   func(context.Context) error
	}{
		{"begin the night", func(ctx context.Context) (err error) {
			if k, err = t.runner.NextBarrier(ctx); err == nil {
				err = t.runner.AppendBarriers(ctx, k)
			}
			night.K = k
			return err
		}},
		{"the night", func(ctx context.Context) error { return t.batchRun(ctx, night) }},
		{"look at the night", func(ctx context.Context) error { return t.look(ctx) }},
		{"query", func(context.Context) error { return t.check() }},
		{"send", func(context.Context) error { return t.do(Action{Do: "send"}) }},
		{"the night again", func(ctx context.Context) error { return t.batchRun(ctx, night) }},
		{"the backfill", func(ctx context.Context) error {
			return t.batchRun(ctx, batch.Request{Kind: batch.Backfill, RunID: "backfill"})
		}},
		{"look at the backfill", func(ctx context.Context) error { return t.look(ctx) }},
		{"collect", func(ctx context.Context) error {
			_, err := t.archive.Collect(ctx, 1, 0)
			return err
		}},
		{"query at the end", func(context.Context) error { return t.check() }},
	}
	for _, s := range steps {
		if s.what == "send" && t.sent == len(t.Sends) {
			continue
		}
		if err := t.again(s.what, s.do); err != nil {
			return "", err
		}
		if s.what == "begin the night" {
			if err := t.follow(false); err != nil {
				return "", err
			}
		}
	}
	t.store.clear()
	return t.end()
}

// batchRun runs a batch to its end and counts what it published.
func (t *trial) batchRun(ctx context.Context, q batch.Request) error {
	p, err := batch.Run(ctx, t.runner, q)
	if err == nil {
		t.published = max(t.published, p.Version)
	}
	return err
}

// look tells speed of the newest version, which must add up.
func (t *trial) look(ctx context.Context) error {
	m, err := t.archive.Newest(ctx)
	if err != nil {
		return err
	}
	if m.Version != t.published {
		return fault.New(fault.Bug, "manifest %d is the newest, %d was published", m.Version, t.published)
	}
	t.speed.Notice(m)
	return t.checkManifest(m)
}

// again does something until it succeeds. When it fails somebody reads the
// error, readers are answered meanwhile, and the store is mended.
func (t *trial) again(what string, do func(context.Context) error) error {
	for attempt := 1; ; attempt++ {
		ctx, cancel := context.WithTimeout(t.ctx, 2*time.Minute)
		err := do(ctx)
		cancel()
		if err == nil {
			return nil
		}
		err = fmt.Errorf("%s: %w", what, err)
		if !t.fired() || attempt == 3 {
			return err
		}
		h := t.harm
		if _, harmed := t.store.calls(); strings.Contains(harmed[0], ", HEAD ") {
			// An answer without a body: what is not there, object or bucket, it
			// does not say.
			h.kinds = append(slices.Clone(h.kinds), fault.NotFound)
		}
		if err := h.says(t.name, err); err != nil {
			return err
		}
		if t.harm.heals && !t.lasting {
			return fmt.Errorf("a single %s, which the driver heals by itself: %w", t.harm, err)
		}
		t.told = true
		if bad := t.meanwhile(); bad != nil {
			return fmt.Errorf("%w; behind %w", bad, err)
		}
		t.store.clear()
	}
}

// meanwhile is what readers see while the store fails: every view, exact, of a
// version that is whole.
func (t *trial) meanwhile() error {
	m, err := t.whole()
	if err != nil {
		return err
	}
	if m.Version > t.published {
		t.run.Sometimes("a run failed behind its own publication")
	}
	for _, v := range t.views {
		if t.isVast(v.Name()) {
			continue // its sums may leave their type
		}
		answer, receipt, err := t.ask(v.Name(), serving.Fresh{Latest: true})
		if err != nil {
			return fmt.Errorf("query %s while the store fails: %w", v.Name(), err)
		}
		if err := t.compare(v.Name(), answer, receipt.At); err != nil {
			return fmt.Errorf("while the store fails: %w", err)
		}
		if receipt.Manifest == 0 || receipt.Manifest > m.Version {
			return fmt.Errorf("query %s is answered from version %d, the newest is %d", v.Name(), receipt.Manifest, m.Version)
		}
		if receipt.Stale != (receipt.StaleBecause != "") || t.lasting && !receipt.Stale {
			return fmt.Errorf("query %s while the store fails: the receipt does not say that the version may be an old one: %+v", v.Name(), receipt)
		}
		if receipt.Stale {
			t.run.Add("stale answers", 1)
			t.run.Sometimes("stale answer served")
		}
	}
	return nil
}

// whole looks past the harm at the newest version: all its files are there,
// and they say what the events below its cut say.
func (t *trial) whole() (*archive.Manifest, error) {
	a := archive.Open(t.directBucket, t.name, t.definition.set, archive.Options{Partitions: t.set.Partitions})
	m, err := a.Newest(t.ctx)
	if err != nil {
		return nil, fmt.Errorf("the newest version, past the harm: %w", err)
	}
	if err := t.sameFate(fmt.Sprintf("manifest %d", m.Version), fate{counted: m.Counted, duplicates: m.Duplicates, filtered: m.Filtered, conflicts: m.Conflicts}, m.Cut); err != nil {
		return nil, err
	}
	for _, v := range t.views {
		s := v.New()
		files := m.Views[v.Name()]
		if files == nil {
			return nil, fmt.Errorf("manifest %d has no view %s", m.Version, v.Name())
		}
		for _, f := range files.Results {
			if err := a.ReadResult(t.ctx, f, v.StateShape().Names(), s.MergeGroups); err != nil {
				return nil, fmt.Errorf("manifest %d is not whole: %w", m.Version, err)
			}
		}
	}
	return m, nil
}

// end is what must be so in the end, whatever happened on the way.
func (t *trial) end() (string, error) {
	m, err := t.whole()
	if err != nil {
		return "", err
	}
	if m.Version != 3 || t.published != 3 {
		return "", fmt.Errorf("a night, a night and a backfill have published %d versions, %d are known of", m.Version, t.published)
	}
	if err := t.again("the last look", t.look); err != nil {
		return "", err
	}
	if err := t.check(); err != nil {
		return "", err
	}
	if err := t.served(3); err != nil {
		return "", err
	}
	for _, st := range t.speed.Stats().Partitions {
		if st.State == "stopped" {
			return "", fmt.Errorf("partition %d has stopped: %w", st.Partition, st.Err)
		}
	}
	return t.final()
}

// served returns when every view is answered from version: queries ask the
// store for a newer one a little later.
func (t *trial) served(version uint64) error {
	for _, v := range t.views {
		if t.isVast(v.Name()) {
			continue // its sums may leave their type
		}
		for began := time.Now(); ; time.Sleep(time.Millisecond) {
			_, receipt, err := t.ask(v.Name(), serving.Fresh{Latest: true})
			if err != nil {
				return err
			}
			if receipt.Manifest == version && !receipt.Stale {
				break
			}
			if time.Since(began) > 5*time.Minute {
				return fmt.Errorf("query %s, the store is well, version %d is published: %+v", v.Name(), version, receipt)
			}
		}
	}
	return nil
}

// storeTrials plays trials of one case on one store.
type storeTrials struct {
	*stage
	compiled *compiled
	store    harmable
	run      *soak.Run
	want     string // final without faults
	calls    int    // without faults
}

func openTrials(t testing.TB, c *Case, store harmable, run *soak.Run) (*storeTrials, error) {
	s := &storeTrials{stage: openStage(t, nil), store: store, run: run}
	s.stage.bucket, s.stage.clock = store, hasty{}
	var err error
	if s.compiled, err = s.compile(t.Context(), c); err != nil {
		return nil, err
	}
	if err := s.oracle.load(t.Context(), c); err != nil {
		return nil, err
	}
	_, err = s.play(t.Context(), 1<<30, harm{name: "none"}, false)
	return s, err
}

// play runs one trial; met says whether the nth call was reached.
func (s *storeTrials) play(ctx context.Context, n int, h harm, lasting bool) (met bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Minute)
	defer cancel()
	direct := s.store.fresh()
	w, err := newWorld(ctx, s.compiled, Settings{
		Partitions: 2, LingerMicros: -1, FrameBytes: 4000, SegmentRows: 40, ChunkRows: 100000, FoldRows: 60, MaxGroups: 40, SnapshotRecords: 1000, Grace: true,
	}, s.stage)
	if err != nil {
		return false, err
	}
	defer w.close()
	t := &trial{world: w, store: s.store, directBucket: direct, n: n, harm: h, lasting: lasting, run: s.run}
	final, err := t.play()
	calls, harmed := s.store.calls()
	met = len(harmed) > 0
	what := fmt.Sprintf("%s at call %d of %d, lasting %v", h, n, calls, lasting)
	if met {
		what += "; first " + harmed[0]
	}
	if err != nil {
		return met, fmt.Errorf("%s: %w", what, err)
	}
	if s.want == "" {
		s.want, s.calls = final, calls
	}
	if final != s.want {
		return met, fmt.Errorf("%s: other answers than without: %s", what, firstLine(s.want, final))
	}
	s.note(t, calls, harmed)
	return met, nil
}

func (s *storeTrials) note(t *trial, calls int, harmed []string) {
	s.run.Add("runs", 1)
	s.run.Add("calls", int64(calls))
	s.run.Add("faults", int64(len(harmed)))
	for _, p := range t.rows {
		s.run.Add(soak.Events, int64(len(p)))
	}
	s.run.Add(soak.Lost, 0)
	for _, h := range harmed {
		if strings.Contains(h, "PUT") && (strings.Contains(h, "answer lost") || strings.Contains(h, "applied")) {
			s.run.Sometimes("put applied, answer lost")
			break
		}
	}
	for _, h := range harmed {
		if strings.Contains(h, "PUT") && strings.Contains(h, "/manifests/") && !t.told {
			s.run.Sometimes("publish answered after a retry")
			break
		}
	}
}

// TestStoreFaults lets every call of the object store fail in every way: over
// the S3 driver and the SDK, and at the border that every driver keeps; and some
// in front of a real server.
func TestStoreFaults(t *testing.T) {
	first := *seed
	if first == 0 {
		first = rand.Uint64N(1 << 40)
	}
	run := soak.Open(t, "s3fault", first)
	var wait sync.WaitGroup
	runs, real, all := *storeFaults, max(2, *storeFaults/20), *storeFaults == 0
	if all {
		real = 300
	}
	for _, way := range []struct {
		name  string
		store harmable
		harms []harm
		runs  int // where not all are
		all   bool
	}{
		{"s3", openFake(t), httpHarms, runs * 3 / 4, all},
		{"border", openAtBorder(), borderHarms, runs / 4, all},
		{"versitygw", openServer(t), httpHarms, real, false},
	} {
		s, err := openTrials(t, storeCase(first), way.store, run)
		if err != nil {
			t.Fatalf("seed %d, %s: %v", first, way.name, err)
		}
		t.Logf("seed %d, %s: %d calls", first, way.name, s.calls)
		wait.Go(func() {
			if way.all {
				s.everything(t, way.name, first, way.harms)
			} else {
				s.some(t, way.name, first, way.harms, way.runs)
			}
		})
	}
	wait.Wait()
}

// some plays so many trials, at calls spread over all, each fault in its turn.
func (s *storeTrials) some(t *testing.T, name string, seed uint64, harms []harm, runs int) {
	rnd := rand.New(rand.NewPCG(seed, uint64(runs)))
	for i := range runs {
		if t.Failed() {
			return
		}
		h := harms[(i+int(seed%uint64(len(harms))))%len(harms)]
		n := s.calls*i/runs + rnd.IntN(s.calls/runs+1)
		if _, err := s.play(t.Context(), n, h, rnd.IntN(2) == 0); err != nil {
			t.Errorf("seed %d, %s: %v", seed, name, err)
		}
	}
}

// everything plays the whole product: for each fault, each n until none fires.
func (s *storeTrials) everything(t *testing.T, name string, seed uint64, harms []harm) {
	for _, h := range harms {
		for _, lasting := range []bool{false, true} {
			for n, missed := 0, 0; missed < 3 && !t.Failed(); n++ {
				met, err := s.play(t.Context(), n, h, lasting)
				if err != nil {
					t.Errorf("seed %d, %s: %v", seed, name, err)
				}
				if missed++; met {
					missed = 0
				}
			}
			t.Logf("%s: %s, lasting %v: done", name, h, lasting)
		}
	}
}
