package archive

import (
	"context"
	"fmt"

	"anabranch/event"
	"anabranch/fault"
	"anabranch/schemas"
)

// DayFile holds counted events of one partition and some consecutive event
// days.
type DayFile struct {
	Name      string    `json:"name"`
	Partition int       `json:"partition"`
	K         uint64    `json:"k"`      // the batch cycle that wrote it
	Schema    uint32    `json:"schema"` // version of the schema its columns follow
	Days      []DayRows `json:"days"`
	Size      int64     `json:"size"`
	Sum       string    `json:"sum"`            // SHA-256
	Segments  []string  `json:"segments"`       // lineage: the segments its events come from
	Plan      string    `json:"plan,omitempty"` // part of its name
	// Gone says that its events have expired with the segments they come from:
	// there is no such object any more. What views have of them stays.
	Gone bool `json:"gone,omitempty"`
	// Packed says what a compaction has put together in it, in the order of
	// Segments; none: it is as the batch cycle wrote that counted its events.
	Packed []DayChunk `json:"packed,omitempty"`
}

// DayChunk is what one batch cycle counted of a partition in one go.
type DayChunk struct {
	K        uint64 `json:"k"`
	Segments int    `json:"segments"` // how many of its file's
}

// Chunks returns what the file's events were counted in.
func (f *DayFile) Chunks() []DayChunk {
	if len(f.Packed) > 0 {
		return f.Packed
	}
	return []DayChunk{{f.K, len(f.Segments)}}
}

// RawGone is the code of errors that say that raw events have expired.
const RawGone = "raw_expired"

// DayRows says where the events of one day are in a file.
type DayRows struct {
	Day       int32 `json:"day"` // days since 1970
	Rows      int64 `json:"rows"`
	RowGroups []int `json:"row_groups"`
}

const dayKey = "anabranch.days"

// dayMeta stands in the footer of a day file.
type dayMeta struct {
	Format    int       `json:"format"`
	Pipeline  string    `json:"pipeline"`
	Partition int       `json:"partition"`
	K         uint64    `json:"k"`
	Schema    uint32    `json:"schema"`
	Days      []DayRows `json:"days"`
	Segments  []string  `json:"segments"`
}

// DayWriter writes the day files of one partition. It is not safe for
// concurrent use.
type DayWriter struct {
	a         *Archive
	k         uint64
	partition int
	plan      string
	schema    *schemas.Schema
	packed    []DayChunk
	files     []*dayOpen
	closed    bool
}

// dayOpen is one file being written. Its footer waits for the lineage.
type dayOpen struct {
	*parquetObject
	days []DayRows
}

// NewDayWriter returns a writer of files named after k, partition and plan.
func (a *Archive) NewDayWriter(ctx context.Context, k uint64, partition int, plan string) *DayWriter {
	return &DayWriter{a: a, k: k, partition: partition, plan: plan, schema: a.schemas.Newest()}
}

// NewPackedWriter returns a writer of files that hold what other files held,
// in the schema version that these were written with.
func (a *Archive) NewPackedWriter(ctx context.Context, k uint64, partition int, plan string, schema uint32, packed []DayChunk) (*DayWriter, error) {
	s, ok := a.schemas.Get(schema)
	if !ok {
		return nil, fault.New(fault.Invalid, "write day files: schema version %d is not among those of the pipeline", schema)
	}
	w := a.NewDayWriter(ctx, k, partition, plan)
	w.schema, w.packed = s, packed
	return w, nil
}

// Write adds events of a day, in the newest schema's shape and sorted by time
// as readers shall find them; days come in ascending order, and one day may
// come in several calls. IDs and hashes are not kept.
func (w *DayWriter) Write(day int32, b *event.Batch) error {
	if b.N == 0 {
		return nil
	}
	if w.schema == nil || !sameColumns(b.Shape, w.schema.Shape()) {
		return fault.New(fault.Bug, "write day %d: its columns are not those of schema version %d", day, w.version())
	}
	f, err := w.file(day)
	if err != nil {
		return fmt.Errorf("write day %d: %w", day, err)
	}
	if err := f.write(b); err != nil {
		return fmt.Errorf("write day %d: %w", day, err)
	}
	d := &f.days[len(f.days)-1]
	d.Rows += int64(b.N)
	if n := len(d.RowGroups); n == 0 || d.RowGroups[n-1] != f.groups {
		d.RowGroups = append(d.RowGroups, f.groups)
	}
	return nil
}

func (w *DayWriter) version() uint32 {
	if w.schema == nil {
		return 0
	}
	return w.schema.Version()
}

// file returns the file that takes the next rows of a day, which is the last
// one among its days.
func (w *DayWriter) file(day int32) (*dayOpen, error) {
	if n := len(w.files); n > 0 {
		f := w.files[n-1]
		last := f.days[len(f.days)-1].Day
		if day < last {
			return nil, fault.New(fault.Bug, "day %d was written before", last)
		}
		if day != last || f.open >= groupRows {
			if err := f.endGroup(); err != nil {
				return nil, err
			}
		}
		if f.spool.size < fileBytes {
			if day != last {
				f.days = append(f.days, DayRows{Day: day})
			}
			return f, nil
		}
	}
	p, err := w.a.newParquet(w.schema.Shape())
	if err != nil {
		return nil, err
	}
	f := &dayOpen{parquetObject: p, days: []DayRows{{Day: day}}}
	w.files = append(w.files, f)
	return f, nil
}

// Close stores what was written and returns all files, each with the given
// lineage. Without it nothing is referenced and Collect cleans up.
func (w *DayWriter) Close(ctx context.Context, lineage []string) ([]DayFile, error) {
	defer w.Abandon()
	if w.closed {
		return nil, fault.New(fault.Bug, "close the day writer of partition %d twice", w.partition)
	}
	out := make([]DayFile, len(w.files))
	for i, f := range w.files {
		meta := dayMeta{fileFormat, w.a.pipeline, w.partition, w.k, w.schema.Version(), f.days, lineage}
		if err := f.finish(dayKey, meta); err != nil {
			return nil, fmt.Errorf("write day file %d of partition %d: %w", i, w.partition, err)
		}
		d := DayFile{Partition: w.partition, K: w.k, Schema: w.schema.Version(), Days: f.days, Segments: lineage, Plan: w.plan, Packed: w.packed}
		var err error
		d.Name, d.Size, d.Sum, err = f.spool.put(ctx, func(sum string) string { return w.a.dayName(w.k, w.partition, i, w.plan, sum) })
		if err != nil {
			return nil, err
		}
		out[i] = d
	}
	return out, nil
}

// Abandon drops what was written and not closed, with its room on disk; after
// Close it does nothing. Defer it.
func (w *DayWriter) Abandon() {
	w.closed = true
	for _, f := range w.files {
		f.spool.close()
	}
}
