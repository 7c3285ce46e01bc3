package archive

import (
	"context"
	"slices"

	"anabranch/event"
	"anabranch/fault"
	"anabranch/schemas"
)

// openDayFiles is how many files a DayReader has open at most.
const openDayFiles = 32

// DayReader reads the days of some day files. A file holds many days and has a
// footer that tells of all of them, so it is opened once for those that are read
// one behind the other. It is not safe for concurrent use.
type DayReader struct {
	a     *Archive
	files []DayFile
	plain bool       // not read up to the newest schema
	again bool       // the memory of a batch is used again for the next
	open  []*openDay // the one used last at the end
}

// openDay is a file whose footer has been read.
type openDay struct {
	name    string
	file    *schemas.ParquetFile
	from    *schemas.Schema
	release func()
}

// ReadDays returns a reader of files; Close it.
func (a *Archive) ReadDays(files []DayFile) *DayReader { return &DayReader{a: a, files: files} }

// ScanDays returns a reader of files whose batches are fn's until it returns: the
// memory of their columns, but not of their dictionaries, is used again.
func (a *Archive) ScanDays(files []DayFile) *DayReader {
	return &DayReader{a: a, files: files, again: true}
}

// ReadDaysAsWritten returns a reader of files that gives events in the schema
// version of their file.
func (a *Archive) ReadDaysAsWritten(files []DayFile) *DayReader {
	return &DayReader{a: a, files: files, plain: true}
}

// Day calls fn with the events of one day (files without it are passed over),
// read up to the newest schema, with the given columns (nil: all) in the given
// order. The batches are fn's to keep, unless the reader is of ScanDays.
func (r *DayReader) Day(ctx context.Context, day int32, columns []string, fn func(*event.Batch) error) error {
	for _, f := range r.files {
		var groups []int
		for _, d := range f.Days {
			if d.Day == day {
				groups = append(groups, d.RowGroups...)
			}
		}
		if len(groups) == 0 {
			continue
		}
		if f.Gone {
			return fault.WithCode(fault.New(fault.Invalid, "the raw events of day %d have expired: %s is gone", day, f.Name), RawGone)
		}
		o, err := r.opened(ctx, f)
		if err != nil {
			return err
		}
		to := r.a.schemas.Newest()
		if r.plain {
			to = o.from
		}
		if err := o.read(ctx, to, groups, columns, r.again, fn); err != nil {
			return named(f.Name, err)
		}
	}
	return nil
}

// Close closes the files.
func (r *DayReader) Close() {
	for _, o := range r.open {
		o.release()
	}
	r.open = nil
}

func (r *DayReader) opened(ctx context.Context, f DayFile) (*openDay, error) {
	if i := slices.IndexFunc(r.open, func(o *openDay) bool { return o.name == f.Name }); i >= 0 {
		o := r.open[i]
		r.open = append(slices.Delete(r.open, i, i+1), o)
		return o, nil
	}
	o, err := r.a.openDay(ctx, f)
	if err != nil {
		return nil, err
	}
	if len(r.open) == openDayFiles {
		r.open[0].release()
		r.open = slices.Delete(r.open, 0, 1)
	}
	r.open = append(r.open, o)
	return o, nil
}

func (a *Archive) openDay(ctx context.Context, f DayFile) (*openDay, error) {
	from, ok := a.schemas.Get(f.Schema)
	if !ok {
		return nil, fault.New(fault.Invalid, "read %s: its schema version %d is not among those of the pipeline", f.Name, f.Schema)
	}
	r, release, err := a.open(ctx, f.Name, f.Size, f.Sum)
	if err != nil {
		return nil, err
	}
	file, err := schemas.OpenParquet(r, f.Size)
	if err == nil && !sameColumns(file.Shape(), from.Shape()) {
		err = fault.New(fault.Corrupt, "its columns are not those of schema version %d", f.Schema)
	}
	if err != nil {
		release()
		return nil, named(f.Name, err)
	}
	return &openDay{f.Name, file, from, release}, nil
}

func (o *openDay) read(ctx context.Context, newest *schemas.Schema, groups []int, columns []string, again bool, fn func(*event.Batch) error) error {
	read := o.file.Read
	if again {
		read = o.file.Scan
	}
	if o.from == newest {
		return read(ctx, groups, columns, func(b *event.Batch) error {
			if columns == nil {
				b.Shape = newest.Shape()
			}
			return fn(b)
		})
	}
	return read(ctx, groups, nil, func(b *event.Batch) error {
		b.Shape = o.from.Shape()
		b, err := newest.Upgrade(b, o.from)
		if err == nil && columns != nil {
			b, err = project(b, columns)
		}
		if err != nil {
			return err
		}
		return fn(b)
	})
}
