package archive

import (
	"bytes"
	"context"
	"fmt"

	"anabranch/bucket"
	"anabranch/event"
	"anabranch/fault"
	"anabranch/schemas"
)

// ReadSegment calls fn with the rows of s, read up to the newest schema, each
// with the offset of its frame and its row there. The batches have IDs and
// Hashes and are fn's to keep. Rows of one schema version come in log order;
// where a segment holds several versions (a definition was being rolled out),
// one version comes after the other. Corrupt names the segment.
func (a *Archive) ReadSegment(ctx context.Context, s Segment, fn func(b *event.Batch, offsets []uint64, rows []int32) error) error {
	return a.readSegment(ctx, s, nil, fn)
}

// ScanSegment is ReadSegment for who wants to know which events there are: the
// batches have IDs and the given columns alone, in their order, and no Hashes,
// and only these columns are fetched. What fn is given is its own until it
// returns.
func (a *Archive) ScanSegment(ctx context.Context, s Segment, columns []string, fn func(b *event.Batch, offsets []uint64, rows []int32) error) error {
	if columns == nil {
		columns = []string{}
	}
	return a.readSegment(ctx, s, columns, fn)
}

// readSegment reads all columns of a segment's events (only is nil), or those.
func (a *Archive) readSegment(ctx context.Context, s Segment, only []string, fn func(b *event.Batch, offsets []uint64, rows []int32) error) error {
	parts := &partsReader{footerReader: footerReader{remote: remote{ctx, a, s.Name}, size: s.Size}}
	file, err := schemas.OpenParquet(parts, s.Size)
	if err != nil {
		return named(s.Name, err)
	}
	is, m, err := a.checkSegment(s.Partition, bucket.Info{Name: s.Name, Size: s.Size}, file)
	if err != nil {
		return err
	}
	if is != s {
		return fault.New(fault.Corrupt, "read %s: it is %+v, it was %+v", s.Name, is, s)
	}
	if s.Rows == 0 {
		return nil
	}
	l, err := newLayout(a.schemas, m.Schemas)
	if err != nil {
		return named(s.Name, err)
	}
	for g, v := range m.Groups {
		i := l.place(v)
		if i < 0 {
			return fault.New(fault.Corrupt, "read %s: row group %d follows schema version %d, which its footer leaves out", s.Name, g, v)
		}
		if err := a.readGroup(ctx, file, parts, g, l, i, only, fn); err != nil {
			return named(s.Name, err)
		}
	}
	return nil
}

// readGroup reads the rows of one row group, which follow the i-th version.
func (a *Archive) readGroup(ctx context.Context, file *schemas.ParquetFile, parts *partsReader, group int, l *layout, i int, only []string, fn func(b *event.Batch, offsets []uint64, rows []int32) error) error {
	from, newest := l.versions[i], a.schemas.Newest()
	names := l.names(i)
	shape, whole, system := from.Shape(), true, systemFields
	if only != nil {
		fields, files := []event.Field{}, []string{}
		for _, name := range only {
			at, to := shape.Index(name), newest.Shape().Index(name)
			if at < 0 || to < 0 || shape.Fields[at].Type != newest.Shape().Fields[to].Type {
				break
			}
			fields, files = append(fields, shape.Fields[at]), append(files, names[at])
		}
		if len(fields) == len(only) { // else they are there when all have been read up
			shape, whole, system = event.NewShape(fields...), false, scannedFields
			names = files
			for _, f := range system {
				names = append(names, f.Name)
			}
		}
	}
	want := make([]event.Field, 0, len(names))
	want = append(append(want, shape.Fields...), system...)
	for c, name := range names {
		at := file.Shape().Index(name)
		if at < 0 || file.Shape().Fields[at].Type != want[c].Type {
			return fault.New(fault.Corrupt, "it has no column %s of type %s, which schema version %d calls for", name, want[c].Type, from.Version())
		}
	}
	if err := parts.fetch(file.Spans(group, names, partsGap)); err != nil {
		return err
	}
	kept := len(shape.Fields)
	if only != nil {
		kept = 0
	}
	var offsets []uint64
	var rows []int32
	var ids []event.ID
	return file.ReadKept(ctx, []int{group}, names, kept, func(b *event.Batch) error {
		n := len(shape.Fields)
		offset, inFrame := b.Column("_offset").Ints, b.Column("_row").Ints
		high, low := b.Column("_id_hi").Ints, b.Column("_id_lo").Ints
		if only == nil || cap(ids) < b.N {
			offsets, rows, ids = make([]uint64, b.N), make([]int32, b.N), make([]event.ID, b.N)
		}
		offsets, rows, ids = offsets[:b.N], rows[:b.N], ids[:b.N]
		for r := range b.N {
			offsets[r], rows[r] = uint64(offset[r]), int32(inFrame[r])
			ids[r] = event.ID{Hi: uint64(high[r]), Lo: uint64(low[r])}
		}
		out := &event.Batch{Shape: shape, N: b.N, Columns: b.Columns[:n:n], IDs: ids}
		if only == nil {
			out.Hashes = make([]uint64, b.N)
			for r, hash := range b.Column("_hash").Ints {
				out.Hashes[r] = uint64(hash)
			}
		}
		if whole && from != newest {
			var err error
			if out, err = newest.Upgrade(out, from); err != nil {
				return fmt.Errorf("read schema version %d as %d: %w", from.Version(), newest.Version(), err)
			}
		}
		if whole && only != nil {
			var err error
			if out, err = project(out, only); err != nil {
				return err
			}
		}
		return fn(out, offsets, rows)
	})
}

// IngestedAfter returns the first offset of s whose frame a gateway took after
// a time, in microseconds since 1970; false when there is none.
func (a *Archive) IngestedAfter(ctx context.Context, s Segment, after int64) (first uint64, found bool, err error) {
	if s.Rows == 0 {
		return 0, false, nil
	}
	data, err := a.get(ctx, s.Name)
	if err != nil {
		return 0, false, err
	}
	file, err := schemas.OpenParquet(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		return 0, false, named(s.Name, err)
	}
	err = file.Read(ctx, nil, []string{systemFields[0].Name, systemFields[2].Name}, func(b *event.Batch) error {
		for i, at := range b.Columns[1].Ints {
			if offset := uint64(b.Columns[0].Ints[i]); at > after && (!found || offset < first) {
				first, found = offset, true
			}
		}
		return nil
	})
	return first, found, named(s.Name, err)
}
