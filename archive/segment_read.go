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
	data, err := a.get(ctx, s.Name)
	if err != nil {
		return err
	}
	file, err := schemas.OpenParquet(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		return named(s.Name, err)
	}
	is, m, err := a.checkSegment(s.Partition, bucket.Info{Name: s.Name, Size: int64(len(data))}, file)
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
		if err := a.readGroup(ctx, file, g, l, i, fn); err != nil {
			return named(s.Name, err)
		}
	}
	return nil
}

// readGroup reads the rows of one row group, which follow the i-th version.
func (a *Archive) readGroup(ctx context.Context, file *schemas.ParquetFile, group int, l *layout, i int, fn func(b *event.Batch, offsets []uint64, rows []int32) error) error {
	from, newest := l.versions[i], a.schemas.Newest()
	names := l.names(i)
	want := make([]event.Field, 0, len(names))
	want = append(append(want, from.Shape().Fields...), systemFields...)
	for c, name := range names {
		at := file.Shape().Index(name)
		if at < 0 || file.Shape().Fields[at].Type != want[c].Type {
			return fault.New(fault.Corrupt, "it has no column %s of type %s, which schema version %d calls for", name, want[c].Type, from.Version())
		}
	}
	return file.Read(ctx, []int{group}, names, func(b *event.Batch) error {
		n := len(from.Shape().Fields)
		system := b.Columns[n:]
		offsets, rows := make([]uint64, b.N), make([]int32, b.N)
		ids, hashes := make([]event.ID, b.N), make([]uint64, b.N)
		for r := range b.N {
			offsets[r], rows[r] = uint64(system[0].Ints[r]), int32(system[1].Ints[r])
			ids[r] = event.ID{Hi: uint64(system[3].Ints[r]), Lo: uint64(system[4].Ints[r])}
			hashes[r] = uint64(system[5].Ints[r])
		}
		out := &event.Batch{Shape: from.Shape(), N: b.N, Columns: b.Columns[:n:n], IDs: ids, Hashes: hashes}
		if from != newest {
			var err error
			if out, err = newest.Upgrade(out, from); err != nil {
				return fmt.Errorf("read schema version %d as %d: %w", from.Version(), newest.Version(), err)
			}
		}
		return fn(out, offsets, rows)
	})
}
