package metamorphic

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"runtime"
	"slices"
	"testing"
	"time"

	"anabranch/archive"
	"anabranch/batch"
	"anabranch/bucket"
	"anabranch/deadletter"
	"anabranch/event"
	"anabranch/internal/soak"
)

var ids = flag.Int("ids", 200_000, "ids of one partition below the cut in TestDedupeWithoutAWindow")

// TestDedupeWithoutAWindow puts many ids into the id runs of one partition,
// night after night, merged in tiers as batch does. It measures what they cost
// and then sends copies and conflicting copies of them, however old: both
// layers give the verdict that is true. The ids are a function of their
// number, so that truth needs no memory.
func TestDedupeWithoutAWindow(t *testing.T) {
	t.Parallel()
	first := *seed
	if first == 0 {
		first = rand.Uint64N(1 << 40)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Hour)
	defer cancel()
	dir := t.TempDir()
	files, err := bucket.NewFile(filepath.Join(dir, "bucket"))
	if err != nil {
		t.Fatal(err)
	}
	r, err := newRig(ctx, plan{
		pipeline: "ids", partitions: 1, time: "ts", grace: -1, records: 1000, bucket: files,
		schema: `{"type":"record","name":"E","fields":[{"name":"ts","type":{"type":"long","logicalType":"local-timestamp-micros"}},{"name":"v","type":"long"}]}`,
		views:  []View{{Name: "days", SQL: "SELECT date_trunc('day', ts) AS day, count(*) AS n, sum(v) AS v FROM events GROUP BY ALL"}},
	}, dir)
	if err != nil {
		t.Fatal(err)
	}
	defer r.close()
	d := &dedupe{T: t, rig: r, record: soak.Open(t, "ids", first), rnd: rand.New(rand.NewPCG(first, 23)), seed: first, n: *ids}
	if err := d.play(); err != nil {
		t.Fatalf("seed %d: %v", first, err)
	}
}

const (
	frameRows = 512
	// ofNights is in how many nights the ids come.
	ofNights = 100
)

// dedupe is one partition with n ids below the first cut.
type dedupe struct {
	*testing.T
	*rig
	record *soak.Run
	rnd    *rand.Rand
	seed   uint64
	n      int
	cut    uint64           // of barrier 1
	later  []event.Position // where the ids from n on came first
}

// id is number i of a permutation.
func (d *dedupe) id(i int) event.ID {
	hi := (uint64(i) ^ d.seed) * 0xbf58476d1ce4e5b9
	hi = (hi ^ hi>>31) * 0x94d049bb133111eb
	return event.ID{Hi: hi ^ hi>>29, Lo: (uint64(i) + d.seed) * 0x9e3779b97f4a7c15}
}

func (d *dedupe) hash(i int) uint64 { return (uint64(i)*31 + d.seed) * 0xd6e8feb86659fd93 }

// first is where id i came first.
func (d *dedupe) first(i int) event.Position {
	if i >= d.n {
		return d.later[i-d.n]
	}
	return event.Position{Offset: uint64(i / frameRows), Row: int32(i % frameRows)}
}

func (d *dedupe) play() error {
	if err := d.below(); err != nil {
		return err
	}
	runs, err := d.build()
	if err != nil {
		return err
	}
	if err := d.measure(runs); err != nil {
		return err
	}
	runtime.GC()
	// From here on they are the id runs of the pipeline.
	m := &archive.Manifest{Version: 1, K: 1, Cut: event.Cut{d.cut}, Kind: batch.Nightly, Definition: "d", Runs: [][]archive.Run{runs}, Views: map[string]*archive.ViewFiles{}}
	if err := d.archive.Publish(d.ctx, m); err != nil {
		return err
	}
	if err := d.restart(false); err != nil {
		return err
	}
	var all fate
	for round := range 3 {
		want, letters, err := d.send()
		if err != nil {
			return err
		}
		if err := d.verdicts(uint64(round+1), want); err != nil {
			return fmt.Errorf("round %d, in speed: %w", round, err)
		}
		if err := d.nightly(fmt.Sprintf("night-%d", round), func() {}); err != nil {
			return err
		}
		all.counted, all.duplicates, all.conflicts = all.counted+want.counted, all.duplicates+want.duplicates, all.conflicts+want.conflicts
		m, err := d.archive.Newest(d.ctx)
		if err != nil {
			return err
		}
		if got := (fate{counted: m.Counted, duplicates: m.Duplicates, conflicts: m.Conflicts}); got.counted != all.counted || got.duplicates != all.duplicates || got.conflicts != all.conflicts {
			return fmt.Errorf("round %d, in batch: %+v, want %+v", round, got, all)
		}
		if err := d.letters(letters); err != nil {
			return fmt.Errorf("round %d: %w", round, err)
		}
		if err := d.notice(); err != nil {
			return err
		}
	}
	d.record.Add("verdicts compared in both layers", all.counted+all.duplicates+all.conflicts)
	return nil
}

// below makes a log that is long enough for the positions of all ids: a frame
// for each 512 of them. It is the same frame each time, its event one of
// nobody's.
func (d *dedupe) below() error {
	frame, err := d.frame([]int{-1}, nil)
	if err != nil {
		return err
	}
	for range d.n/frameRows + 1 { // offsets rise by one at least
		if _, err := d.log.Append(d.ctx, 0, frame); err != nil {
			return err
		}
	}
	if err := d.runner.AppendBarriers(d.ctx, 1); err != nil {
		return err
	}
	head, err := d.head(d.ctx)
	if err != nil {
		return err
	}
	d.cut = head[0]
	return d.speed.Wait(d.ctx, head)
}

// build writes a run a night and merges as batch does.
func (d *dedupe) build() ([]archive.Run, error) {
	began, merges := time.Now(), 0
	var runs []archive.Run
	perNight := max(1, (d.n+ofNights-1)/ofNights)
	entries := make([]archive.Entry, 0, perNight)
	for from := 0; from < d.n; from += perNight {
		entries = entries[:0]
		for i := from; i < min(from+perNight, d.n); i++ {
			at := d.first(i)
			entries = append(entries, archive.Entry{ID: d.id(i), Hash: d.hash(i), Offset: at.Offset, Row: at.Row})
		}
		slices.SortFunc(entries, func(a, b archive.Entry) int { return a.ID.Compare(b.ID) })
		run, err := d.archive.WriteRun(d.ctx, 0, 1, "", entries)
		if err != nil {
			return nil, err
		}
		runs = append(runs, run)
		for {
			merge, keep := archive.PickMerge(runs)
			if len(merge) == 0 {
				break
			}
			merged, err := d.archive.MergeRuns(d.ctx, merge, 1, "")
			if err != nil {
				return nil, err
			}
			runs = append(keep, merged)
			merges++
			for _, old := range merge {
				if err := d.bucket.Delete(d.ctx, old.Name); err != nil {
					return nil, err
				}
			}
		}
	}
	var size int64
	for _, run := range runs {
		size += run.Size
	}
	d.Logf("%d ids in %d runs, %d merges, %.1f s; %.2f bytes of disk an id", d.n, len(runs), merges, time.Since(began).Seconds(), float64(size)/float64(d.n))
	d.record.Add("ids", int64(d.n))
	d.record.Add("runs", int64(len(runs)))
	d.record.Add("disk millibytes per id", size*1000/int64(d.n))
	return runs, nil
}

func heap() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// measure opens the runs and looks ids up, each answer checked.
func (d *dedupe) measure(list []archive.Run) error {
	before := heap()
	began := time.Now()
	runs, err := d.archive.OpenRuns(d.ctx, list)
	if err != nil {
		return err
	}
	defer runs.Close()
	opened := time.Since(began)
	perID := (heap() - before) * 1000 / int64(d.n)
	d.record.Add("memory millibytes per id", perID)
	d.Logf("opened in %.2f s; %.2f bytes of memory an id", opened.Seconds(), float64(perID)/1000)

	fresh, k := d.n, 0
	every := func() int { k++; return k * 999_983 % d.n } // each once, in no order
	for _, kind := range []struct {
		name  string
		asks  int
		known bool
		next  func() int
	}{
		{"new id", 2_000_000, false, func() int { fresh++; return fresh }},
		{"id of any age", 200_000, true, every},
		{"id of the last frames", 500_000, true, func() int { return d.n - 1 - d.rnd.IntN(min(d.n, 20*frameRows)) }},
	} {
		asks := (min(kind.asks, 10*d.n) + frameRows - 1) / frameRows * frameRows
		number, asked, hits := make([]int, frameRows), make([]event.ID, frameRows), make([]archive.Hit, frameRows)
		// Processor time: the machine may have other things to do.
		runtime.LockOSThread()
		var wall, took time.Duration
		for range asks / frameRows {
			for i := range asked {
				number[i] = kind.next()
				asked[i] = d.id(number[i])
			}
			began, busy := time.Now(), threadTime()
			err := runs.Lookup(d.ctx, asked, hits)
			took, wall = took+threadTime()-busy, wall+time.Since(began)
			if err != nil {
				return err
			}
			for i, hit := range hits {
				want := archive.Hit{}
				if kind.known {
					at := d.first(number[i])
					want = archive.Hit{Found: true, Hash: d.hash(number[i]), Offset: at.Offset, Row: at.Row}
				}
				if hit != want {
					return fmt.Errorf("id %d: %+v, want %+v", number[i], hit, want)
				}
			}
		}
		runtime.UnlockOSThread()
		ns := took.Nanoseconds() / int64(asks)
		d.record.Add("ns per "+kind.name, ns)
		d.Logf("%s: %d ns, %d with waiting", kind.name, ns, wall.Nanoseconds()/int64(asks))
	}
	return nil
}

// conflicting is a letter that has to come.
type conflicting struct{ at, first, hash, firstHash string }

// send appends new events, copies and conflicting copies of events of all
// ages, and copies of those.
func (d *dedupe) send() (want fate, letters []conflicting, err error) {
	for range 20 {
		var numbers []int
		var twist []uint64
		type put struct{ row, number int }
		var conflicts []put
		inFrame := len(d.later)
		for row := range frameRows {
			known := d.n + len(d.later)
			i := known
			switch x := d.rnd.IntN(10); {
			case x < 4:
			case x < 7:
				i = d.rnd.IntN(d.n) // long below the cut
			case x < 9 && len(d.later) > 0:
				i = d.n + d.rnd.IntN(len(d.later)) // of these rounds
			case x == 9:
				i = d.rnd.IntN(min(d.n, 50)) // of the first night, again and again
			}
			other := uint64(0)
			switch {
			case i == known:
				d.later = append(d.later, event.Position{Row: int32(row)}) // its offset follows
				want.counted++
			case d.rnd.IntN(20) == 0:
				other = 1 + d.rnd.Uint64N(1<<20)
				want.conflicts++
				conflicts = append(conflicts, put{row, i})
			default:
				want.duplicates++
			}
			numbers, twist = append(numbers, i), append(twist, other)
		}
		frame, err := d.frame(numbers, twist)
		if err != nil {
			return want, nil, err
		}
		offset, err := d.log.Append(d.ctx, 0, frame)
		if err != nil {
			return want, nil, err
		}
		for i := inFrame; i < len(d.later); i++ {
			d.later[i].Offset = offset
		}
		for _, c := range conflicts {
			letters = append(letters, conflicting{
				event.Position{Offset: offset, Row: int32(c.row)}.String(), d.first(c.number).String(),
				fmt.Sprintf("%016x", d.hash(c.number)^twist[c.row]), fmt.Sprintf("%016x", d.hash(c.number)),
			})
		}
	}
	d.record.Add("copies of ids below the cut and above", want.duplicates)
	d.record.Add("conflicting copies", want.conflicts)
	return want, letters, nil
}

// frame makes a frame of events by their numbers; where twist is not 0 the
// content is another, and so is the time: any day will do.
func (d *dedupe) frame(numbers []int, twist []uint64) ([]byte, error) {
	shape := d.set.Newest().Shape()
	b := &event.Batch{Shape: shape, N: len(numbers), Columns: make([]event.Column, 2)}
	for c, f := range shape.Fields {
		b.Columns[c].Type = f.Type
	}
	for row, i := range numbers {
		day, hash := int64(i%7+7), d.hash(i)
		if twist != nil && twist[row] != 0 {
			day, hash = d.rnd.Int64N(20_000), hash^twist[row]
		}
		b.Columns[0].Ints = append(b.Columns[0].Ints, day*dayMicros)
		b.Columns[1].Ints = append(b.Columns[1].Ints, int64(hash>>1))
		b.IDs, b.Hashes = append(b.IDs, d.id(i)), append(b.Hashes, hash)
	}
	return d.rows(b)
}

// verdicts compares what speed made of the events above barrier k.
func (d *dedupe) verdicts(k uint64, want fate) error {
	head, err := d.head(d.ctx)
	if err != nil {
		return err
	}
	if err := d.speed.Wait(d.ctx, head); err != nil {
		return err
	}
	got, err := d.speed.Since(d.ctx, k, nil)
	if err != nil {
		return err
	}
	if got.Counted != want.counted || got.Duplicates != want.duplicates || got.Conflicts != want.conflicts {
		return fmt.Errorf("%d counted, %d duplicates, %d conflicts, want %+v", got.Counted, got.Duplicates, got.Conflicts, want)
	}
	return nil
}

// letters looks for the dead letters of conflicting copies: both places and
// both hashes.
func (d *dedupe) letters(want []conflicting) error {
	open := map[conflicting]bool{}
	for _, c := range want {
		open[c] = true
	}
	for l, err := range deadletter.New(d.bucket, d.pipeline).List(d.ctx, deadletter.Options{}) {
		if err != nil {
			return err
		}
		delete(open, conflicting{l.Position, l.First, l.ContentHash, l.FirstHash})
	}
	for c := range open {
		return fmt.Errorf("%d of %d conflicting copies are no dead letters, such as %+v", len(open), len(want), c)
	}
	return nil
}
