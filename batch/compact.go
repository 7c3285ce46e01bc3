package batch

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"sync"
	"time"
	"unsafe"

	"anabranch/archive"
	"anabranch/event"
	"anabranch/fault"
	"anabranch/internal/pace"
	"anabranch/internal/planted"
)

// compacted is the note that Compact leaves.
type compacted struct {
	Partition int
	Runs      []archive.Run     // all id runs of the partition, old and new
	Days      []archive.DayFile // new ones
	Entries   int64             // ids that are new in Runs

	Rows, Counted, Duplicates, Conflicts int64
	Filtered                             map[string]int64 // by the code of the rule
}

func (c *compacted) filtered() (n int64) {
	for _, f := range c.Filtered {
		n += f
	}
	return n
}

func (c *compacted) ref() Ref {
	ref := Ref{Label: fmt.Sprintf("partition %d", c.Partition), Rows: c.Rows}
	for _, d := range c.Days {
		ref.Bytes += d.Size
	}
	return ref
}

// Compact takes the new segments of one partition in log order, finds out
// which events count, and writes them by event day, with their ids.
//
// Memory is bounded by chunks of Options.ChunkRows events and ChunkBytes: what a chunk has
// found becomes an id run, which the next chunk asks like those of old.
func (r *Runner) Compact(ctx context.Context, ref PlanRef, partition int) (Ref, error) {
	var done compacted
	out, err := r.once(ctx, ref, "compact", fmt.Sprintf(noteCompact, partition), &done, func() (func(context.Context) error, error) {
		p, parent, err := r.load(ctx, ref)
		if err != nil {
			return nil, err
		}
		if partition < 0 || partition >= len(p.Segments) {
			return nil, fault.New(fault.Invalid, "compact partition %d of run %s: there are %d", partition, ref.Run, len(p.Segments))
		}
		return func(ctx context.Context) error {
			c := &compaction{r: r, k: p.K, tag: p.tag(), out: compacted{Partition: partition, Runs: slices.Clone(parent.Runs[partition]), Filtered: map[string]int64{}}}
			if err := c.all(ctx, p.Segments[partition]); err != nil {
				return fmt.Errorf("compact partition %d: %w", partition, err)
			}
			done = c.out
			return nil
		}, nil
	})
	if err == nil && !out.Reuse {
		r.metrics.rows(&done)
	}
	return out, err
}

// compaction is the work on one partition.
type compaction struct {
	r   *Runner
	k   uint64
	tag string // of the plan, for the names of files
	out compacted

	runs    *archive.Runs // opened out.Runs
	ids     idTable
	parts   []*event.Batch // of the chunk, with events that count
	refs    []ref          // those events, in log order
	sorting []ref          // memory to sort them
	rows    []row          // memory of read
	lineage []string       // the chunk's segments
	held    int64          // bytes that the chunk takes, about
	dicts   map[*event.Dict]bool
}

// chunkMemories keeps the memory of chunks from one partition to the next: to get
// that many bytes cleared from the system takes longer than to sort in them.
var chunkMemories = sync.Pool{New: func() any { return &chunkMemory{} }}

type chunkMemory struct {
	ids           idTable
	refs, sorting []ref
	rows          []row
}

// borrow gives c the memory of an earlier chunk, until the function that it returns.
func (c *compaction) borrow() (back func()) {
	m := chunkMemories.Get().(*chunkMemory)
	c.ids, c.refs, c.sorting, c.rows = m.ids, m.refs[:0], m.sorting, m.rows
	return func() {
		c.ids.reset()
		*m = chunkMemory{c.ids, c.refs, c.sorting, c.rows}
		c.ids, c.refs, c.sorting, c.rows = idTable{}, nil, nil, nil
		chunkMemories.Put(m)
	}
}

func (c *compaction) all(ctx context.Context, segments []archive.Segment) error {
	defer c.closeRuns()
	defer c.borrow()()
	var rows int64
	for _, s := range segments {
		rows += s.Rows
	}
	// At once: growing moves what is there again and again.
	c.refs = slices.Grow(c.refs, int(min(rows, c.r.ChunkRows)))
	c.ids.reserve(int(min(rows, c.r.ChunkRows)))
	for i, s := range segments {
		c.lineage = append(c.lineage, s.Name)
		if s.Rows > 0 {
			if err := c.segment(ctx, s); err != nil {
				return err
			}
		}
		if i == len(segments)-1 || c.full() {
			if err := c.flush(ctx); err != nil {
				return err
			}
		}
	}
	for {
		merge, keep := archive.PickMerge(c.out.Runs)
		if len(merge) == 0 {
			return nil
		}
		merged, err := c.r.Archive.MergeRuns(ctx, merge, c.k, c.tag)
		if err != nil {
			return fmt.Errorf("merge %d id runs: %w", len(merge), err)
		}
		c.out.Runs = append(slices.Clone(keep), merged)
	}
}

// idBytes is what the id table takes for an event.
const idBytes = int64(unsafe.Sizeof(first{})+unsafe.Sizeof(event.ID{})) + 2*8 // slots are half to three quarters full

// full reports whether the chunk has grown as far as it may.
func (c *compaction) full() bool {
	n := int64(c.ids.len())
	return n >= c.r.ChunkRows || c.held+n*idBytes >= c.r.ChunkBytes
}

// row is one event of a segment.
type row struct {
	offset uint64
	row    int32 // in its frame
	part   int32 // batch of the segment
	i      int32 // row of that batch
	place  int32 // in the id table
}

// segment decides what becomes of each event of s.
func (c *compaction) segment(ctx context.Context, s archive.Segment) error {
	if err := c.openRuns(ctx); err != nil {
		return err
	}
	parts, rows, err := c.read(ctx, s)
	if err != nil {
		return err
	}
	fresh, err := c.dedupe(ctx, parts, rows)
	if err != nil {
		return err
	}
	var losers []conflict
	counting := make([][]uint32, len(parts)) // rows that are the first of their id
	for n, w := range rows {
		first := &c.ids.firsts[w.place]
		b := parts[w.part]
		switch {
		case fresh[n]:
			if counting[w.part] == nil {
				counting[w.part] = make([]uint32, 0, b.N)
			}
			counting[w.part] = append(counting[w.part], uint32(w.i))
		case first.hash == b.Hashes[w.i]:
			c.out.Duplicates++
		default:
			c.out.Conflicts++
			losers = append(losers, conflict{b: b, i: int(w.i), hash: b.Hashes[w.i], firstHash: first.hash,
				at:    event.Position{Partition: int32(s.Partition), Offset: w.offset, Row: w.row},
				first: event.Position{Partition: int32(s.Partition), Offset: first.offset, Row: first.row},
			})
		}
	}
	if err := c.r.putConflicts(ctx, s, losers); err != nil {
		return err
	}
	for p, b := range parts {
		if err := c.keep(b, counting[p]); err != nil {
			return err
		}
	}
	return nil
}

// openRuns opens the id runs that a chunk asks, once.
func (c *compaction) openRuns(ctx context.Context) (err error) {
	if c.runs != nil {
		return nil
	}
	if c.runs, err = c.r.Archive.OpenRuns(ctx, c.out.Runs); err != nil {
		return fmt.Errorf("open %d id runs: %w", len(c.out.Runs), err)
	}
	return nil
}

func (c *compaction) closeRuns() {
	if c.runs != nil {
		c.runs.Close()
		c.runs = nil
	}
}

// read returns the events of s and their order in the log, until the next call.
func (c *compaction) read(ctx context.Context, s archive.Segment) (parts []*event.Batch, rows []row, err error) {
	rows = slices.Grow(c.rows[:0], int(s.Rows))
	err = c.r.Archive.ReadSegment(ctx, s, func(b *event.Batch, offsets []uint64, inFrame []int32) error {
		for i := range b.N {
			rows = append(rows, row{offset: offsets[i], row: inFrame[i], part: int32(len(parts)), i: int32(i)})
		}
		parts = append(parts, b)
		return nil
	})
	if err != nil {
		return nil, nil, err
	}
	if int64(len(rows)) != s.Rows {
		return nil, nil, fault.New(fault.Corrupt, "segment %s has %d rows, its name and footer say %d", s.Name, len(rows), s.Rows)
	}
	c.rows = rows
	c.out.Rows += s.Rows
	inLogOrder := func(a, b row) int { return cmp.Or(cmp.Compare(a.offset, b.offset), cmp.Compare(a.row, b.row)) }
	if !slices.IsSortedFunc(rows, inLogOrder) { // several schema versions
		slices.SortFunc(rows, inLogOrder)
	}
	return parts, rows, nil
}

// enter enters rows into the id table and reports which of their ids are new
// there.
func (c *compaction) enter(parts []*event.Batch, rows []row) (fresh []bool) {
	fresh = make([]bool, len(rows))
	c.ids.reserve(len(rows))
	const some = 1024
	ids, events, places := make([]event.ID, 0, some), make([]first, 0, some), make([]int32, some)
	for from := 0; from < len(rows); from += some {
		part := rows[from:min(from+some, len(rows))]
		ids, events = ids[:0], events[:0]
		for _, w := range part {
			b := parts[w.part]
			ids, events = append(ids, b.IDs[w.i]), append(events, first{hash: b.Hashes[w.i], offset: w.offset, row: w.row})
		}
		c.ids.add(ids, events, places, fresh[from:])
		for n := range part {
			part[n].place = places[n]
		}
	}
	return fresh
}

// dedupe enters rows into the id table and reports which of them are the
// first of their id in the whole history of the partition. The entries of the
// others hold what is known of the first.
func (c *compaction) dedupe(ctx context.Context, parts []*event.Batch, rows []row) (fresh []bool, err error) {
	fresh = c.enter(parts, rows)
	if len(c.out.Runs) == 0 {
		return fresh, nil
	}
	found := 0
	for _, isNew := range fresh {
		if isNew {
			found++
		}
	}
	asked, ids := make([]int, 0, found), make([]event.ID, 0, found)
	for n, isNew := range fresh {
		if isNew {
			asked = append(asked, n)
			ids = append(ids, c.ids.known.ids[rows[n].place])
		}
	}
	hits := make([]archive.Hit, len(ids))
	if err := c.runs.Lookup(ctx, ids, hits); err != nil {
		return nil, fmt.Errorf("look up %d ids: %w", len(ids), err)
	}
	for j, h := range hits {
		if !h.Found || planted.On(planted.BatchForgetsRuns) {
			continue
		}
		w := rows[asked[j]]
		if !before(h.Offset, h.Row, event.Position{Offset: w.offset, Row: w.row}) {
			return nil, fault.New(fault.Bug, "the id runs know the event at %d/%d as the one at %d/%d: its segment was compacted before", w.offset, w.row, h.Offset, h.Row)
		}
		fresh[asked[j]] = false
		c.ids.firsts[w.place] = first{hash: h.Hash, offset: h.Offset, row: h.Row, old: true}
	}
	return fresh, nil
}

// keep applies the filter rules to the given rows of b and remembers those
// that count. A row whose rule fails (an overflow, a bad cast) does not match
// it: speed decides the same.
func (c *compaction) keep(b *event.Batch, rows []uint32) error {
	for _, f := range c.r.Filters {
		if len(rows) == 0 {
			return nil
		}
		match := make([]bool, b.N)
		if err := f.Predicate.Eval(b, match); err != nil && !fault.Is(err, fault.Invalid) {
			return fmt.Errorf("filter rule %q: %w", f.Code, err)
		}
		kept := rows[:0]
		for _, i := range rows {
			if match[i] {
				c.out.Filtered[f.Code]++
				continue
			}
			kept = append(kept, i)
		}
		rows = kept
	}
	if len(rows) == 0 {
		return nil
	}
	c.out.Counted += int64(len(rows))
	day := dayColumn(b, c.r.TimeField)
	part := int32(len(c.parts))
	b = &event.Batch{Shape: b.Shape, N: b.N, Columns: b.Columns} // nobody asks for ids any more
	c.parts = append(c.parts, b)
	if c.dicts == nil {
		c.dicts = map[*event.Dict]bool{}
	}
	c.held += b.Memory(c.dicts) + int64(len(rows))*2*int64(unsafe.Sizeof(ref{})) // as much again to sort them
	for _, i := range rows {
		d, within := day(int(i))
		c.refs = append(c.refs, ref{day: d, time: within, part: part, row: int32(i)})
	}
	return nil
}

// flush writes what the chunk has found and forgets it.
func (c *compaction) flush(ctx context.Context) error {
	if entries := c.ids.fresh(); len(entries) > 0 {
		run, err := c.r.Archive.WriteRun(ctx, c.out.Partition, c.k, c.tag, entries)
		if err != nil {
			return fmt.Errorf("write an id run: %w", err)
		}
		c.out.Entries += run.Entries
		c.out.Runs = append(slices.Clone(c.out.Runs), run)
	}
	if len(c.refs) > 0 {
		w := c.r.Archive.NewDayWriter(ctx, c.k, c.out.Partition, c.tag)
		defer w.Abandon()
		c.sorting = room(c.sorting, len(c.refs))
		if err := writeDays(c.parts, c.refs, c.sorting, func(day int32, b *event.Batch) error {
			if err := pace.Yield(ctx); err != nil {
				return err
			}
			return w.Write(day, b)
		}); err != nil {
			return fmt.Errorf("write day files: %w", err)
		}
		files, err := w.Close(ctx, c.lineage)
		if err != nil {
			return fmt.Errorf("write day files: %w", err)
		}
		c.out.Days = append(c.out.Days, files...)
	}
	c.closeRuns()
	c.parts, c.refs, c.lineage, c.held = nil, c.refs[:0], nil, 0
	clear(c.dicts)
	c.ids.reset()
	return nil
}

const microsPerDay = 24 * int64(time.Hour/time.Microsecond)

// dayColumn returns a function that tells the event day of a row of b, and
// the microseconds since its begin. Without a time the day is 0: such events
// share no group of a view by time with those of that day.
func dayColumn(b *event.Batch, field string) func(i int) (day int32, within int64) {
	c := b.Column(field)
	if field == "" || c == nil {
		return func(int) (int32, int64) { return 0, 0 }
	}
	date := c.Type.Kind == event.Date
	return func(i int) (int32, int64) {
		if !c.Valid.Get(i) {
			return 0, 0
		}
		t := c.Ints[i]
		if date {
			return int32(t), 0
		}
		day := t / microsPerDay
		if t%microsPerDay < 0 && !planted.On(planted.DayBefore1970) {
			day--
		}
		return int32(day), t - day*microsPerDay
	}
}
