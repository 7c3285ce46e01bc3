package archive

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"anabranch/bucket/faultbucket"
	"anabranch/event"
	"anabranch/fault"
)

func (tb *testBundle) start(a *Archive, o SealerOptions) *Sealer {
	tb.Helper()
	s := NewSealer(a, tb.log, o)
	if err := s.Start(context.Background()); err != nil {
		tb.Fatal(err)
	}
	return s
}

// seal starts a sealer, lets it come to rest and stops it.
func (tb *testBundle) seal(a *Archive, o SealerOptions) *Sealer {
	tb.Helper()
	s := tb.start(a, o)
	tb.rest(s)
	s.Stop()
	return s
}

// until waits for a sealer. While it waits, the clock runs.
func (tb *testBundle) until(s *Sealer, what string, done func() bool) {
	tb.Helper()
	deadline := time.Now().Add(5 * time.Minute)
	for {
		changed := s.changed()
		if done() {
			return
		}
		select {
		case <-changed:
		case <-time.After(time.Millisecond): // nothing moves: it is waiting for its clock
			tb.clock.Advance(10 * time.Second)
		}
		if time.Now().After(deadline) {
			tb.Fatalf("waiting until %s: %+v", what, s.Stats())
		}
	}
}

func (tb *testBundle) upTo(s *Sealer, reached func(SealerStats) uint64) bool {
	for p, st := range s.Stats() {
		_, next, _ := tb.log.Bounds(context.Background(), p)
		if reached(st) < next && (st.Err == nil || fault.KindOf(st.Err).Retryable() || fault.Is(st.Err, fault.Conflict)) {
			return false
		}
	}
	return true
}

// rest waits until s has read everything or stopped at what it cannot read.
func (tb *testBundle) rest(s *Sealer) {
	tb.Helper()
	tb.until(s, "everything is read", func() bool { return tb.upTo(s, func(st SealerStats) uint64 { return st.Read }) })
}

// sealed waits until s has sealed everything.
func (tb *testBundle) sealed(s *Sealer) {
	tb.Helper()
	tb.until(s, "everything is sealed", func() bool { return tb.upTo(s, func(st SealerStats) uint64 { return st.Sealed }) })
}

// traffic appends some random frames and barriers.
func (tb *testBundle) traffic(k *uint64, n int) {
	tb.Helper()
	for range n {
		p := tb.r.IntN(partitions)
		switch x := tb.r.IntN(20); {
		case x == 0:
			*k++
			for p := range partitions {
				tb.barrier(p, *k, "")
				if tb.r.IntN(4) == 0 {
					tb.barrier(p, *k, "") // a retried append
				}
			}
		case x == 1:
			f := tb.rows(1, 3)
			tb.append(p, f)
			tb.append(p, f) // a retried append
		default:
			tb.send(p, uint32(1+tb.r.IntN(3)*tb.r.IntN(2)), 1+tb.r.IntN(40))
		}
	}
}

func TestEveryRowIsSealedOnceWhateverTheRestarts(t *testing.T) {
	t.Parallel()
	for seed := range uint64(4) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			tb := setup(t, seed)
			k := uint64(0)
			for range 5 {
				a := tb.open(tb.bucket, "")
				s := tb.start(a, SealerOptions{MaxRows: 1 + tb.r.Int64N(200), MaxAge: time.Minute})
				tb.traffic(&k, 30)
				switch tb.r.IntN(3) {
				case 0:
					tb.rest(s)
				case 1:
					tb.sealed(s)
				}
				s.Stop()
				for p, st := range s.Stats() {
					if st.Err != nil || st.Missing < 0 {
						t.Fatalf("partition %d: %+v", p, st)
					}
				}
				tb.checkArchive(tb.open(tb.bucket, ""))
			}
			k++
			for p := range partitions {
				tb.barrier(p, k, "")
			}
			a := tb.open(tb.bucket, "")
			s := tb.seal(a, SealerOptions{})
			tb.checkArchive(a)
			for p := range partitions {
				_, next, _ := tb.log.Bounds(t.Context(), p)
				at, ok, err := a.BarrierAt(t.Context(), p, k, 0)
				if err != nil || !ok || at+1 != next || s.Sealed()[p] != next {
					t.Fatalf("partition %d: barrier %d at %d %t %v, sealed %d, log ends at %d", p, k, at, ok, err, s.Sealed()[p], next)
				}
			}
		})
	}
}

func TestTheNthBucketCallFails(t *testing.T) {
	t.Parallel()
	for _, harm := range []struct {
		name string
		rule func(n int) faultbucket.Rule
	}{
		{"has no effect", func(n int) faultbucket.Rule { return faultbucket.Nth(n, faultbucket.Harm{Kind: fault.Transient}) }},
		{"has an effect and no answer", func(n int) faultbucket.Rule {
			return faultbucket.Nth(n, faultbucket.Harm{Kind: fault.Transient, After: true})
		}},
		{"is the last of the process", func(n int) faultbucket.Rule { return faultbucket.From(n, faultbucket.Harm{Kind: fault.Transient}) }},
		{"is the last of the process, its effect stays", func(n int) faultbucket.Rule {
			return faultbucket.From(n, faultbucket.Harm{Kind: fault.Transient, After: true})
		}},
	} {
		for n := 0; ; n++ {
			done := false
			t.Run(fmt.Sprintf("%s, call %d", harm.name, n), func(t *testing.T) {
				tb := setup(t, 3)
				k := uint64(0)
				tb.traffic(&k, 16)
				calls := 0
				faulty := faultbucket.Wrap(tb.bucket, harm.rule(n))
				s := NewSealer(tb.open(faulty, ""), tb.log, SealerOptions{MaxRows: 60, MaxAge: time.Minute})
				if err := s.Start(context.Background()); err == nil {
					// Done, or dead: no call succeeds any more.
					tb.until(s, "it is done or dead", func() bool {
						return len(faulty.Calls()) > n+30 || tb.upTo(s, func(st SealerStats) uint64 { return st.Sealed })
					})
				} else if !fault.Is(err, fault.Transient) {
					t.Fatal(err)
				}
				s.Stop()
				calls = len(faulty.Calls())
				tb.checkArchive(tb.open(tb.bucket, ""))
				a := tb.open(tb.bucket, "")
				s = tb.start(a, SealerOptions{MaxRows: 60, MaxAge: time.Minute})
				tb.sealed(s)
				s.Stop()
				tb.checkArchive(a)
				for p := range partitions {
					if _, next, _ := tb.log.Bounds(t.Context(), p); s.Sealed()[p] != next {
						t.Fatalf("%s, call %d: partition %d is sealed up to %d of %d", harm.name, n, p, s.Sealed()[p], next)
					}
				}
				done = n >= calls
			})
			if done || t.Failed() {
				t.Logf("a call that %s: %d calls", harm.name, n)
				break
			}
		}
	}
}

func TestSealersSideBySide(t *testing.T) {
	t.Parallel()
	for seed := range uint64(4) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			tb := setup(t, 100+seed)
			k := uint64(0)
			var all []*Sealer
			for i := range 3 {
				all = append(all, tb.start(tb.open(tb.bucket, ""), SealerOptions{MaxRows: int64(50 * (i + 1)), MaxAge: time.Duration(i+1) * time.Second}))
			}
			for range 10 {
				tb.traffic(&k, 15)
				tb.clock.Advance(700 * time.Millisecond)
			}
			for _, s := range all {
				tb.sealed(s)
			}
			for _, s := range all {
				s.Stop()
			}
			tb.checkArchive(tb.open(tb.bucket, ""))
			for p := range partitions {
				_, next, _ := tb.log.Bounds(t.Context(), p)
				for i, s := range all {
					if st := s.Stats()[p]; st.Sealed != next || st.Err != nil {
						t.Fatalf("sealer %d, partition %d: %+v, log ends at %d", i, p, st, next)
					}
				}
			}
		})
	}
}

func TestBarriers(t *testing.T) {
	t.Parallel()
	tb := setup(t, 1)
	ctx := t.Context()
	a := tb.open(tb.bucket, "")
	at := func(k, from uint64) string {
		offset, ok, err := a.BarrierAt(ctx, 0, k, from)
		if err != nil {
			return err.Error()
		}
		return fmt.Sprintf("%d %t", offset, ok)
	}
	if got := at(1, 0); got != "0 false" {
		t.Fatal(got)
	}
	first := tb.barrier(0, 1, "import-7") // nothing before it
	tb.send(0, 1, 5)
	two := tb.barrier(0, 2, "")
	tb.barrier(0, 2, "") // retried
	tb.barrier(0, 1, "") // retried late
	tb.send(0, 1, 5)
	three := tb.barrier(0, 3, "")
	tb.send(0, 1, 5) // stays open
	s := tb.seal(a, SealerOptions{})
	chain, err := a.Segments(ctx, 0, 0)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, s := range chain {
		got = append(got, fmt.Sprintf("%d rows, barrier %d%s", s.Rows, s.Barrier, s.Admit))
	}
	want := "0 rows, barrier 1import-7; 5 rows, barrier 2; 0 rows, barrier 2; 0 rows, barrier 1; 5 rows, barrier 3"
	if strings.Join(got, "; ") != want {
		t.Fatalf("got  %s\nwant %s", strings.Join(got, "; "), want)
	}
	for _, c := range []struct {
		k, from uint64
		want    string
	}{
		{1, 0, fmt.Sprint(first, " true")},
		{2, 0, fmt.Sprint(two, " true")},
		{2, first + 1, fmt.Sprint(two, " true")},
		{3, two + 1, fmt.Sprint(three, " true")},
		{4, 0, "0 false"},
		{4, three + 1, "0 false"},
	} {
		if got := at(c.k, c.from); got != c.want {
			t.Fatalf("barrier %d from %d: %s, want %s", c.k, c.from, got, c.want)
		}
	}
	if s.Sealed()[0] != three+1 || s.Sealed()[1] != 0 {
		t.Fatal(s.Sealed())
	}
	if _, err := a.Segments(ctx, 0, two); !fault.Is(err, fault.Corrupt) {
		t.Fatalf("no segment begins there: %v", err)
	}
	tb.checkArchive(a)
}

func TestAgeSealsOnlyWhatIsThere(t *testing.T) {
	t.Parallel()
	tb := setup(t, 1)
	a := tb.open(tb.bucket, "")
	s := tb.start(a, SealerOptions{MaxAge: time.Minute})
	defer s.Stop()
	tb.clock.Advance(time.Hour)
	offset := tb.send(1, 1, 1)
	for changed := s.changed(); s.Stats()[1].Read <= offset; changed = s.changed() {
		<-changed
	}
	if n := names(t, tb.bucket, ""); len(n) != 0 {
		t.Fatal(n)
	}
	tb.clock.Advance(59 * time.Second)
	if s.Sealed()[1] != 0 {
		t.Fatal("sealed before its age")
	}
	tb.clock.Advance(2 * time.Second)
	tb.sealed(s)
	if s.Sealed()[1] != offset+1 {
		t.Fatal(s.Sealed(), offset)
	}
	tb.clock.Advance(time.Hour)
	if n := names(t, tb.bucket, ""); len(n) != 1 {
		t.Fatal(n)
	}
}

func TestACorruptFrameStopsItsPartition(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		bad  func(tb *testBundle) []byte
		kind fault.Kind
	}{
		{"a flipped bit", func(tb *testBundle) []byte { f := tb.rows(1, 2); f[len(f)/2] ^= 4; return f }, fault.Corrupt},
		{"another pipeline", func(tb *testBundle) []byte {
			return tb.frame(event.Header{Kind: event.Barrier, Pipeline: "other", Barrier: 1}, nil)
		}, fault.Corrupt},
		{"a body that is none", func(tb *testBundle) []byte {
			f, _ := event.AppendFrame(nil, event.Header{Kind: event.Rows, Pipeline: "shop", Schema: 1, Rows: 1}, []byte("body"))
			return f
		}, fault.Corrupt},
		{"a row too many in the header", func(tb *testBundle) []byte {
			return tb.frame(event.Header{Kind: event.Rows, Pipeline: "shop", Schema: 1, Rows: 3}, tb.batch(1, 2))
		}, fault.Corrupt},
		{"an unknown schema", func(tb *testBundle) []byte {
			f, _ := event.AppendFrame(nil, event.Header{Kind: event.Rows, Pipeline: "shop", Schema: 9, Rows: 1}, []byte("body"))
			return f
		}, fault.Invalid},
		{"an unknown kind", func(tb *testBundle) []byte {
			f, _ := event.AppendFrame(nil, event.Header{Kind: 77, Pipeline: "shop"}, nil)
			return f
		}, fault.Invalid},
	} {
		t.Run(c.name, func(t *testing.T) {
			tb := setup(t, 1)
			good := tb.send(1, 1, 4)
			bad := tb.append(1, c.bad(tb))
			tb.send(1, 1, 4)
			other := tb.send(2, 1, 4)
			a := tb.open(tb.bucket, "")
			s := tb.start(a, SealerOptions{MaxAge: time.Minute})
			tb.sealed(s)
			s.Stop()
			st := s.Stats()[1]
			if st.Sealed != good+1 || !fault.Is(st.Err, c.kind) || !strings.Contains(st.Err.Error(), fmt.Sprintf("partition 1, offset %d", bad)) {
				t.Fatalf("%s: %+v", c.name, st)
			}
			if st := s.Stats()[2]; st.Sealed != other+1 || st.Err != nil {
				t.Fatalf("%s: the other partition: %+v", c.name, st)
			}
		})
	}
}

func TestALogTrimmedTooFarIsReported(t *testing.T) {
	t.Parallel()
	tb := setup(t, 1)
	tb.send(0, 1, 1)
	end := tb.send(0, 1, 1) + 1
	if err := tb.log.Trim(t.Context(), 0, end); err != nil {
		t.Fatal(err)
	}
	s := tb.seal(tb.open(tb.bucket, ""), SealerOptions{})
	if st := s.Stats()[0]; !fault.Is(st.Err, fault.Corrupt) || !strings.Contains(st.Err.Error(), "partition 0") {
		t.Fatalf("%+v", st)
	}
}

func TestSealingGoesOnBehindTheCutAndATrimmedLog(t *testing.T) {
	t.Parallel()
	tb := setup(t, 1)
	tb.send(0, 1, 3)
	cut := event.Cut{tb.barrier(0, 1, "") + 1, tb.barrier(1, 1, "") + 1, tb.barrier(2, 1, "") + 1}
	a := tb.open(tb.bucket, "")
	tb.seal(a, SealerOptions{})
	if err := a.Publish(t.Context(), &Manifest{Version: 1, K: 1, Cut: cut}); err != nil {
		t.Fatal(err)
	}
	for p := range partitions {
		if err := tb.log.Trim(t.Context(), p, cut[p]); err != nil {
			t.Fatal(err)
		}
	}
	tb.send(0, 1, 3)
	two := tb.barrier(0, 2, "")
	calls := faultbucket.Wrap(tb.bucket, nil)
	s := tb.seal(tb.open(calls, ""), SealerOptions{})
	if s.Sealed()[0] != two+1 || s.Sealed()[1] != cut[1] {
		t.Fatal(s.Sealed(), two, cut)
	}
	for _, c := range calls.Calls() {
		if c.Op == faultbucket.Range {
			t.Fatalf("read %s: what lies below the cut need not be looked at", c.Name)
		}
	}
	if got, err := a.Segments(t.Context(), 0, cut[0]); err != nil || len(got) != 1 || got[0].Barrier != 2 {
		t.Fatal(got, err)
	}
}

func TestProducersAreCounted(t *testing.T) {
	t.Parallel()
	c := newContinuity(&segmentMeta{Producers: map[string]uint64{"old": 41}})
	for _, step := range []struct {
		producer string
		sequence uint64
		repeat   bool
		missing  int64
	}{
		{"old", 42, false, 0},
		{"old", 42, true, 0},
		{"old", 41, true, 0},
		{"new", 7, false, 0}, // who knows what came before
		{"new", 8, false, 0},
		{"new", 11, false, 2},
		{"old", 43, false, 2},
		{"new", 10, false, 1}, // late
		{"new", 10, true, 1},
		{"new", 12, false, 1},
		{"new", 9, false, 0},
		{"new", 0, false, 0}, // unnumbered
		{"new", 13 + 5000, false, 5000},
		{"new", 13, true, 5000}, // lost for good by now
	} {
		repeat, _ := c.next(step.producer, step.sequence)
		if repeat != step.repeat || c.missing != step.missing {
			t.Fatalf("%+v: repeat %t, missing %d", step, repeat, c.missing)
		}
	}
}

// TestRowsAreReadAsTheVersionTheyWereWrittenIn: read up by way of version 2,
// a row of version 1 would get another note than directly.
func TestRowsAreReadAsTheVersionTheyWereWrittenIn(t *testing.T) {
	t.Parallel()
	tb := setup(t, 1)
	for range 5 {
		tb.send(0, 1, 2)
		tb.send(0, 2, 2)
		tb.send(0, 3, 2)
	}
	tb.barrier(0, 1, "")
	a := tb.open(tb.bucket, "")
	tb.seal(a, SealerOptions{})
	tb.checkArchive(a)
	chain, err := a.Segments(t.Context(), 0, 0)
	if err != nil || len(chain) != 1 {
		t.Fatal(chain, err)
	}
	defaults := 0
	err = a.ReadSegment(t.Context(), chain[0], func(b *event.Batch, offsets []uint64, _ []int32) error {
		if b.Shape != tb.set.Newest().Shape() {
			t.Error("not the newest shape")
		}
		for i := range b.N {
			if string(b.Column("note").Bytes(i)) == "three" {
				defaults++
			}
			if i > 0 && offsets[i] < offsets[i-1] {
				t.Error("one version is not in log order")
			}
		}
		return nil
	})
	if err != nil || defaults != 10 {
		t.Fatal(defaults, err)
	}
}

func TestDamagedSegmentsAreNamed(t *testing.T) {
	t.Parallel()
	tb := setup(t, 1)
	tb.send(0, 1, 20)
	tb.send(0, 3, 20)
	tb.barrier(0, 1, "")
	tb.seal(tb.open(tb.bucket, ""), SealerOptions{})
	chain, err := tb.open(tb.bucket, "").Segments(t.Context(), 0, 0)
	if err != nil {
		t.Fatal(err)
	}
	flips(t, tb.bucket, chain[0].Name, 3, func() error {
		return tb.open(tb.bucket, "").ReadSegment(t.Context(), chain[0], func(*event.Batch, []uint64, []int32) error { return nil })
	})
	// The footer alone, where the chain is read from.
	good := object(t, tb.bucket, chain[0].Name)
	for i := len(good) - 100; i < len(good); i++ {
		bad := append([]byte(nil), good...)
		bad[i] ^= 1
		replace(t, tb.bucket, chain[0].Name, bad)
		if _, err := tb.open(tb.bucket, "").Segments(t.Context(), 0, 0); !fault.Is(err, fault.Corrupt) || !strings.Contains(err.Error(), chain[0].Name) {
			t.Fatal(i, err)
		}
	}
}

func TestAGapInTheChainIsNamed(t *testing.T) {
	t.Parallel()
	tb := setup(t, 1)
	for k := range uint64(4) {
		tb.send(0, 1, 2)
		tb.barrier(0, k+1, "")
	}
	a := tb.open(tb.bucket, "")
	tb.seal(a, SealerOptions{})
	chain, err := a.Segments(t.Context(), 0, 0)
	if err != nil || len(chain) != 4 {
		t.Fatal(chain, err)
	}
	if err := tb.bucket.Delete(t.Context(), chain[1].Name); err != nil {
		t.Fatal(err)
	}
	if _, err := a.Segments(t.Context(), 0, 0); !fault.Is(err, fault.Corrupt) || !strings.Contains(err.Error(), chain[2].Name) {
		t.Fatal(err)
	}
	if got, err := a.Segments(t.Context(), 0, chain[2].From); err != nil || len(got) != 2 {
		t.Fatal(got, err)
	}
}
