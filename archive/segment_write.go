package archive

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"anabranch/bucket"
	"anabranch/event"
	"anabranch/schemas"
)

// frame is one decoded frame of an open segment.
type frame struct {
	offset   uint64
	schema   uint32
	ingested int64
	batch    *event.Batch
}

// openSegment is what was read of the log and not sealed yet.
type openSegment struct {
	from, to  uint64 // from of the segment, and behind the last record read
	frames    []frame
	rows      int64
	bytes     int64 // of frames in the log
	producers map[string]uint64
}

func (o *openSegment) add(at uint64, h event.Header, size int, b *event.Batch) {
	o.to = at + 1
	o.frames = append(o.frames, frame{at, h.Schema, h.Ingested, b})
	o.rows += int64(b.N)
	o.bytes += int64(size)
	if h.Sequence > 0 {
		if o.producers == nil {
			o.producers = map[string]uint64{}
		}
		o.producers[h.Producer] = max(o.producers[h.Producer], h.Sequence)
	}
}

// putSegment writes the segment of o, which ends with the barrier when there
// is one. ErrCondition (Conflict) when a segment that begins at o.from is
// there already.
func (a *Archive) putSegment(ctx context.Context, partition int, o *openSegment, barrier uint64, admit string) (Segment, error) {
	return a.storeSegment(ctx, partition, o, barrier, admit, bucket.Condition{Absent: true})
}

// replaceSegment is putSegment over whatever is there.
func (a *Archive) replaceSegment(ctx context.Context, partition int, o *openSegment, barrier uint64, admit string) error {
	_, err := a.storeSegment(ctx, partition, o, barrier, admit, bucket.Condition{})
	return err
}

func (a *Archive) storeSegment(ctx context.Context, partition int, o *openSegment, barrier uint64, admit string, when bucket.Condition) (Segment, error) {
	m := segmentMeta{
		Format: fileFormat, Pipeline: a.pipeline, Partition: partition, From: o.from, To: o.to, Rows: o.rows,
		Barrier: barrier, Admit: admit, Schemas: []uint32{}, Groups: []uint32{}, Producers: o.producers,
	}
	for i, f := range o.frames {
		if !slices.Contains(m.Schemas, f.schema) {
			m.Schemas = append(m.Schemas, f.schema)
		}
		if i == 0 {
			m.First, m.Last = f.ingested, f.ingested
		}
		m.First, m.Last = min(m.First, f.ingested), max(m.Last, f.ingested)
	}
	slices.Sort(m.Schemas)
	name := a.segmentName(partition, o.from)
	data, err := a.encodeSegment(&m, o)
	if err != nil {
		return Segment{}, fmt.Errorf("write %s: %w", name, err)
	}
	_, err = a.bucket.Put(ctx, name, io.NewSectionReader(data, 0, data.size), when)
	if errors.Is(err, bucket.ErrCondition) {
		return Segment{}, err
	}
	if err != nil {
		return Segment{}, fmt.Errorf("put %s: %w", name, err)
	}
	s := Segment{Partition: partition, From: m.From, To: m.To, Rows: m.Rows, Barrier: barrier, Admit: admit, Name: name, Size: data.size}
	a.segments.put(s)
	return s, nil
}

// encodeSegment returns the file of o and adds its row groups to m. A row
// group has rows of one schema version only.
func (a *Archive) encodeSegment(m *segmentMeta, o *openSegment) (*pieces, error) {
	versions := m.Schemas
	if newest := a.schemas.Newest(); len(versions) == 0 && newest != nil {
		versions = []uint32{newest.Version()} // no rows, but still columns
	}
	l, err := newLayout(a.schemas, versions)
	if err != nil {
		return nil, err
	}
	out := &pieces{}
	file := &parquetObject{w: schemas.NewParquetWriter(out, l.shape)}
	end := func(v uint32) error {
		if file.open > 0 {
			m.Groups = append(m.Groups, v)
		}
		return file.endGroup()
	}
	for i, s := range l.versions {
		for _, f := range o.frames {
			if f.schema != s.Version() {
				continue
			}
			b := &event.Batch{Shape: l.shape, N: f.batch.N, Columns: append(l.spread(i, f.batch), systemColumns(f)...)}
			if err := file.write(b); err != nil {
				return nil, err
			}
			if file.open >= groupRows {
				if err := end(s.Version()); err != nil {
					return nil, err
				}
			}
		}
		if err := end(s.Version()); err != nil {
			return nil, err
		}
	}
	if err := file.finish(segmentKey, m); err != nil {
		return nil, err
	}
	return out, nil
}

func systemColumns(f frame) []event.Column {
	n := f.batch.N
	flat := make([]int64, len(systemFields)*n)
	columns := make([]event.Column, len(systemFields))
	for c := range columns {
		columns[c] = event.Column{Type: systemFields[c].Type, Ints: flat[c*n : (c+1)*n : (c+1)*n]}
	}
	for i := range n {
		columns[0].Ints[i] = int64(f.offset)
		columns[1].Ints[i] = int64(i)
		columns[2].Ints[i] = f.ingested
		columns[3].Ints[i] = int64(f.batch.IDs[i].Hi)
		columns[4].Ints[i] = int64(f.batch.IDs[i].Lo)
		columns[5].Ints[i] = int64(f.batch.Hashes[i])
	}
	return columns
}
