package power

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"anabranch/batch"
	"anabranch/fault"
	"anabranch/internal/disk/faultdisk"
	"anabranch/internal/soak"
)

var faults = flag.Int("faults", 5, "of each kind of fault: at how many of the calls it strikes; a soak strikes at every one")

// faultKind is one way a disk fails.
type faultKind struct {
	name string
	harm faultdisk.Harm
	of   []faultdisk.Op // none: all calls
	last bool           // it stays until somebody mends it
}

var grows = []faultdisk.Op{faultdisk.Create, faultdisk.Write, faultdisk.SetMark, faultdisk.Mkdir, faultdisk.Link, faultdisk.Rename}

var faultKinds = []faultKind{
	{name: "EIO", harm: faultdisk.EIO},
	{name: "EIO that stays", harm: faultdisk.EIO, last: true},
	{name: "no space", harm: faultdisk.ENOSPC, of: grows},
	{name: "short write", harm: faultdisk.ShortFull, of: []faultdisk.Op{faultdisk.Write}},
	{name: "disk full", harm: faultdisk.ShortFull, of: grows, last: true},
	{name: "fsync error", harm: faultdisk.EIO, of: []faultdisk.Op{faultdisk.Sync}},
	{name: "fsync error of a folder", harm: faultdisk.EIO, of: []faultdisk.Op{faultdisk.SyncDir}},
	{name: "fsync without space", harm: faultdisk.ENOSPC, of: []faultdisk.Op{faultdisk.Sync, faultdisk.SyncDir}},
}

// scenario is a short life of a pipeline, the same each time but for the order
// of what goes on side by side.
type scenario struct {
	*world
	run    *soak.Run
	kind   faultKind
	struck faultdisk.Call // the first call that failed; no Op: none
}

// rule strikes at call n, counted among those that the kind is about.
func (s *scenario) rule(n int) faultdisk.Rule {
	next := faultdisk.Nth(n, s.kind.harm, s.kind.of...)
	if s.kind.last {
		next = faultdisk.From(n, s.kind.harm, s.kind.of...)
	}
	return func(c faultdisk.Call) (faultdisk.Harm, bool) {
		h, hit := next(c)
		if hit && s.struck.Op == "" {
			s.struck = c
		}
		return h, hit
	}
}

// play returns what was wrong.
func (s *scenario) play() (err error) {
	if err := s.again("start", s.boot); err != nil {
		return err
	}
	defer func() { s.halt() }()
	sales := func(from, to int, more int64) (out []sale) {
		for n := from; n < to; n++ {
			out = append(out, sale{shop: fmt.Sprintf("shop %d", n%5), id: fmt.Sprint(n), amount: int64(n) + more, at: int64(n%9) * dayMicros / 2})
		}
		return out
	}
	for _, step := range []struct {
		what string
		do   func() error
	}{
		{"send", func() error { return s.send("one", sales(0, 80, 0), 2) }},
		{"snapshot", func() error { return s.speed.Snapshot(s.alive) }},
		{"nightly", func() error { return s.batch(batch.Nightly, "night-1") }},
		{"send", func() error { return s.send("two", append(sales(60, 120, 0), sales(10, 12, 5)...), 1) }},
		{"trim", func() error { _, err := s.trim(); return err }},
		{"nightly", func() error { return s.batch(batch.Nightly, "night-2") }},
		{"backfill", func() error { return s.batch(batch.Backfill, "back") }},
		{"send", func() error { return s.send("three", sales(115, 140, 0), 0) }},
		{"snapshot", func() error { return s.speed.Snapshot(s.alive) }},
		{"query", s.query},
	} {
		if err := s.again(step.what, step.do); err != nil {
			return err
		}
	}
	// What was acknowledged stays, whatever failed before.
	if err := s.restart(); err != nil {
		return err
	}
	s.disk.Set(nil)
	if err := s.query(); err != nil {
		return fmt.Errorf("after the power cut at the end: %w", err)
	}
	return s.whole(s.alive)
}

func (s *scenario) query() error {
	events, err := s.check(s.alive)
	s.run.Add(soak.Events, events)
	return err
}

// again does one step until it succeeds. What fails says what to do; meanwhile
// the last good version is served; when the fault is gone the step succeeds,
// after the failed sync of a folder in a process that was started anew.
func (s *scenario) again(what string, do func() error) error {
	for try := 0; ; try++ {
		err := s.inTime(do)
		if err == nil {
			return nil
		}
		var w *wrong
		if errors.As(err, &w) || try == 10 {
			return fmt.Errorf("%s, attempt %d: %w", what, try, err)
		}
		s.run.Sometimes("an error that says to try again")
		if kind := fault.KindOf(err); !kind.Retryable() || kind == fault.Unknown {
			return fmt.Errorf("%s: an error that tells its caller not to try again (%s): %w", what, kind, err)
		}
		if what != "start" && what != "query" && !s.kind.last {
			if err := s.inTime(s.query); err == nil {
				s.run.Sometimes("the last good version served meanwhile")
			} else if errors.As(err, &w) {
				return fmt.Errorf("behind a %s that failed: %w", what, err)
			}
		}
		s.mend()
		if what == "start" && s.struck.Op != faultdisk.Sync && s.struck.Op != faultdisk.SyncDir {
			killed := s.disk.Kill() // the next process, on the disk as it is
			s.halt()
			s.disk = killed
			continue
		}
		if what != "start" && try == 0 {
			continue
		}
		// The process acknowledges nothing more, or cannot start.
		s.run.Sometimes("a process that had to be started anew")
		if err := s.restart(); err != nil {
			return err
		}
		if what == "start" {
			return nil
		}
	}
}

// inTime does not wait for ever for a room that has given up.
func (s *scenario) inTime(do func() error) error {
	alive := s.alive
	if alive == nil { // the first boot makes it
		return do()
	}
	ctx, cancel := context.WithTimeout(alive, 3*time.Second)
	defer cancel()
	s.alive = ctx
	err := do()
	if s.alive == ctx {
		s.alive = alive
	}
	return err
}

// mend takes away a fault that stays.
func (s *scenario) mend() {
	if s.kind.last {
		s.disk.Set(nil)
	}
}

// restart is a power cut, and another process.
func (s *scenario) restart() error {
	s.mend()
	cut, _ := s.disk.Cut()
	s.halt()
	s.disk = cut
	return s.boot()
}

// TestEveryCallFails lets every call to the disk fail, one in each run.
func TestEveryCallFails(t *testing.T) {
	t.Parallel()
	first := *seed
	if first == 0 {
		first = rand.Uint64N(1 << 40)
	}
	run := soak.Open(t, "diskfault", first)
	run.Add(soak.Lost, 0)
	for i, kind := range faultKinds {
		t.Run(kind.name, func(t *testing.T) {
			t.Parallel()
			rnd := rand.New(rand.NewPCG(first, uint64(i)))
			// A life without faults tells how many calls there are.
			calls := 0
			play(t, run, faultKind{name: kind.name, of: kind.of}, first, 1<<30, &calls)
			stride := max(1, calls/(*faults))
			for n := rnd.IntN(stride); play(t, run, kind, rnd.Uint64(), n, nil); n += stride {
				run.Add("faults", 1)
				run.Sometimes(kind.name)
			}
		})
	}
}

// play plays one scenario and reports whether the fault struck.
func play(t *testing.T, run *soak.Run, kind faultKind, seed uint64, n int, calls *int) (fired bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	w, err := newWorld(ctx, seed)
	if err != nil {
		t.Fatal(err)
	}
	s := &scenario{world: w, run: run, kind: kind}
	s.disk.Set(s.rule(n))
	counted := s.disk
	err = s.play()
	if calls != nil {
		for _, c := range counted.Seen() {
			if among(c.Op, kind.of) {
				*calls++
			}
		}
	}
	if err != nil {
		var e *wrong
		if errors.As(err, &e) {
			run.Add(soak.Lost, e.lost)
		}
		t.Fatalf("seed %d: %s at %v: %v", seed, kind.name, s.struck, err)
	}
	return s.struck.Op != ""
}

func among(op faultdisk.Op, of []faultdisk.Op) bool {
	for _, o := range of {
		if o == op {
			return true
		}
	}
	return len(of) == 0
}
