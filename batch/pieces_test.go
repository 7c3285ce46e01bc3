package batch

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"anabranch/archive"
	"anabranch/event"
)

func TestIDTableIsAMap(t *testing.T) {
	t.Parallel()
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rnd := rand.New(rand.NewPCG(seed, 0))
	var table idTable
	for range 3 { // it is used again for every chunk
		known := map[event.ID]int{}
		for n := range 5000 {
			id := event.ID{Hi: uint64(rnd.IntN(3)), Lo: uint64(rnd.IntN(900)) << 32}
			i, fresh := table.addOne(id, first{offset: uint64(n)})
			was, ok := known[id]
			if fresh == ok || ok && i != was {
				t.Fatalf("id %v: place %d, fresh %v; known as %d, %v", id, i, fresh, was, ok)
			}
			known[id] = i
		}
		for i := range table.firsts {
			table.firsts[i].old = i%3 == 0
		}
		sorted := table.fresh()
		if !slices.IsSortedFunc(sorted, func(a, b archive.Entry) int { return a.ID.Compare(b.ID) }) || len(sorted) != len(known)-(len(known)+2)/3 {
			t.Fatalf("%d of %d entries are new, or not in order", len(sorted), len(known))
		}
		for _, e := range sorted {
			if f := table.firsts[known[e.ID]]; f.old || f.offset != e.Offset {
				t.Fatalf("the entry %+v is of %+v", e, f)
			}
		}
		table.reset()
	}
}

// mixed makes batches with columns of every storage, with nulls, unused and
// doubled values in the dictionaries.
func mixed(rnd *rand.Rand, batches, values int) []*event.Batch {
	shape := event.NewShape(
		event.Field{Name: "i", Type: event.Type{Kind: event.Int64}}, event.Field{Name: "f", Type: event.Type{Kind: event.Float64}},
		event.Field{Name: "w", Type: event.Type{Kind: event.Huge}}, event.Field{Name: "s", Type: event.Type{Kind: event.String}, Nullable: true},
	)
	var out []*event.Batch
	for range batches {
		b := &event.Batch{Shape: shape, N: 1 + rnd.IntN(50), Columns: make([]event.Column, 4)}
		dict := &event.Dict{}
		for range 1 + rnd.IntN(values) {
			dict.Append(fmt.Appendf(nil, "v%d", rnd.IntN(values)))
		}
		valid := event.NewBitmap(b.N)
		for c := range b.Columns {
			b.Columns[c].Type = shape.Fields[c].Type
		}
		for i := range b.N {
			v := int64(rnd.IntN(1000))
			b.Columns[0].Ints = append(b.Columns[0].Ints, v)
			b.Columns[1].Floats = append(b.Columns[1].Floats, float64(v)/3)
			b.Columns[2].Wide = append(b.Columns[2].Wide, event.Int128{Hi: v, Lo: uint64(v)})
			b.Columns[3].Codes = append(b.Columns[3].Codes, uint32(rnd.IntN(dict.Len())))
			if rnd.IntN(4) > 0 {
				valid.Set(i)
			}
		}
		b.Columns[3].Dict = dict
		if rnd.IntN(3) > 0 {
			b.Columns[3].Valid = valid
		}
		out = append(out, b)
	}
	return out
}

func rowText(b *event.Batch, i int) string {
	return fmt.Sprint(b.Columns[0].Ints[i], b.Columns[1].Floats[i], b.Columns[2].Wide[i], b.Columns[3].Valid.Get(i), string(b.Columns[3].Bytes(i)))
}

func TestWriteDaysSortsByDayAndTime(t *testing.T) {
	t.Parallel()
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rnd := rand.New(rand.NewPCG(seed, 0))
	for _, values := range []int{6, 300} { // which repeat, and hardly do
		writesDays(t, rnd, mixed(rnd, 12, values), values < 50)
	}
}

// writesDays takes some rows of parts; together says that batches share a
// dictionary with each value once.
func writesDays(t *testing.T, rnd *rand.Rand, parts []*event.Batch, together bool) {
	t.Helper()
	var refs []ref
	for p, b := range parts {
		days := 1 + 4*rnd.IntN(2) // neighbours stay together, or hardly
		for i := range b.N {
			if rnd.IntN(3) > 0 {
				refs = append(refs, ref{day: int32(rnd.IntN(days) - 2), time: int64(rnd.IntN(days)), part: int32(p), row: int32(i)})
			}
		}
	}
	want := map[int32][]string{}
	for day := int32(-2); day < 3; day++ {
		for at := range int64(5) {
			for _, r := range refs {
				if r.day == day && r.time == at {
					want[day] = append(want[day], rowText(parts[r.part], int(r.row)))
				}
			}
		}
	}
	got := map[int32][]string{}
	last, shared := int32(-99), (*event.Dict)(nil)
	err := writeDays(parts, refs, make([]ref, len(refs)), func(day int32, b *event.Batch) error {
		if day < last {
			t.Errorf("day %d comes behind day %d", day, last)
		}
		last = day
		for i := range b.N {
			got[day] = append(got[day], rowText(b, i))
		}
		dict := b.Columns[3].Dict
		distinct := map[string]bool{}
		for code := range uint32(dict.Len()) {
			distinct[string(dict.Value(code))] = true
		}
		if together && (shared != nil && dict != shared || len(distinct) != dict.Len()) || dict == shared && !together {
			t.Errorf("day %d: a dictionary of %d values, %d distinct ones, of the batch before: %t", day, dict.Len(), len(distinct), dict == shared)
		}
		shared = dict
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if !maps.EqualFunc(got, want, slices.Equal) {
		t.Errorf("got %q\nwant %q", got, want)
	}
}

// A group is in one shard only, whatever dictionary it comes with.
func TestShardsPartitionTheGroups(t *testing.T) {
	t.Parallel()
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	parts := mixed(rand.New(rand.NewPCG(seed, 0)), 40, 8)
	const shards = 4
	shardOf := map[string]int{}
	for _, b := range parts {
		keys := *b // the last column is the state, which says nothing about the group
		keys.Columns = append(slices.Clone(b.Columns), event.Column{})
		seen := 0
		for s := range shards {
			for _, i := range shardRows(&keys, s, shards) {
				seen++
				key := rowText(b, int(i))
				if was, ok := shardOf[key]; ok && was != s {
					t.Fatalf("group %q is in shards %d and %d", key, was, s)
				}
				shardOf[key] = s
			}
		}
		if seen != b.N {
			t.Fatalf("%d of %d rows are in a shard", seen, b.N)
		}
	}
	used := map[int]bool{}
	for _, s := range shardOf {
		used[s] = true
	}
	if len(used) != shards {
		t.Errorf("%d shards are used of %d", len(used), shards)
	}
}

func TestPeriods(t *testing.T) {
	t.Parallel()
	for day, want := range map[int32]string{0: "1970-01", 30: "1970-01", 31: "1970-02", -1: "1969-12", 14943: "2010-11", 14944: "2010-12"} {
		if got := periodOf(true, day); got != want {
			t.Errorf("day %d is of period %q, want %q", day, got, want)
		}
		if got := periodOf(false, day); got != "all" {
			t.Errorf("day %d of a view without days is of period %q", day, got)
		}
	}
	b := &event.Batch{Shape: event.NewShape(event.Field{Name: "ts", Type: event.Type{Kind: event.Timestamp}}), N: 4, Columns: []event.Column{{
		Type: event.Type{Kind: event.Timestamp}, Ints: []int64{0, -1, microsPerDay, -microsPerDay},
	}}}
	day := dayColumn(b, "ts")
	for i, want := range []int32{0, -1, 1, -1} {
		if d, within := day(i); d != want || within < 0 || within >= microsPerDay {
			t.Errorf("%d µs is of day %d and %d µs, want day %d", b.Columns[0].Ints[i], d, within, want)
		}
	}
}

// Days that fold alike travel together until they have rows enough.
func TestSpreadDays(t *testing.T) {
	t.Parallel()
	files := []archive.DayFile{{Days: []archive.DayRows{{Day: 1, Rows: 10}, {Day: 2, Rows: 10}, {Day: 3, Rows: 10}, {Day: 5, Rows: 100}, {Day: 6, Rows: 1}}}}
	made := []compacted{{Days: []archive.DayFile{{Days: []archive.DayRows{{Day: 3, Rows: 5}, {Day: 5, Rows: 5}, {Day: 6, Rows: 1}}}}}}
	old, fresh := planView{Name: "old", Version: "v", Days: daysTouched}, planView{Name: "new", Version: "v", Days: daysAll}
	p := &plan{Request: Request{Kind: Nightly}, Views: []planView{old, fresh, {Name: "kept", Version: "v", Days: daysNone}}}
	got := spreadDays(p, files, made, 20)
	want := []foldUnit{
		{[]int32{1, 2}, 20, []planView{fresh}}, {[]int32{3}, 10, []planView{old, fresh}},
		{[]int32{5}, 100, []planView{old, fresh}}, {[]int32{6}, 1, []planView{old, fresh}},
	}
	if fmt.Sprint(got.Units) != fmt.Sprint(want) || got.Rows != 131 {
		t.Errorf("got %+v, %d rows", got.Units, got.Rows)
	}
	from := int32(2)
	p.Request = Request{Kind: Backfill, From: &from}
	p.Views = []planView{old}
	got = spreadDays(p, files, nil, 1000)
	if len(got.Units) != 1 || !slices.Equal(got.Units[0].Days, []int32{2, 3, 5, 6}) {
		t.Errorf("a backfill from day 2: %+v", got.Units)
	}
	to := int32(2)
	p.Request = Request{Kind: Nightly, From: &from, To: &to}
	got = spreadDays(p, files, made, 1000)
	if len(got.Units) != 1 || !slices.Equal(got.Units[0].Days, []int32{2, 3, 5, 6}) {
		t.Errorf("a nightly that computes day 2 again: %+v", got.Units)
	}
}

// Steps are few, however much there is to do, and never empty.
func TestStepsOfLongRunsAreLarger(t *testing.T) {
	t.Parallel()
	old := planView{Name: "old", Version: "v", Days: daysTouched}
	p := &plan{Request: Request{Kind: Backfill}, Views: []planView{old}}
	file := archive.DayFile{}
	for day := range int32(3650) {
		file.Days = append(file.Days, archive.DayRows{Day: day, Rows: 100_000})
	}
	if got := spreadDays(p, []archive.DayFile{file}, nil, 500_000); len(got.Units) != 23 || got.Units[0].Rows != mostUnit {
		t.Errorf("%d units, the first of %d events", len(got.Units), got.Units[0].Rows)
	}
	g := gathered{Views: map[string]*archive.ViewFiles{"old": {Live: map[int32]string{}}}}
	for day := range int32(120) {
		name := fmt.Sprint(day)
		g.Views["old"].Live[day] = name
		g.Views["old"].States = append(g.Views["old"].States, archive.StateFile{Name: name, Days: []int32{day}, Rows: 40_000})
		g.Units = append(g.Units, finishUnit{View: old, Period: name, Days: []int32{day}, Shards: 1})
	}
	g.steps(1_000_000)
	sum := 0
	for step, n := range g.Steps {
		if from, to := g.units(step); from != sum || to != sum+n || n < 1 {
			t.Errorf("step %d takes units %d to %d", step, from, to)
		}
		sum += n
	}
	if sum != len(g.Units) || len(g.Steps) != 18 || g.label(0) != "old 0 to 6" {
		t.Errorf("%d of %d units in the steps %v, the first %q", sum, len(g.Units), g.Steps, g.label(0))
	}
}

// TestGatherBehindNulls: a batch whose texts are all null leaves an empty
// dictionary, which the next one learns its size from.
func TestGatherBehindNulls(t *testing.T) {
	t.Parallel()
	const n = 40
	b := &event.Batch{Shape: event.NewShape(event.Field{Name: "s", Type: event.Type{Kind: event.String}, Nullable: true}), N: n, Columns: make([]event.Column, 1)}
	c := &b.Columns[0]
	*c = event.Column{Type: b.Shape.Fields[0].Type, Dict: &event.Dict{}, Valid: event.NewBitmap(n), Codes: make([]uint32, n)}
	c.Dict.Append([]byte("text"))
	var refs []ref
	for i := range int32(n) {
		if i%4 == 3 { // of four days the last has texts
			c.Valid.Set(int(i))
		}
		refs = append(refs, ref{day: i % 4, row: i})
	}
	err := writeDays([]*event.Batch{b}, refs, make([]ref, len(refs)), func(day int32, got *event.Batch) error {
		texts := 0
		for i := range got.N {
			if c := &got.Columns[0]; c.Valid.Get(i) && string(c.Dict.Value(c.Codes[i])) == "text" {
				texts++
			}
		}
		if want := int(day) / 3 * n / 4; got.N != n/4 || texts != want {
			t.Errorf("day %d: %d rows, %d texts, want %d", day, got.N, texts, want)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
