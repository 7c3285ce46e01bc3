package sql

import (
	"context"
	"encoding/json"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	bindings "github.com/duckdb/duckdb-go-bindings"

	"anabranch/serving"
)

// Records is the rows of a query as Arrow record batches, read once, at one
// cut. DuckDB's vectors are copied into Arrow's buffers column by column, while
// the query runs: what is not read yet takes no memory.
type Records struct {
	Schema  *arrow.Schema
	Receipt serving.Receipt

	progress *progress
	columns  []column
	origins  origins
	meter    *meter

	chunk bindings.DataChunk // in hand, of which rows from at on are in no batch yet
	at    int
	each  int // bytes of a row, as far as they went
}

// A batch ends with the rows that take it over one of these: large enough
// that what a batch costs does not show, small enough for the messages that
// clients take (4 MiB by default in gRPC). Of a chunk only as many rows are taken
// at once as there seems to be room for: one of 2,048 wide rows is much longer.
const (
	batchRows  = 64 << 10
	batchBytes = 1 << 20
	firstRows  = 32 // before anything is known of them
)

// Records runs one SELECT at one cut, as Query does, for a reader of columns.
// The caller closes what it returns.
//
// Errors: those of Query, and Invalid with code not_arrow for a column whose
// type Arrow has not.
func (e *Engine) Records(ctx context.Context, r Request) (*Records, error) {
	s, err := e.enter(ctx, r)
	if err != nil {
		return nil, err
	}
	return s.records()
}

// records begins the answer, and leaves when that is closed.
func (s *stay) records() (*Records, error) {
	out := &Records{Receipt: s.receipt, meter: s.meter, origins: s.origins}
	r, err := s.read(func(stream *stream) (bool, error) { return true, out.describe(stream) }, out.drop)
	out.progress = r
	if err != nil {
		return nil, err
	}
	return out, nil
}

// describe finds the columns of the answer.
func (r *Records) describe(s *stream) error {
	res := s.result
	n := int(bindings.ColumnCount(res))
	fields := make([]arrow.Field, n)
	for i := range n {
		t := bindings.ColumnLogicalType(res, bindings.IdxT(i))
		c, err := newColumn(t)
		bindings.DestroyLogicalType(&t)
		name := bindings.ColumnName(res, bindings.IdxT(i))
		if err != nil {
			return notArrow(name, err)
		}
		r.columns = append(r.columns, c)
		fields[i] = arrow.Field{Name: name, Type: c.dataType(), Nullable: true}
	}
	r.origins.mark(fields)
	r.Schema = withReceipt(fields, r.Receipt)
	return nil
}

// ReceiptKey is where the metadata of an answer's schema has its receipt.
const ReceiptKey = "anabranch.receipt"

func withReceipt(fields []arrow.Field, receipt serving.Receipt) *arrow.Schema {
	text, err := json.Marshal(receipt)
	if err != nil {
		return arrow.NewSchema(fields, nil)
	}
	m := arrow.NewMetadata([]string{ReceiptKey}, []string{string(text)})
	return arrow.NewSchema(fields, &m)
}

// Next returns the next batch, which the caller releases, or nil at the end.
func (r *Records) Next() (arrow.Record, error) {
	rows := 0
	err := r.progress.on(func(s *stream) (more bool, err error) {
		rows, more, err = r.collect(s)
		return more, err
	})
	if err != nil || rows == 0 { // in this order: what rows is nobody knows while a step goes on
		return nil, err
	}
	if err := r.meter.add(int64(rows), int64(r.size())); err != nil {
		return nil, err
	}
	arrays := make([]arrow.Array, len(r.columns))
	for i, c := range r.columns {
		data := c.take()
		arrays[i] = array.MakeFromData(data)
		data.Release()
	}
	rec := array.NewRecord(r.Schema, arrays, int64(rows))
	for _, a := range arrays {
		a.Release()
	}
	return rec, nil
}

// collect runs the query on for the rows of one batch.
func (r *Records) collect(s *stream) (rows int, more bool, err error) {
	for rows < batchRows && r.size() < batchBytes {
		if r.chunk.Ptr == nil {
			if r.chunk, err = s.next(); err != nil || r.chunk.Ptr == nil {
				return rows, false, err
			}
			r.at = 0
		} else if err := s.ctx.Err(); err != nil {
			return rows, false, s.classify(err)
		}
		all := int(bindings.DataChunkGetSize(r.chunk))
		n := r.fitting(all - r.at)
		for i, c := range r.columns {
			if err = c.add(bindings.DataChunkGetVector(r.chunk, bindings.IdxT(i)), r.at, n); err != nil {
				return rows, false, notArrow(r.Schema.Field(i).Name, err)
			}
		}
		rows += n
		if rows > 0 {
			r.each = max(1, r.size()/rows)
		}
		if r.at += n; r.at == all {
			r.drop()
		}
	}
	return rows, true, nil
}

// fitting is how many of the rows that are left of a chunk the batch takes at once:
// all where they are no more than a batch themselves, else what there seems to be
// room for.
func (r *Records) fitting(left int) int {
	switch {
	case r.each == 0:
		return min(firstRows, left)
	case left*r.each <= batchBytes:
		return left
	}
	return min(max(1, (batchBytes-r.size())/r.each), left)
}

// drop lets the chunk in hand go.
func (r *Records) drop() {
	if r.chunk.Ptr != nil {
		bindings.DestroyDataChunk(&r.chunk)
		r.chunk = bindings.DataChunk{}
	}
}

func (r *Records) size() (n int) {
	for _, c := range r.columns {
		n += c.size()
	}
	return n
}

// Close ends the query and lets its cut go. Calling it twice is fine.
func (r *Records) Close() error {
	if r.progress.gone.Load() { // what goes on drops it
		return nil
	}
	r.drop()
	return r.progress.close()
}
