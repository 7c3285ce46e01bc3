package archive

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"anabranch/bucket/faultbucket"
	"anabranch/event"
	"anabranch/fault"
)

// randomIDs makes n different ids; adversarial ones share halves or lie side
// by side.
func randomIDs(r *rand.Rand, n int) []event.ID {
	seen := map[event.ID]bool{}
	ids := make([]event.ID, 0, n)
	for len(ids) < n {
		var id event.ID
		switch r.IntN(6) {
		case 0:
			id = event.ID{Hi: 42, Lo: r.Uint64()}
		case 1:
			id = event.ID{Hi: 42, Lo: uint64(len(ids))}
		case 2:
			id = event.ID{Hi: r.Uint64(), Lo: 42}
		case 3:
			id = event.ID{Hi: ^uint64(0) - r.Uint64N(3), Lo: ^uint64(0) - r.Uint64N(uint64(n))}
		case 4:
			id = event.ID{Hi: r.Uint64N(3), Lo: r.Uint64N(uint64(n))}
		default:
			id = event.ID{Hi: r.Uint64(), Lo: r.Uint64()}
		}
		if !seen[id] {
			seen[id] = true
			ids = append(ids, id)
		}
	}
	return ids
}

func randomEntries(r *rand.Rand, ids []event.ID) []Entry {
	base := r.Uint64N(1 << 40)
	out := make([]Entry, len(ids))
	for i, id := range ids {
		out[i] = Entry{ID: id, Hash: r.Uint64(), Offset: base + r.Uint64N(1000), Row: int32(r.IntN(4096)) - 1000}
	}
	slices.SortFunc(out, func(a, b Entry) int { return a.ID.Compare(b.ID) })
	return out
}

// oracle is what Lookup has to answer: the first position of each id.
func oracle(runs ...[]Entry) map[event.ID]Entry {
	m := map[event.ID]Entry{}
	for _, run := range runs {
		for _, e := range run {
			if old, ok := m[e.ID]; !ok || e.before(&old) {
				m[e.ID] = e
			}
		}
	}
	return m
}

func checkLookup(t *testing.T, r *rand.Rand, runs *Runs, want map[event.ID]Entry, ids []event.ID) {
	t.Helper()
	for len(ids) > 0 {
		n := min(len(ids), 1+r.IntN(5000))
		hits := make([]Hit, n)
		for i := range hits {
			hits[i] = Hit{true, 1, 2, 3} // what was there before does not matter
		}
		if err := runs.Lookup(context.Background(), ids[:n], hits); err != nil {
			t.Fatal(err)
		}
		for i, id := range ids[:n] {
			e, ok := want[id]
			expect := Hit{}
			if ok {
				expect = Hit{true, e.Hash, e.Offset, e.Row}
			}
			if hits[i] != expect {
				t.Fatalf("id %x: %+v, want %+v", id, hits[i], expect)
			}
		}
		ids = ids[n:]
	}
}

func TestLookupAgainstAMap(t *testing.T) {
	t.Parallel()
	for _, cached := range []bool{false, true} {
		t.Run(fmt.Sprintf("cached %t", cached), func(t *testing.T) {
			t.Parallel()
			tb := setup(t, 11)
			dir := ""
			if cached {
				dir = t.TempDir()
			}
			ctx := context.Background()
			a := Open(tb.bucket, "shop", tb.set, Options{Partitions: partitions, CacheDir: dir, Clock: tb.clock, BlockBytes: 5 * runBlock * entryBytes})
			ids := randomIDs(tb.r, 40000)
			var all [][]Entry
			var runs []Run
			for i, size := range []int{0, 1, runBlock - 1, runBlock, runBlock + 1, 9000, 3} {
				entries := randomEntries(tb.r, ids[:size])
				if i%2 == 0 { // every other run shares some of its ids with the next
					ids = ids[size:]
				} else {
					ids = ids[size/2:]
				}
				run, err := a.WriteRun(ctx, 1, uint64(i+1), "", entries)
				if err != nil {
					t.Fatal(err)
				}
				if run.Entries != int64(size) || run.Partition != 1 || run.K != uint64(i+1) {
					t.Fatalf("%+v", run)
				}
				all, runs = append(all, entries), append(runs, run)
			}
			want := oracle(all...)
			ask := randomIDs(tb.r, 5000)
			for id := range want {
				ask = append(ask, id)
			}
			slices.SortFunc(ask, func(a, b event.ID) int { return a.Compare(b) })
			tb.r.Shuffle(len(ask), func(i, j int) { ask[i], ask[j] = ask[j], ask[i] })
			ask = append(ask, ask[:100]...) // one id twice

			open, err := a.OpenRuns(ctx, runs)
			if err != nil {
				t.Fatal(err)
			}
			defer open.Close()
			checkLookup(t, tb.r, open, want, ask)

			merged, err := a.MergeRuns(ctx, runs, 99, "")
			if err != nil {
				t.Fatal(err)
			}
			if merged.Entries != int64(len(want)) {
				t.Fatalf("merged %d entries, want %d", merged.Entries, len(want))
			}
			one, err := a.OpenRuns(ctx, []Run{merged})
			if err != nil {
				t.Fatal(err)
			}
			defer one.Close()
			checkLookup(t, tb.r, one, want, ask)
			n, last := 0, event.ID{}
			err = a.ReadRun(ctx, merged, func(entries []Entry) error {
				for _, e := range entries {
					if n > 0 && !last.Less(e.ID) || want[e.ID] != e {
						return fmt.Errorf("entry %d: %+v behind %x, want %+v", n, e, last, want[e.ID])
					}
					n, last = n+1, e.ID
				}
				return nil
			})
			if err != nil || n != len(want) {
				t.Fatal(n, err)
			}
			if used := a.blocks.used; used > a.blocks.limit {
				t.Fatalf("blocks take %d bytes of %d", used, a.blocks.limit)
			}
		})
	}
}

func TestLookupSideBySide(t *testing.T) {
	t.Parallel()
	tb := setup(t, 12)
	a := tb.open(tb.bucket, t.TempDir())
	ids := randomIDs(tb.r, 20000)
	entries := randomEntries(tb.r, ids)
	run, err := a.WriteRun(context.Background(), 0, 1, "", entries)
	if err != nil {
		t.Fatal(err)
	}
	want := oracle(entries)
	for i := range 4 {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			t.Parallel()
			runs, err := a.OpenRuns(context.Background(), []Run{run})
			if err != nil {
				t.Fatal(err)
			}
			defer runs.Close()
			checkLookup(t, rand.New(rand.NewPCG(uint64(i), 1)), runs, want, ids)
		})
	}
}

func TestFiltersLetFewStrangersPass(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(13, 13))
	const n = 100000
	for _, kind := range []func(i uint64) event.ID{
		func(uint64) event.ID { return event.ID{Hi: r.Uint64(), Lo: r.Uint64()} },
		func(i uint64) event.ID { return event.ID{Hi: 7, Lo: i} },
		func(i uint64) event.ID { return event.ID{Hi: i, Lo: 7} },
		func(i uint64) event.ID { return event.ID{Hi: i, Lo: i} },
		func(i uint64) event.ID { return event.ID{Hi: i << 40, Lo: 0} },
	} {
		f := newFilter(n)
		if size := len(f) * filterBlock; size > n*filterBits/8+filterBlock {
			t.Fatalf("%d bytes for %d ids", size, n)
		}
		for i := range uint64(n) {
			id := kind(i)
			f.add(filterHash(id))
			if !f.has(filterHash(id)) {
				t.Fatal("a known id does not pass")
			}
		}
		passed := 0
		for i := range uint64(n) {
			if f.has(filterHash(kind(n + i))) {
				passed++
			}
		}
		if passed > n/100 {
			t.Errorf("%d of %d strangers pass", passed, n)
		}
	}
}

func TestWriteRunRefusesDisorder(t *testing.T) {
	t.Parallel()
	tb := setup(t, 14)
	a := tb.open(tb.bucket, "")
	for _, bad := range [][]Entry{
		{{ID: event.ID{Hi: 2}}, {ID: event.ID{Hi: 1}}},
		{{ID: event.ID{Lo: 2}}, {ID: event.ID{Lo: 2}}},
	} {
		if _, err := a.WriteRun(t.Context(), 0, 1, "", bad); !fault.Is(err, fault.Bug) {
			t.Fatal(err)
		}
	}
}

func TestDamagedRunsAreNamed(t *testing.T) {
	t.Parallel()
	tb := setup(t, 15)
	ctx := context.Background()
	ids := randomIDs(tb.r, 1200)
	entries := randomEntries(tb.r, ids)
	run, err := tb.open(tb.bucket, "").WriteRun(ctx, 2, 5, "", entries)
	if err != nil {
		t.Fatal(err)
	}
	hits := make([]Hit, len(ids))
	flips(t, tb.bucket, run.Name, 29, func() error {
		a := tb.open(tb.bucket, "")
		return a.ReadRun(ctx, run, func([]Entry) error { return nil })
	})
	// By ranges, the first bytes are never looked at.
	good := object(t, tb.bucket, run.Name)
	for i := runHead; i < len(good); i += 29 {
		bad := append([]byte(nil), good...)
		bad[i] ^= 1 << (i % 8)
		replace(t, tb.bucket, run.Name, bad)
		a := tb.open(tb.bucket, "")
		runs, err := a.OpenRuns(ctx, []Run{run})
		if err == nil {
			err = runs.Lookup(ctx, ids, hits)
			runs.Close()
		}
		if !fault.Is(err, fault.Corrupt) || !strings.Contains(err.Error(), run.Name) {
			t.Fatalf("byte %d: %v", i, err)
		}
	}
}

func TestADamagedCopyOfARunIsReadFromTheBucket(t *testing.T) {
	t.Parallel()
	tb := setup(t, 16)
	ctx := context.Background()
	dir := t.TempDir()
	ids := randomIDs(tb.r, 3000)
	entries := randomEntries(tb.r, ids)
	a := tb.open(tb.bucket, dir)
	run, err := a.WriteRun(ctx, 0, 1, "", entries)
	if err != nil {
		t.Fatal(err)
	}
	runs, err := a.OpenRuns(ctx, []Run{run})
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "objects", run.Sum+".run")
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for i := range data[:2000] {
		data[i] ^= 0x55
	}
	if err := os.WriteFile(path, data, 0o644); err != nil {
		t.Fatal(err)
	}
	checkLookup(t, tb.r, runs, oracle(entries), ids)
	runs.Close()
	if _, err := os.Stat(path); !os.IsNotExist(err) {
		t.Fatalf("the damaged copy is still there: %v", err)
	}
	runs, err = a.OpenRuns(ctx, []Run{run})
	if err != nil {
		t.Fatal(err)
	}
	checkLookup(t, tb.r, runs, oracle(entries), ids)
	runs.Close()
}

func TestLookupSurvivesTheNthBucketCall(t *testing.T) {
	t.Parallel()
	tb := setup(t, 17)
	ctx := context.Background()
	ids := randomIDs(tb.r, 3000)
	entries := randomEntries(tb.r, ids)
	run, err := tb.open(tb.bucket, "").WriteRun(ctx, 0, 1, "", entries)
	if err != nil {
		t.Fatal(err)
	}
	for n := 0; ; n++ {
		faulty := faultbucket.Wrap(tb.bucket, faultbucket.Nth(n, faultbucket.Harm{Kind: fault.Throttled, Body: n%2 == 0, Bytes: 10}))
		a := tb.open(faulty, "")
		failed := 0
		for {
			runs, err := a.OpenRuns(ctx, []Run{run})
			if err == nil {
				err = runs.Lookup(ctx, ids[:600], make([]Hit, 600))
			}
			if err == nil {
				faulty.Set(nil)
				checkLookup(t, tb.r, runs, oracle(entries), ids)
				runs.Close()
				break
			}
			if !fault.Is(err, fault.Throttled) {
				t.Fatalf("call %d: %v", n, err)
			}
			if failed++; failed > 1 {
				t.Fatalf("call %d: failed again: %v", n, err)
			}
			if runs != nil {
				runs.Close()
			}
		}
		if failed == 0 {
			break
		}
	}
}

func TestRunsAreMergedInTiers(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(18, 18))
	var runs []Run
	total, rewritten, most := int64(0), int64(0), 0
	for day := range 1000 {
		n := int64(50_000 + r.IntN(200_000))
		total += n
		runs = append(runs, Run{Name: fmt.Sprint("new", day), Entries: n})
		merge, keep := PickMerge(runs)
		if len(merge) == 1 || len(merge)+len(keep) != len(runs) {
			t.Fatal(len(merge), len(keep), len(runs))
		}
		for _, r := range runs {
			here := func(o Run) bool { return o.Name == r.Name }
			if slices.ContainsFunc(merge, here) == slices.ContainsFunc(keep, here) {
				t.Fatalf("day %d: %s is in both or in none of %v and %v", day, r.Name, merge, keep)
			}
		}
		if len(merge) > 0 {
			sum := int64(0)
			for _, m := range merge {
				sum += m.Entries
			}
			rewritten += sum
			runs = append(keep, Run{Name: fmt.Sprint("merged", day), Entries: sum})
		}
		if again, _ := PickMerge(runs); len(again) > 0 {
			t.Fatalf("day %d: one merge was not enough: %+v", day, again)
		}
		most = max(most, len(runs))
	}
	if most > 20 || rewritten > 6*total {
		t.Fatalf("%d runs at most, %d entries rewritten of %d", most, rewritten, total)
	}
}

func BenchmarkLookup(b *testing.B) {
	tb := setup(b, 19)
	ctx := context.Background()
	a := tb.open(tb.bucket, b.TempDir())
	const n = 2_000_000
	ids := make([]event.ID, n)
	for i := range ids {
		ids[i] = event.ID{Hi: tb.r.Uint64(), Lo: tb.r.Uint64()}
	}
	run, err := a.WriteRun(ctx, 0, 1, "", randomEntries(tb.r, ids))
	if err != nil {
		b.Fatal(err)
	}
	b.Logf("%.1f bytes an entry, filter %.2f", float64(run.Size)/n, float64(run.Filter)/n)
	runs, err := a.OpenRuns(ctx, []Run{run})
	if err != nil {
		b.Fatal(err)
	}
	defer runs.Close()
	hits := make([]Hit, 4096)
	b.Run("strangers", func(b *testing.B) {
		ask := make([]event.ID, len(hits))
		for b.Loop() {
			for i := range ask {
				ask[i] = event.ID{Hi: tb.r.Uint64(), Lo: tb.r.Uint64()}
			}
			if err := runs.Lookup(ctx, ask, hits); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(len(hits)), "ns/id")
	})
	b.Run("known", func(b *testing.B) {
		at := 0
		for b.Loop() {
			at = (at + len(hits)) % (n - len(hits))
			if err := runs.Lookup(ctx, ids[at:at+len(hits)], hits); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(len(hits)), "ns/id")
	})
}

// Ids that agree in one half are two ids, on both sides of a block's border too.
func TestLookupComparesWholeIDs(t *testing.T) {
	t.Parallel()
	tb := setup(t, 1)
	const halves = 60
	var entries []Entry
	var ids []event.ID
	for n := range uint64(halves * halves) {
		id := event.ID{Hi: n / halves, Lo: n % halves}
		if ids = append(ids, id); id.Lo%3 == 0 {
			entries = append(entries, Entry{ID: id, Hash: n, Offset: n + 1, Row: int32(n % 5)})
		}
	}
	a := tb.open(tb.bucket, "")
	run, err := a.WriteRun(t.Context(), 0, 1, "", entries)
	if err != nil {
		t.Fatal(err)
	}
	runs, err := a.OpenRuns(t.Context(), []Run{run})
	if err != nil {
		t.Fatal(err)
	}
	defer runs.Close()
	hits := make([]Hit, len(ids))
	if err := runs.Lookup(t.Context(), ids, hits); err != nil {
		t.Fatal(err)
	}
	for i, h := range hits {
		want := Hit{}
		if n := uint64(i); ids[i].Lo%3 == 0 {
			want = Hit{true, n, n + 1, int32(n % 5)}
		}
		if h != want {
			t.Fatalf("%v: %+v, want %+v", ids[i], h, want)
		}
	}
}
