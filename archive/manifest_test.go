package archive

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"anabranch/bucket/faultbucket"
	"anabranch/event"
	"anabranch/fault"
	"anabranch/internal/packed"
)

// next returns a manifest that follows m.
func next(m *Manifest, by string) *Manifest {
	n := *m
	n.Version, n.Parent, n.By = m.Version+1, m.Hash(), by
	n.K, n.Cut = m.K+1, m.Cut.Clone()
	for p := range n.Cut {
		n.Cut[p] += 10
	}
	return &n
}

func (tb *testBundle) newest(a *Archive) *Manifest {
	tb.Helper()
	m, err := a.Newest(context.Background())
	if err != nil {
		tb.Fatal(err)
	}
	return m
}

func (tb *testBundle) publish(a *Archive, m *Manifest) {
	tb.Helper()
	if err := a.Publish(context.Background(), m); err != nil {
		tb.Fatal(err)
	}
}

func TestPublishAndNewest(t *testing.T) {
	t.Parallel()
	tb := setup(t, 41)
	a := tb.open(tb.bucket, "")
	m := tb.newest(a)
	if m.Version != 0 || m.K != 0 || m.Cut.String() != "0,0,0" || m.Hash() != "" || len(m.Runs) != partitions || m.Views == nil {
		t.Fatalf("%+v", m)
	}
	var hashes []string
	for i := range 5 {
		m = next(m, fmt.Sprint("run ", i))
		m.Created = tb.clock.Now()
		m.Views = map[string]*ViewFiles{"sales": {Version: "abc", Live: map[int32]string{}}}
		tb.publish(a, m)
		tb.publish(a, m) // a retry
		hashes = append(hashes, m.Hash())
		for _, reader := range []*Archive{a, tb.open(tb.bucket, "")} {
			got := tb.newest(reader)
			if got.Version != m.Version || got.Hash() != m.Hash() || got.By != m.By || !got.Created.Equal(m.Created) || got.Cut.String() != m.Cut.String() {
				t.Fatalf("%+v, want %+v", got, m)
			}
			m = got
		}
	}
	for v := uint64(1); v <= 5; v++ {
		m, err := tb.open(tb.bucket, "").Manifest(t.Context(), v)
		if err != nil || m.Hash() != hashes[v-1] || v > 1 && m.Parent != hashes[v-2] {
			t.Fatalf("version %d: %+v %v", v, m, err)
		}
	}
	if _, err := a.Manifest(t.Context(), 6); !fault.Is(err, fault.NotFound) {
		t.Fatal(err)
	}
}

func TestNewestIsCheapBehindManyManifests(t *testing.T) {
	t.Parallel()
	tb := setup(t, 42)
	w := tb.open(tb.bucket, "")
	calls := faultbucket.Wrap(tb.bucket, nil)
	a := tb.open(calls, "")
	m := tb.newest(w)
	for range 50 {
		m = next(m, "x")
		tb.publish(w, m)
	}
	if tb.newest(a).Version != 50 || len(calls.Calls()) != 2 {
		t.Fatal(calls.Calls())
	}
	calls.Set(nil)
	first := tb.newest(a)
	if again := tb.newest(a); again != first || len(calls.Calls()) != 2 {
		t.Fatal(calls.Calls()) // two lists, no read
	}
}

// TestWhatWasPublishedHereIsNotReadBack: the next reader gets what another
// process would read, and nobody has seen it before.
func TestWhatWasPublishedHereIsNotReadBack(t *testing.T) {
	t.Parallel()
	tb := setup(t, 48)
	calls := faultbucket.Wrap(tb.bucket, nil)
	a, other := tb.open(calls, ""), tb.open(tb.bucket, "")
	one := next(tb.newest(a), "x")
	one.Created = time.Now().UTC()
	one.Days = []DayFile{{Name: "gone", Days: []DayRows{{Day: 4, Rows: 5, RowGroups: []int{0}}}, Segments: []string{"s"}, Gone: true}}
	one.Views = map[string]*ViewFiles{"v": {Version: "1", Live: map[int32]string{}}}
	one.Serves, one.Canary, one.FilteredBy = map[string]string{}, map[string]float64{"v": 12.5}, map[string]int64{}
	one.Accounts, one.Raw = []Account{}, []RawBorder{}
	tb.publish(a, one)
	if m := a.Known(); m != nil {
		t.Fatalf("known before anybody has looked: %+v", m)
	}
	for _, m := range []*Manifest{tb.newest(a), a.Known()} {
		if want := tb.newest(other); !reflect.DeepEqual(m, want) {
			t.Fatalf("got  %+v\nwant %+v", m, want)
		}
	}
	for _, c := range calls.Calls() {
		if c.Op == faultbucket.Get {
			t.Fatal(calls.Calls())
		}
	}
	// Another one's version is read; and what was published here last is not
	// taken for it.
	two := next(one, "y")
	tb.publish(a, two)
	tb.publish(other, next(two, "z"))
	if m := tb.newest(a); m.Version != 3 || m.By != "z" {
		t.Fatalf("%+v", m)
	}
	// Whoever has lost has published nothing.
	four := next(tb.newest(other), "winner")
	tb.publish(other, four)
	lost := next(tb.newest(tb.open(tb.bucket, "")), "x")
	lost.Version = 4
	if err := a.Publish(t.Context(), lost); !fault.Is(err, fault.Conflict) || tb.newest(a).By != "winner" {
		t.Fatal(err, tb.newest(a))
	}
}

func TestOneOfManyPublishes(t *testing.T) {
	t.Parallel()
	tb := setup(t, 43)
	a := tb.open(tb.bucket, "")
	for range 10 {
		parent := tb.newest(a)
		errs := make([]error, 16)
		var wg sync.WaitGroup
		start := make(chan struct{})
		for i := range errs {
			by := a
			if i%2 == 0 {
				by = tb.open(tb.bucket, "") // another process
			}
			m := next(parent, fmt.Sprint("runner ", i))
			wg.Go(func() {
				<-start
				errs[i] = by.Publish(context.Background(), m)
			})
		}
		close(start)
		wg.Wait()
		won := []int{}
		for i, err := range errs {
			if err == nil {
				won = append(won, i)
			} else if !fault.Is(err, fault.Conflict) {
				t.Fatal(err)
			}
		}
		if len(won) != 1 || tb.newest(a).By != fmt.Sprint("runner ", won[0]) || tb.newest(a).Version != parent.Version+1 {
			t.Fatal(won, tb.newest(a).By)
		}
	}
}

// The other run publishes in the last moment, when this one has already seen
// that it is the next.
func TestTheLaterOfTwoLoses(t *testing.T) {
	t.Parallel()
	tb := setup(t, 44)
	parent := tb.newest(tb.open(tb.bucket, ""))
	first, second := next(parent, "first"), next(parent, "second")
	bucket := faultbucket.Wrap(tb.bucket, func(c faultbucket.Call) (faultbucket.Harm, bool) {
		if c.Op == faultbucket.Put {
			if err := tb.open(tb.bucket, "").Publish(t.Context(), first); err != nil {
				t.Error(err)
			}
		}
		return faultbucket.Harm{}, false
	})
	a := tb.open(bucket, "")
	if err := a.Publish(t.Context(), second); !fault.Is(err, fault.Conflict) {
		t.Errorf("the later is told: %v", err)
	}
	for _, by := range []*Archive{a, tb.open(tb.bucket, "")} {
		if m := tb.newest(by); m.By != "first" || m.Hash() != first.Hash() {
			t.Errorf("%s has published", m.By)
		}
	}
}

func TestPublishRefusesWhatDoesNotFollow(t *testing.T) {
	t.Parallel()
	tb := setup(t, 44)
	a := tb.open(tb.bucket, "")
	one := next(tb.newest(a), "x")
	tb.publish(a, one)
	two := next(one, "x")
	tb.publish(a, two)
	for name, c := range map[string]struct {
		change func(m *Manifest)
		kind   fault.Kind
	}{
		"planned from an older one":          {func(m *Manifest) { *m = *next(one, "y") }, fault.Conflict},
		"leaves out a number":                {func(m *Manifest) { m.Version++ }, fault.Conflict},
		"planned from another one":           {func(m *Manifest) { m.Parent = one.Hash() }, fault.Conflict},
		"an older barrier":                   {func(m *Manifest) { m.K = 1 }, fault.Conflict},
		"a cut that goes back":               {func(m *Manifest) { m.Cut[1] = 3 }, fault.Conflict},
		"another cut of the same barrier":    {func(m *Manifest) { m.K = 2 }, fault.Bug},
		"no version":                         {func(m *Manifest) { m.Version = 0 }, fault.Bug},
		"a cut of other partitions":          {func(m *Manifest) { m.Cut = event.Cut{100, 100} }, fault.Bug},
		"a run of another partition":         {func(m *Manifest) { m.Runs = [][]Run{{{Name: "r", Partition: 1}}} }, fault.Bug},
		"a day that lives nowhere":           {func(m *Manifest) { m.Views = map[string]*ViewFiles{"v": {Live: map[int32]string{1: "s"}}} }, fault.Bug},
		"a file that is not there":           {func(m *Manifest) { m.Days = []DayFile{{Name: "shop/days/none"}} }, fault.NotFound},
		"a file that is shorter than it was": {func(m *Manifest) { m.Days = []DayFile{{Name: a.manifestName(1), Size: 1}} }, fault.Corrupt},
	} {
		m := next(two, "y")
		c.change(m)
		if err := a.Publish(t.Context(), m); !fault.Is(err, c.kind) {
			t.Errorf("%s: %v, want %v", name, err, c.kind)
		}
	}
	backfill := next(two, "z")
	backfill.K, backfill.Cut = two.K, two.Cut
	tb.publish(a, backfill)
	if tb.newest(a).Version != 3 {
		t.Fatal("not published")
	}
}

func TestPublishWhenTheNthCallFails(t *testing.T) {
	t.Parallel()
	for _, after := range []bool{false, true} {
		for n := 0; ; n++ {
			tb := setup(t, 45)
			w := tb.open(tb.bucket, "")
			one := next(tb.newest(w), "x")
			tb.publish(w, one)
			f, err := w.WriteResult(t.Context(), "v", "1", "p", 0, "", tb.groups(1, 1))
			if err != nil {
				t.Fatal(err)
			}
			two := next(one, "y")
			two.Views = map[string]*ViewFiles{"v": {Version: "1", Results: []ResultFile{f}}}
			faulty := faultbucket.Wrap(tb.bucket, faultbucket.Nth(n, faultbucket.Harm{Kind: fault.Transient, After: after}))
			a := tb.open(faulty, "")
			failed := a.Publish(t.Context(), two)
			if failed != nil && !fault.Is(failed, fault.Transient) {
				t.Fatalf("call %d: %v", n, failed)
			}
			if got := tb.newest(w); got.Version != 1 && got.Hash() != two.Hash() {
				t.Fatalf("call %d: %+v", n, got)
			}
			if failed == nil {
				break
			}
			tb.publish(a, two)
			if got := tb.newest(w); got.Version != 2 || got.Hash() != two.Hash() {
				t.Fatalf("call %d: %+v", n, got)
			}
		}
	}
}

// TestTheLastWholeManifestStandsIn: a damaged newest manifest is named, and
// the one before is served until it is set aside; nothing is published.
func TestTheLastWholeManifestStandsIn(t *testing.T) {
	t.Parallel()
	tb := setup(t, 46)
	a := tb.open(tb.bucket, "")
	one := next(tb.newest(a), "x")
	tb.publish(a, one)
	known := tb.open(tb.bucket, "")
	tb.newest(known)
	tb.publish(a, next(one, "y"))
	flips(t, tb.bucket, a.manifestName(2), 1, func() error {
		fresh := tb.open(tb.bucket, "")
		_, err := fresh.Manifest(t.Context(), 2)
		if m, again := fresh.Newest(t.Context()); again != nil || (m.Version == 1) != (err != nil) {
			t.Fatalf("manifest 2: %v; the newest is %+v, %v", err, m, again)
		}
		return err
	})
	replace(t, tb.bucket, a.manifestName(2), []byte("nothing"))
	for range 2 {
		if m, err := known.Newest(t.Context()); err != nil || m.Hash() != one.Hash() {
			t.Fatal(m, err)
		}
	}
	if err := known.Publish(t.Context(), next(one, "z")); !fault.Is(err, fault.Corrupt) || !strings.Contains(err.Error(), a.manifestName(2)) {
		t.Fatal(err)
	}
	if err := known.SetManifestAside(t.Context(), 1); !fault.Is(err, fault.Invalid) {
		t.Fatal(err)
	}
	if err := known.SetManifestAside(t.Context(), 2); err != nil {
		t.Fatal(err)
	}
	tb.publish(known, next(one, "z"))
	if m := tb.newest(tb.open(tb.bucket, "")); m.Version != 2 || m.By != "z" {
		t.Fatalf("%+v", m)
	}
	tb.publish(known, next(tb.newest(known), "3"))
	for _, spoilt := range []uint64{1, 2} { // no other can be read
		replace(t, tb.bucket, a.manifestName(spoilt), []byte("nothing"))
	}
	if m := tb.newest(tb.open(tb.bucket, "")); m.Version != 3 {
		t.Fatalf("%+v", m)
	}
	replace(t, tb.bucket, a.manifestName(3), []byte("nothing"))
	if _, err := tb.open(tb.bucket, "").Newest(t.Context()); !fault.Is(err, fault.Corrupt) || !strings.Contains(err.Error(), a.manifestName(3)) {
		t.Fatal(err)
	}
}

func TestABrokenHistoryIsNamed(t *testing.T) {
	t.Parallel()
	tb := setup(t, 47)
	a := tb.open(tb.bucket, "")
	one := next(tb.newest(a), "x")
	tb.publish(a, one)
	tb.newest(a)
	for name, m := range map[string]*Manifest{
		"another parent":  {Format: 1, Version: 2, K: 2, Cut: event.Cut{9, 9, 9}, Parent: strings.Repeat("0", 64)},
		"another version": {Format: 1, Version: 7, K: 2, Cut: event.Cut{9, 9, 9}, Parent: one.Hash()},
	} {
		text, _ := json.Marshal(m)
		object, err := packed.Pack(text)
		if err != nil {
			t.Fatal(err)
		}
		replace(t, tb.bucket, a.manifestName(2), object)
		m, err := a.Newest(t.Context())
		if name == "another version" { // it cannot be read as what its name says
			if err != nil || m.Version != 1 {
				t.Fatalf("%s: %v, %v", name, m, err)
			}
		} else if !fault.Is(err, fault.Corrupt) || !strings.Contains(err.Error(), a.manifestName(2)) {
			t.Fatalf("%s: %v", name, err)
		}
	}
	text, _ := json.Marshal(&Manifest{Format: 2, Version: 2, Parent: one.Hash()})
	object, _ := packed.Pack(text)
	replace(t, tb.bucket, a.manifestName(2), object)
	if _, err := a.Newest(t.Context()); !fault.Is(err, fault.Invalid) {
		t.Fatalf("a newer format: %v", err)
	}
}

func TestHashSurvivesStorage(t *testing.T) {
	t.Parallel()
	m := &Manifest{
		Version: 3, K: 2, Cut: event.Cut{1}, Created: time.Date(2026, 1, 1, 0, 0, 0, 5, time.FixedZone("x", 3600)), Kind: "nightly",
		Runs: [][]Run{nil, {}}, Days: []DayFile{{Days: []DayRows{{Day: -4}}}}, Views: map[string]*ViewFiles{"v": {Live: map[int32]string{-1: "a", 5: "b"}}},
	}
	text, err := m.encode()
	if err != nil {
		t.Fatal(err)
	}
	object, err := packed.Pack(text)
	if err != nil {
		t.Fatal(err)
	}
	got, err := decodeManifest("n", 3, object)
	if err != nil || got.Hash() != m.Hash() || len(got.Hash()) != 64 {
		t.Fatal(got, err)
	}
	again, err := got.encode()
	if err != nil || !bytes.Equal(again, text) {
		t.Fatalf("%s\n%s", again, text)
	}
	change := *got
	change.Version, change.Reason = 4, "another one"
	if change.Hash() == got.Hash() {
		t.Fatal("a changed copy has the old hash")
	}
}

func TestCollectKeepsWhatIsReferenced(t *testing.T) {
	t.Parallel()
	for seed := range uint64(6) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			tb := setup(t, 500+seed)
			ctx := context.Background()
			a := tb.open(tb.bucket, "")
			const minAge = 48 * time.Hour
			keep := 1 + tb.r.IntN(4)
			m := tb.newest(a)
			history := map[uint64]*Manifest{0: m}
			died := map[string]time.Time{} // orphan -> when it was written
			work := map[string][]string{}  // run -> what its notes mention
			worked := map[string]time.Time{}
			segment := a.segmentName(0, 0)
			replace(t, tb.bucket, segment, []byte("a segment stays"))
			for step := range 60 {
				tb.clock.Advance(time.Duration(tb.r.IntN(20)) * time.Hour)
				result := func() ResultFile {
					f, err := a.WriteResult(ctx, "v", "1", fmt.Sprint(step), tb.r.IntN(9), "", tb.groups(int32(step), 1+tb.r.IntN(3)))
					if err != nil {
						t.Fatal(err)
					}
					return f
				}
				switch tb.r.IntN(4) {
				case 0: // a run that dies
					died[result().Name] = tb.clock.Now()
				case 1: // a run that is under way
					run := fmt.Sprint("run-", step%7)
					f := result()
					work[run] = append(work[run], f.Name)
					note, _ := json.Marshal(map[string]any{"made": f, "n": len(work[run])})
					if err := a.PutWork(ctx, run, fmt.Sprintf("step-%d.json", step), note); err != nil {
						t.Fatal(err)
					}
					worked[run] = tb.clock.Now()
				default: // a batch
					m = next(m, fmt.Sprint(step))
					m.Created = tb.clock.Now()
					keep := slices.Clone(m.viewResults())
					if len(keep) > 2 {
						keep = keep[1:]
					}
					run, err := a.WriteRun(ctx, 0, m.K, "", []Entry{{ID: event.ID{Hi: uint64(step)}}})
					if err != nil {
						t.Fatal(err)
					}
					m.Runs = [][]Run{{run}}
					m.Views = map[string]*ViewFiles{"v": {Version: "1", Results: append(keep, result())}}
					tb.publish(a, m)
					history[m.Version] = m
				}
				if _, err := a.Collect(ctx, keep, minAge); err != nil {
					t.Fatal(err)
				}
				there := map[string]bool{}
				for _, n := range names(t, tb.bucket, "") {
					there[n] = true
				}
				now := tb.clock.Now()
				if !there[segment] {
					t.Fatal("a segment was deleted")
				}
				for v := uint64(1); v <= m.Version; v++ {
					if !there[a.manifestName(v)] {
						t.Fatalf("manifest %d was deleted", v)
					}
					newestSince := v == m.Version || !history[v+1].Created.Before(now.Add(-minAge))
					if v+uint64(keep) > m.Version || newestSince {
						for _, f := range history[v].files() {
							if !there[f.name] {
								t.Fatalf("step %d, keep %d: %s of manifest %d of %d was deleted", step, keep, f.name, v, m.Version)
							}
						}
					}
				}
				for name, at := range died {
					if young := !at.Before(now.Add(-minAge)); young && !there[name] || !young && there[name] {
						t.Fatalf("step %d: orphan %s of %v, now %v: there %t", step, name, at, now, there[name])
					}
				}
				for run, made := range work {
					young := !worked[run].Before(now.Add(-minAge))
					notes, err := a.ListWork(ctx, run)
					if err != nil || young != (len(notes) > 0) {
						t.Fatalf("step %d: notes of %s: %v %v", step, run, notes, err)
					}
					if !young {
						delete(work, run)
						continue
					}
					for _, name := range made {
						if !there[name] {
							t.Fatalf("step %d: %s of unfinished %s was deleted", step, name, run)
						}
					}
				}
			}
		})
	}
}

func (m *Manifest) viewResults() []ResultFile {
	if m.Views["v"] == nil {
		return nil
	}
	return m.Views["v"].Results
}

func TestCollectDeletesNothingWhenAManifestIsDamaged(t *testing.T) {
	t.Parallel()
	tb := setup(t, 48)
	a := tb.open(tb.bucket, "")
	one := next(tb.newest(a), "x")
	tb.publish(a, one)
	tb.publish(a, next(one, "y"))
	f, err := a.WriteResult(t.Context(), "v", "1", "p", 0, "", tb.groups(1, 1))
	if err != nil {
		t.Fatal(err)
	}
	tb.clock.Advance(1000 * time.Hour)
	replace(t, tb.bucket, a.manifestName(2), []byte("nothing"))
	a = tb.open(tb.bucket, "")
	if n, err := a.Collect(t.Context(), 1, time.Hour); !fault.Is(err, fault.Corrupt) || n != 0 {
		t.Fatal(n, err)
	}
	if _, err := tb.bucket.Stat(t.Context(), f.Name); err != nil {
		t.Fatal(err)
	}
	if err := tb.bucket.Delete(t.Context(), a.manifestName(2)); err != nil {
		t.Fatal(err)
	}
	if n, err := a.Collect(t.Context(), 1, time.Hour); err != nil || n != 1 {
		t.Fatal(n, err)
	}
}

func TestWorkNotes(t *testing.T) {
	t.Parallel()
	tb := setup(t, 49)
	a := tb.open(tb.bucket, "")
	for _, body := range []string{"first", "second"} {
		if err := a.PutWork(t.Context(), "run-1", "fold/3.json", []byte(body)); err != nil {
			t.Fatal(err)
		}
	}
	if err := a.PutWork(t.Context(), "run-1", "plan.json", nil); err != nil {
		t.Fatal(err)
	}
	if got, err := a.GetWork(t.Context(), "run-1", "fold/3.json"); err != nil || string(got) != "second" {
		t.Fatal(string(got), err)
	}
	if got, err := a.ListWork(t.Context(), "run-1"); err != nil || !slices.Equal(got, []string{"fold/3.json", "plan.json"}) {
		t.Fatal(got, err)
	}
	if _, err := a.GetWork(t.Context(), "run-1", "none"); !fault.Is(err, fault.NotFound) {
		t.Fatal(err)
	}
	if err := a.PutWork(t.Context(), "a/b", "c", nil); !fault.Is(err, fault.Invalid) {
		t.Fatal(err)
	}
	name := a.workPrefix("run-1") + "plan.json.zst"
	flips(t, tb.bucket, name, 1, func() error { _, err := a.GetWork(t.Context(), "run-1", "plan.json"); return err })
}

func TestFilteredCodesOfManifestsOfOld(t *testing.T) {
	t.Parallel()
	old := &Manifest{Filtered: 7}
	if got := old.FilteredCodes(); len(got) != 1 || got[UnknownRule] != 7 {
		t.Errorf("old: %v", got)
	}
	mixed := &Manifest{Filtered: 9, FilteredBy: map[string]int64{"odd": 2, UnknownRule: 7}}
	if got := mixed.FilteredCodes(); len(got) != 2 || got["odd"] != 2 || got[UnknownRule] != 7 {
		t.Errorf("mixed: %v", got)
	}
	if got := (&Manifest{}).FilteredCodes(); len(got) != 0 {
		t.Errorf("empty: %v", got)
	}
}
