package archive

import (
	"encoding/json"
	"fmt"

	"anabranch/event"
	"anabranch/fault"
	"anabranch/schemas"
)

const (
	// fileFormat is the version that our Parquet files carry in their meta.
	fileFormat = 1
	// groupRows is when a row group ends: large enough for columns to pay,
	// small enough to read one for the sake of one day.
	groupRows = 1 << 17
	// resultGroupRows is the same for finished rows: queries of some keys read
	// the row groups that these lie in, whole as far as DuckDB goes, and a scan
	// of all rows takes no longer over 32,768 of them.
	resultGroupRows = 1 << 15
	// fileBytes is when a file of several row groups ends.
	fileBytes = 64 << 20
)

// parquetObject is a Parquet file on its way into the bucket.
type parquetObject struct {
	spool  *spool
	w      *schemas.ParquetWriter
	groups int   // ended
	open   int   // rows in the open one
	rows   int64 // in all
}

func (a *Archive) newParquet(shape *event.Shape) (*parquetObject, error) {
	s, err := a.newSpool()
	if err != nil {
		return nil, err
	}
	return &parquetObject{spool: s, w: schemas.NewParquetWriter(s, shape)}, nil
}

// write adds rows to the open row group.
func (p *parquetObject) write(b *event.Batch) error {
	if err := p.w.Write(b); err != nil {
		return err
	}
	p.open += b.N
	p.rows += int64(b.N)
	return nil
}

func (p *parquetObject) endGroup() error {
	if p.open == 0 {
		return nil
	}
	p.open = 0
	p.groups++
	return p.w.EndRowGroup()
}

// finish writes the footer with meta, as JSON under our key.
func (p *parquetObject) finish(key string, meta any) error {
	if err := p.endGroup(); err != nil {
		return err
	}
	text, err := json.Marshal(meta)
	if err != nil {
		return fault.New(fault.Bug, "encode %s: %w", key, err)
	}
	return p.w.Close(map[string]string{key: string(text)})
}

// readMeta reads what finish was given.
func readMeta(name string, f *schemas.ParquetFile, key string, meta any) error {
	text, ok := f.Meta()[key]
	if !ok {
		return fault.New(fault.Corrupt, "read %s: it has no %s among its meta", name, key)
	}
	if err := json.Unmarshal([]byte(text), meta); err != nil {
		return fault.New(fault.Corrupt, "read %s: its %s: %w", name, key, err)
	}
	return nil
}

func checkFormat(name string, format int) error {
	if format != fileFormat {
		return fault.New(fault.Invalid, "read %s: it has format %d, this program reads %d; run the newer program", name, format, fileFormat)
	}
	return nil
}

// sameColumns reports whether two shapes have the same names and types.
func sameColumns(a, b *event.Shape) bool {
	if a == b {
		return true
	}
	if len(a.Fields) != len(b.Fields) {
		return false
	}
	for i := range a.Fields {
		if a.Fields[i].Name != b.Fields[i].Name || a.Fields[i].Type != b.Fields[i].Type {
			return false
		}
	}
	return true
}

// project returns the given columns of b, in the given order.
func project(b *event.Batch, columns []string) (*event.Batch, error) {
	fields := make([]event.Field, len(columns))
	out := &event.Batch{N: b.N, Columns: make([]event.Column, len(columns)), IDs: b.IDs, Hashes: b.Hashes}
	for i, name := range columns {
		at := b.Shape.Index(name)
		if at < 0 {
			return nil, fault.New(fault.Invalid, "there is no column %q", name)
		}
		fields[i], out.Columns[i] = b.Shape.Fields[at], b.Columns[at]
	}
	out.Shape = event.NewShape(fields...)
	return out, nil
}

// slice returns rows from, to of b, sharing what can be shared.
func slice(b *event.Batch, from, to int) *event.Batch {
	if from == 0 && to == b.N {
		return b
	}
	out := &event.Batch{Shape: b.Shape, N: to - from, Columns: make([]event.Column, len(b.Columns))}
	for i := range b.Columns {
		c := &b.Columns[i]
		out.Columns[i] = event.Column{
			Type: c.Type, Dict: c.Dict,
			Ints: part(c.Ints, from, to), Floats: part(c.Floats, from, to), Wide: part(c.Wide, from, to), Codes: part(c.Codes, from, to),
		}
		if c.Valid == nil {
			continue
		}
		valid := event.NewBitmap(to - from)
		for r := from; r < to; r++ {
			if c.Valid.Get(r) {
				valid.Set(r - from)
			}
		}
		out.Columns[i].Valid = valid
	}
	out.IDs, out.Hashes = part(b.IDs, from, to), part(b.Hashes, from, to)
	return out
}

func part[T any](s []T, from, to int) []T {
	if s == nil {
		return nil
	}
	return s[from:to:to]
}

// nulls returns a column of n nulls.
func nulls(t event.Type, n int) event.Column {
	c := event.Column{Type: t, Valid: event.NewBitmap(n)}
	switch t.Storage() {
	case event.InFloats:
		c.Floats = make([]float64, n)
	case event.InWide:
		c.Wide = make([]event.Int128, n)
	case event.InCodes:
		c.Codes, c.Dict = make([]uint32, n), &event.Dict{}
	default:
		c.Ints = make([]int64, n)
	}
	return c
}

// named tells which file an error is about.
func named(name string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("read %s: %w", name, err)
}
