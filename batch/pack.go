package batch

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/zeebo/xxh3"

	"anabranch/archive"
	"anabranch/event"
	"anabranch/fault"
	"anabranch/internal/pace"
)

// packedUnit is the note of one unit of Pack.
type packedUnit struct {
	Unit   pack
	Days   []archive.DayFile   // the files that it has made
	States []archive.StateFile // or these
	Was    contents            // of the files that it read
	Is     contents            // of those that it made, read again
}

func (u *packedUnit) ref() Ref {
	ref := Ref{Label: u.Unit.label()}
	for _, c := range u.Was {
		ref.Rows += c.Rows
	}
	for _, f := range u.Days {
		ref.Bytes += f.Size
	}
	for _, f := range u.States {
		ref.Bytes += f.Size
	}
	return ref
}

// contents tells what files hold of each day, whatever the order of its rows.
type contents map[int32]content

type content struct {
	Rows   int64
	Hi, Lo uint64 // sum of the hashes of all rows
}

func (c contents) add(day int32, b *event.Batch) {
	one := c[day]
	one.Rows += int64(b.N)
	var row []byte
	for i := range b.N {
		row = row[:0]
		for j := range b.Columns {
			row = appendCell(row, &b.Columns[j], i)
		}
		h := xxh3.Hash128(row)
		one.Hi += h.Hi
		one.Lo += h.Lo
	}
	c[day] = one
}

// Pack puts the files of one unit of a compaction together, reads what it has
// made again, and compares.
func (r *Runner) Pack(ctx context.Context, ref PlanRef, unit int) (Ref, error) {
	var done packedUnit
	return r.once(ctx, ref, "pack", fmt.Sprintf(notePack, unit), &done, func() (func(context.Context) error, error) {
		p, parent, err := r.load(ctx, ref)
		if err != nil {
			return nil, err
		}
		if unit < 0 || unit >= len(p.Packs) {
			return nil, fault.New(fault.Invalid, "run %s: unit %d of a compaction: there are %d", ref.Run, unit, len(p.Packs))
		}
		return func(ctx context.Context) (err error) {
			if done, err = r.pack(ctx, p, unit, parent); err != nil {
				return fmt.Errorf("put together %s: %w", p.Packs[unit].label(), err)
			}
			return nil
		}, nil
	})
}

func (r *Runner) pack(ctx context.Context, p *plan, unit int, parent *archive.Manifest) (out packedUnit, err error) {
	out.Unit = p.Packs[unit]
	if key := out.Unit.View; key != "" {
		view := parent.Views[key]
		if view == nil {
			return out, fault.New(fault.Bug, "version %d has no files of view %s", parent.Version, key)
		}
		files, err := filesOf(view.States, out.Unit.Files, func(f archive.StateFile) string { return f.Name })
		if err != nil {
			return out, err
		}
		if out.States, out.Was, err = r.packStates(ctx, key, view, files, p.unitTag(unit)); err == nil {
			out.Is, err = r.contentsOfStates(ctx, out.States)
		}
		return out, err
	}
	files, err := filesOf(parent.Days, out.Unit.Files, func(f archive.DayFile) string { return f.Name })
	if err != nil {
		return out, err
	}
	if out.Days, out.Was, err = r.packDays(ctx, files, p.tag()); err == nil {
		out.Is, err = r.contentsOfDays(ctx, out.Days)
	}
	return out, err
}

// filesOf returns the files of the given names, in their order.
func filesOf[T any](all []T, names []string, name func(T) string) ([]T, error) {
	by := map[string]T{}
	for _, f := range all {
		by[name(f)] = f
	}
	var out []T
	for _, n := range names {
		f, ok := by[n]
		if !ok {
			return nil, fault.New(fault.Bug, "the manifest does not mention %s", n)
		}
		out = append(out, f)
	}
	return out, nil
}

// packDays writes the events of files of one partition, which come in the order
// of the log, day by day and by time, as they would have been written had one
// run counted them all.
func (r *Runner) packDays(ctx context.Context, files []archive.DayFile, tag string) (made []archive.DayFile, was contents, err error) {
	k, lineage, chunks := joined(files)
	w, err := r.Archive.NewPackedWriter(ctx, k, files[0].Partition, tag, files[0].Schema, chunks)
	if err != nil {
		return nil, nil, err
	}
	defer w.Abandon()
	reader := r.Archive.ReadDaysAsWritten(files)
	defer reader.Close()
	was = contents{}
	write := func(day int32, b *event.Batch) error {
		if err := pace.Yield(ctx); err != nil {
			return err
		}
		return w.Write(day, b)
	}
	for _, day := range slices.Sorted(maps.Keys(rowsByDay(files))) {
		one := oneDay{r: r, day: day, write: write}
		err := reader.Day(ctx, day, nil, func(b *event.Batch) error {
			was.add(day, b)
			return one.add(b)
		})
		if err == nil {
			err = one.flush()
		}
		if err != nil {
			return nil, nil, err
		}
	}
	made, err = w.Close(ctx, lineage)
	return made, was, err
}

// joined returns what files of several chunks have in common.
func joined(files []archive.DayFile) (k uint64, lineage []string, chunks []archive.DayChunk) {
	for i, f := range files {
		if k = max(k, f.K); i > 0 && sameChunk(f, files[i-1]) {
			continue
		}
		lineage = append(lineage, f.Segments...)
		chunks = append(chunks, f.Chunks()...)
	}
	return k, lineage, chunks
}

// oneDay gathers the events of a day and writes them by time. Of a day that is
// too large for memory the parts are sorted, each by itself.
type oneDay struct {
	r     *Runner
	day   int32
	write func(day int32, b *event.Batch) error
	parts []*event.Batch
	refs  []ref
	held  int64
	dicts map[*event.Dict]bool
}

func (d *oneDay) add(b *event.Batch) error {
	if d.dicts == nil {
		d.dicts = map[*event.Dict]bool{}
	}
	within := dayColumn(b, d.r.TimeField)
	part := int32(len(d.parts))
	d.parts = append(d.parts, b)
	d.held += b.Memory(d.dicts)
	for i := range b.N {
		_, at := within(i)
		d.refs = append(d.refs, ref{day: d.day, time: at, part: part, row: int32(i)})
	}
	if int64(len(d.refs)) < d.r.ChunkRows && d.held < d.r.ChunkBytes {
		return nil
	}
	return d.flush()
}

func (d *oneDay) flush() error {
	if len(d.refs) == 0 {
		return nil
	}
	err := writeDays(d.parts, d.refs, make([]ref, len(d.refs)), d.write)
	d.parts, d.refs, d.held, d.dicts = nil, nil, 0, nil
	return err
}

// contentsOfDays reads files that were just made.
func (r *Runner) contentsOfDays(ctx context.Context, files []archive.DayFile) (contents, error) {
	out := contents{}
	reader := r.Archive.ReadDaysAsWritten(files)
	defer reader.Close()
	for _, day := range slices.Sorted(maps.Keys(rowsByDay(files))) {
		err := reader.Day(ctx, day, nil, func(b *event.Batch) error {
			out.add(day, b)
			return pace.Yield(ctx)
		})
		if err != nil {
			return nil, err
		}
	}
	return out, nil
}

// packStates writes the states that live in some files of a view into one.
// They are copied, not merged: each day lives in one file.
func (r *Runner) packStates(ctx context.Context, key string, v *archive.ViewFiles, files []archive.StateFile, tag string) ([]archive.StateFile, contents, error) {
	by, live := map[string]archive.StateFile{}, liveDays(v)
	memory, parted := int64(0), false
	var days []int32
	for _, f := range files {
		by[f.Name] = f
		days = append(days, live[f.Name]...)
		_, m := shareOf(f, live[f.Name])
		memory, parted = memory+m, parted || f.Parted
	}
	slices.Sort(days)
	w := r.Archive.NewStates(key, v.Version, tag)
	defer w.Abandon()
	was := contents{}
	for len(days) > 0 { // those that follow each other in one file are read at once
		f, n := by[v.Live[days[0]]], 1
		for n < len(days) && v.Live[days[n]] == f.Name {
			n++
		}
		if err := r.copyStates(ctx, w, f, days[:n], was); err != nil {
			return nil, nil, fmt.Errorf("states %s: %w", f.Name, err)
		}
		days = days[n:]
	}
	groups := w.Rows()
	made, err := w.Close(ctx)
	made.Memory, made.Parted, made.Groups = memory, parted, groups
	return []archive.StateFile{made}, was, err
}

func (r *Runner) copyStates(ctx context.Context, w *archive.StateWriter, f archive.StateFile, days []int32, was contents) error {
	wanted := map[int32]bool{}
	for _, day := range days {
		wanted[day] = true
	}
	begin := func(day int32) error { // also those that have no groups
		for len(days) > 0 && days[0] <= day {
			if was[days[0]] = (content{}); days[0] < day {
				if err := w.Write(days[0], nil); err != nil {
					return err
				}
			}
			days = days[1:]
		}
		return nil
	}
	last := days[len(days)-1]
	err := r.Archive.ReadStates(ctx, f, wanted, func(day int32, b *event.Batch) error {
		if err := pace.Yield(ctx); err != nil {
			return err
		}
		if err := begin(day); err != nil {
			return err
		}
		was.add(day, b)
		return w.Write(day, b)
	})
	if err == nil {
		err = begin(last)
	}
	if err == nil {
		err = w.Write(last, nil)
	}
	return err
}

func (r *Runner) contentsOfStates(ctx context.Context, files []archive.StateFile) (contents, error) {
	out := contents{}
	for _, f := range files {
		for _, day := range f.Days {
			out[day] = content{}
		}
		err := r.Archive.ReadStates(ctx, f, nil, func(day int32, b *event.Batch) error {
			out.add(day, b)
			return pace.Yield(ctx)
		})
		if err != nil {
			return nil, fmt.Errorf("states %s: %w", f.Name, err)
		}
	}
	return out, nil
}
