package batch

import (
	"context"
	"fmt"
	"slices"

	"anabranch/archive"
	"anabranch/event"
	"anabranch/fault"
)

// Repair is the kind of a manifest that takes files made again in place of
// lost ones. Cut, counts and answers are those of the manifest before it.
const Repair = "repair"

// RebuildRuns makes the lost id runs of one partition of m again and returns
// the partition's list of runs. They are what the segments below the cut hold
// and no other run does. One lost run comes back with its bytes, and so under
// its name; several come back as one. Corrupt when the segments do not give as
// many ids as were lost; nothing is in use then.
func (r *Runner) RebuildRuns(ctx context.Context, m *archive.Manifest, partition int, lost map[string]bool) ([]archive.Run, error) {
	var there, gone []archive.Run
	for _, run := range m.Runs[partition] {
		if lost[run.Name] {
			gone = append(gone, run)
		} else {
			there = append(there, run)
		}
	}
	if len(gone) == 0 {
		return there, nil
	}
	k, want := uint64(0), int64(0)
	for _, run := range gone {
		k, want = max(k, run.K), want+run.Entries
	}
	c := &compaction{r: r, k: k, tag: gone[0].Plan, out: compacted{Partition: partition, Runs: there, Filtered: map[string]int64{}}}
	defer c.closeRuns()
	raw := m.RawFrom(partition).From
	if raw > 0 {
		return nil, fault.WithCode(fault.New(fault.Corrupt, "partition %d: the segments below %d have expired, and with them the ids that were lost: restore the id runs from a copy of the bucket", partition, raw), archive.RawGone)
	}
	segments, err := r.newSegments(ctx, partition, 0, m.Cut[partition])
	if err != nil {
		return nil, err
	}
	for i, s := range segments {
		if err := c.unknownIDs(ctx, s); err != nil {
			return nil, err
		}
		if i == len(segments)-1 || c.full() {
			if err := c.flush(ctx); err != nil {
				return nil, err
			}
		}
	}
	made := c.out.Runs[len(there):]
	if len(made) > 1 {
		merged, err := r.Archive.MergeRuns(ctx, made, k, c.tag)
		if err != nil {
			return nil, fmt.Errorf("merge %d id runs: %w", len(made), err)
		}
		made = []archive.Run{merged}
	}
	if c.out.Entries != want {
		return nil, fault.New(fault.Corrupt, "partition %d: the segments give %d ids that no other run holds, %d were lost", partition, c.out.Entries, want)
	}
	return inPlace(m.Runs[partition], made, func(run archive.Run) bool { return lost[run.Name] }), nil
}

// unknownIDs enters the ids of s into the table, and marks those that a run
// holds.
func (c *compaction) unknownIDs(ctx context.Context, s archive.Segment) error {
	if s.Rows == 0 {
		return nil
	}
	if err := c.openRuns(ctx); err != nil {
		return err
	}
	parts, rows, err := c.read(ctx, s)
	if err != nil {
		return err
	}
	first := c.ids.len()
	c.enter(parts, rows)
	ids := slices.Clone(c.ids.known.ids[first:])
	hits := make([]archive.Hit, len(ids))
	if err := c.runs.Lookup(ctx, ids, hits); err != nil {
		return fmt.Errorf("look up %d ids: %w", len(ids), err)
	}
	for i, h := range hits {
		c.ids.firsts[first+i].old = h.Found
	}
	return nil
}

// RebuildDays makes the day files of one chunk of a compaction again: those of
// m with the partition, barrier and lineage of f. An event counts when the id
// runs say that it is the first of its id, and no filter takes it out; so the
// runs have to be whole, and r has to have the filters and the newest schema
// of that time. The files come back with their bytes, and so under their
// names, unless the program has learned to write others since. Corrupt when
// the days do not get the events that m says; nothing is in use then.
func (r *Runner) RebuildDays(ctx context.Context, m *archive.Manifest, f archive.DayFile) (old, made []archive.DayFile, err error) {
	if made, err = r.rebuildChunk(ctx, m, f); err != nil {
		return nil, nil, err
	}
	old, err = sameEvents(m, f, made)
	return old, made, err
}

// RebuildPacked does it for a file that a compaction has put together: it makes
// what was counted at each barrier again, with the Runner that of returns for
// that barrier, and puts it together again.
func RebuildPacked(ctx context.Context, m *archive.Manifest, f archive.DayFile, of func(k uint64) (*Runner, func(), error)) (old, made []archive.DayFile, err error) {
	var parts []archive.DayFile
	segments := f.Segments
	for _, c := range f.Packed {
		if c.Segments > len(segments) {
			return nil, nil, fault.New(fault.Corrupt, "%s says that it was put together of more segments than it has", f.Name)
		}
		part := f
		part.K, part.Segments, part.Packed = c.K, segments[:c.Segments], nil
		segments = segments[c.Segments:]
		r, stop, err := of(c.K)
		if err != nil {
			return nil, nil, err
		}
		files, err := r.rebuildChunk(ctx, m, part)
		stop()
		if err != nil {
			return nil, nil, err
		}
		parts = append(parts, files...)
	}
	for _, p := range parts {
		if p.Schema != parts[0].Schema {
			return nil, nil, fault.New(fault.Corrupt, "the parts of %s come back with schema versions %d and %d", f.Name, parts[0].Schema, p.Schema)
		}
	}
	if len(parts) == 0 {
		return nil, nil, fault.New(fault.Corrupt, "the segments of %s give no events", f.Name)
	}
	r, stop, err := of(f.K)
	if err != nil {
		return nil, nil, err
	}
	defer stop()
	if made, _, err = r.packDays(ctx, parts, f.Plan); err != nil {
		return nil, nil, err
	}
	old, err = sameEvents(m, f, made)
	return old, made, err
}

// rebuildChunk makes the day files again that were made of the segments of f at
// its barrier.
func (r *Runner) rebuildChunk(ctx context.Context, m *archive.Manifest, f archive.DayFile) ([]archive.DayFile, error) {
	c := &compaction{r: r, k: f.K, tag: f.Plan, out: compacted{Partition: f.Partition, Runs: m.Runs[f.Partition], Filtered: map[string]int64{}}}
	defer c.closeRuns()
	if err := c.openRuns(ctx); err != nil {
		return nil, err
	}
	segments, err := r.newSegments(ctx, f.Partition, m.RawFrom(f.Partition).From, m.Cut[f.Partition])
	if err != nil {
		return nil, err
	}
	for _, s := range segments {
		if !slices.Contains(f.Segments, s.Name) {
			continue
		}
		c.lineage = append(c.lineage, s.Name)
		if err := c.firstOfIDs(ctx, s); err != nil {
			return nil, err
		}
	}
	if !slices.Equal(c.lineage, f.Segments) {
		return nil, fault.New(fault.NotFound, "%s was made from the segments %v; there are %v of them", f.Name, f.Segments, c.lineage)
	}
	if err := c.flush(ctx); err != nil {
		return nil, err
	}
	return c.out.Days, nil
}

// sameEvents returns the files of m that made stands for, when they have as
// many events of each day.
func sameEvents(m *archive.Manifest, f archive.DayFile, made []archive.DayFile) (old []archive.DayFile, err error) {
	for _, d := range m.Days {
		if sameChunk(d, f) {
			old = append(old, d)
		}
	}
	want, got := rowsByDay(old), rowsByDay(made)
	for day, n := range want {
		if got[day] != n {
			return nil, fault.New(fault.Corrupt, "the segments of %s give %d events of %s, there were %d", f.Name, got[day], dayName(day), n)
		}
	}
	if len(got) != len(want) {
		return nil, fault.New(fault.Corrupt, "the segments of %s give events of %d days, there were %d", f.Name, len(got), len(want))
	}
	return old, nil
}

func sameChunk(a, b archive.DayFile) bool {
	return a.Partition == b.Partition && a.K == b.K && slices.Equal(a.Segments, b.Segments)
}

// firstOfIDs takes on the events of s that the runs know in their place.
func (c *compaction) firstOfIDs(ctx context.Context, s archive.Segment) error {
	if s.Rows == 0 {
		return nil
	}
	parts, rows, err := c.read(ctx, s)
	if err != nil {
		return err
	}
	ids := make([]event.ID, len(rows))
	for i, w := range rows {
		ids[i] = parts[w.part].IDs[w.i]
	}
	hits := make([]archive.Hit, len(ids))
	if err := c.runs.Lookup(ctx, ids, hits); err != nil {
		return fmt.Errorf("look up %d ids: %w", len(ids), err)
	}
	counting := make([][]uint32, len(parts))
	for i, w := range rows {
		switch h := hits[i]; {
		case !h.Found:
			return fault.New(fault.Corrupt, "%s: the id runs do not know the event at %d/%d", s.Name, w.offset, w.row)
		case h.Offset == w.offset && h.Row == w.row:
			counting[w.part] = append(counting[w.part], uint32(w.i))
		}
	}
	for p, b := range parts {
		if err := c.keep(b, counting[p]); err != nil {
			return err
		}
	}
	return nil
}

// Replace publishes m with other id runs and day files, unless all of them are
// those that it has.
func (r *Runner) Replace(ctx context.Context, m *archive.Manifest, runs [][]archive.Run, days []archive.DayFile, reason, by string) (*archive.Manifest, error) {
	same := slices.EqualFunc(m.Runs, runs, func(a, b []archive.Run) bool { return slices.Equal(a, b) })
	if same && slices.EqualFunc(m.Days, days, func(a, b archive.DayFile) bool { return a.Name == b.Name && a.Sum == b.Sum }) {
		return m, nil
	}
	next := *m
	next.Version, next.Parent, next.Created = m.Version+1, m.Hash(), r.Clock.Now().UTC()
	next.Kind, next.Reason, next.By = Repair, reason, by
	next.Runs, next.Days = runs, days
	next.Base, next.Run = 0, ""
	if err := r.Archive.Publish(ctx, &next); err != nil {
		return nil, err
	}
	return &next, nil
}

// ReplaceDays returns days with made in place of old.
func ReplaceDays(days, old, made []archive.DayFile) []archive.DayFile {
	return inPlace(days, made, func(d archive.DayFile) bool {
		return slices.ContainsFunc(old, func(o archive.DayFile) bool { return o.Name == d.Name })
	})
}

// inPlace returns all with made where the first of gone stood.
func inPlace[T any](all, made []T, gone func(T) bool) []T {
	var out []T
	for _, v := range all {
		if !gone(v) {
			out = append(out, v)
			continue
		}
		out = append(out, made...)
		made = nil
	}
	return append(out, made...)
}
