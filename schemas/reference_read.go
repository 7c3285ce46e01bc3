package schemas

import (
	"bufio"
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/format"

	"anabranch/event"
	"anabranch/fault"
)

// ReferenceReader reads the rows of a reference table's file. Values are judged
// by the rules that hold for events; an empty cell is NULL.
type ReferenceReader struct {
	ref    *Reference
	file   io.ReaderAt
	schema *Schema
	keys   *keys // nil: rows may be equal
}

// maxBad is how many bad rows of a file are told.
const maxBad = 20

// refName is what a column may be called.
var refName = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_]{0,62}$`)

// OpenReference finds the columns of a file: their names are its own, and types
// that are not declared are found in its values. Mistakes are Problems with
// file, line and column; in a Parquet file the line is the number of the row.
func OpenReference(ctx context.Context, ref *Reference, file io.ReaderAt) (*ReferenceReader, error) {
	r := &ReferenceReader{ref: ref, file: file}
	var fields []event.Field
	var err error
	if r.parquet() {
		fields, err = r.foreignFields()
	} else {
		fields, err = r.csvFields()
	}
	if err != nil {
		return nil, err
	}
	if err := r.named(fields); err != nil {
		return nil, err
	}
	open := r.declared(fields)
	if r.schema, err = nullableSchema(fields); err != nil {
		return nil, r.mistake(1, err.Error(), "")
	}
	if len(open) == 0 {
		return r, nil
	}
	if err := r.infer(ctx, fields, open); err != nil {
		return nil, err
	}
	r.schema, err = nullableSchema(fields)
	return r, err
}

func (r *ReferenceReader) parquet() bool { return path.Ext(r.ref.File) == ".parquet" }

// Shape returns the columns.
func (r *ReferenceReader) Shape() *event.Shape { return r.schema.Shape() }

// Read calls fn with all rows, in the order of the file. The batches are fn's
// to keep. Bad rows are Problems.
func (r *ReferenceReader) Read(ctx context.Context, fn func(*event.Batch) error) error {
	if len(r.ref.Key) > 0 {
		r.keys = newKeys(r.schema.Shape(), r.ref.Key)
	}
	return r.decode(ctx, r.schema, fn)
}

func (r *ReferenceReader) mistake(line int, message, hint string) error {
	return Problems{{File: r.ref.File, Line: line, Column: min(line, 1), Message: message, Hint: hint}}
}

// csvFields reads the header line. All columns are texts for now.
func (r *ReferenceReader) csvFields() ([]event.Field, error) {
	head := bufio.NewReader(io.NewSectionReader(r.file, 0, min(r.ref.Size, MaxEvent)))
	if bom, _ := head.Peek(len(byteOrderMark)); string(bom) == string(byteOrderMark) {
		_, _ = head.Discard(len(byteOrderMark))
	}
	names, err := csv.NewReader(head).Read()
	switch {
	case errors.Is(err, io.EOF):
		return nil, r.mistake(1, "the file is empty", "its first line names the columns")
	case err != nil:
		return nil, r.mistake(1, "the header cannot be read: "+err.Error(), "the first line names the columns, separated by commas")
	}
	fields := make([]event.Field, len(names))
	for i, n := range names {
		fields[i] = event.Field{Name: strings.TrimSpace(n), Type: event.Type{Kind: event.String}, Nullable: true}
	}
	return fields, nil
}

// foreignFields reads the columns of a Parquet file with their types.
func (r *ReferenceReader) foreignFields() (fields []event.Field, err error) {
	defer recoverCorrupt(&err)
	file, err := parquet.OpenFile(r.file, r.ref.Size, parquet.SkipPageIndex(true), parquet.SkipBloomFilters(true))
	if err != nil {
		return nil, r.mistake(0, "it is not a Parquet file that can be read: "+err.Error(), "")
	}
	for _, c := range file.Root().Columns() {
		if !c.Leaf() || c.Repeated() {
			return nil, r.mistake(0, fmt.Sprintf("column %s is nested", c.Name()), "only flat columns can be read")
		}
		fields = append(fields, event.Field{Name: c.Name(), Type: foreignType(c), Nullable: true})
	}
	return fields, nil
}

// foreignType is the type of a column that somebody else wrote, as textOf
// writes its values.
func foreignType(c *parquet.Column) event.Type {
	if logical := c.Type().LogicalType(); logical != nil {
		switch l := logical.Value.(type) {
		case *format.DecimalType:
			return event.Type{Kind: event.Decimal, Precision: uint8(l.Precision), Scale: uint8(l.Scale)}
		case *format.DateType:
			return event.Type{Kind: event.Date}
		case *format.TimestampType:
			return event.Type{Kind: event.Timestamp}
		case *format.IntType:
			switch {
			case !l.IsSigned && l.BitWidth == 64:
				return event.Type{Kind: event.Decimal, Precision: 20}
			case l.BitWidth == 64, !l.IsSigned && l.BitWidth == 32:
				return event.Type{Kind: event.Int64}
			}
			return event.Type{Kind: event.Int32}
		}
		return event.Type{Kind: event.String}
	}
	switch c.Type().Kind() {
	case parquet.Boolean:
		return event.Type{Kind: event.Bool}
	case parquet.Int32:
		return event.Type{Kind: event.Int32}
	case parquet.Int64:
		return event.Type{Kind: event.Int64}
	case parquet.Int96:
		return event.Type{Kind: event.Timestamp}
	case parquet.Float, parquet.Double:
		return event.Type{Kind: event.Float64}
	}
	return event.Type{Kind: event.String}
}

// named checks what columns are called.
func (r *ReferenceReader) named(fields []event.Field) error {
	line := 1
	if r.parquet() {
		line = 0
	}
	seen := map[string]bool{}
	var bad Problems
	for i, f := range fields {
		p := Problem{File: r.ref.File, Line: line, Column: line}
		switch lower := strings.ToLower(f.Name); {
		case !refName.MatchString(f.Name):
			p.Message, p.Hint = fmt.Sprintf("column %d is called %q", i+1, f.Name), "use letters, digits and _, beginning with a letter"
		case seen[lower]:
			p.Message, p.Hint = fmt.Sprintf("two columns are called %q", f.Name), "in SQL capitals do not tell names apart"
		default:
			seen[lower] = true
			continue
		}
		bad = append(bad, p)
	}
	names := make([]string, len(fields))
	for i, f := range fields {
		names[i] = f.Name
	}
	declared := slices.Clone(r.ref.Columns)
	for _, k := range r.ref.Key {
		declared = append(declared, ReferenceColumn{Name: k, line: r.ref.line, column: r.ref.column})
	}
	for _, c := range declared {
		if !seen[strings.ToLower(c.Name)] {
			bad = append(bad, Problem{File: pipelineFile, Line: c.line, Column: c.column, Message: fmt.Sprintf("%s has no column %q", r.ref.File, c.Name), Hint: DidYouMean(c.Name, names)})
		}
	}
	if len(bad) > 0 {
		return bad
	}
	return nil
}

// declared gives fields the types and comments of the definition, and returns
// those whose type is open.
func (r *ReferenceReader) declared(fields []event.Field) (open []int) {
	for i := range fields {
		f := &fields[i]
		at := slices.IndexFunc(r.ref.Columns, func(c ReferenceColumn) bool { return strings.EqualFold(c.Name, f.Name) })
		if at >= 0 {
			f.Doc = r.ref.Columns[at].Comment
		}
		switch {
		case at >= 0 && r.ref.Columns[at].Type.Kind != 0:
			f.Type = r.ref.Columns[at].Type
		case !r.parquet():
			open = append(open, i)
		}
	}
	return open
}

// decode reads the file as a schema says.
func (r *ReferenceReader) decode(ctx context.Context, s *Schema, fn func(*event.Batch) error) error {
	form, body := CSV, io.Reader(io.NewSectionReader(r.file, 0, r.ref.Size))
	if r.parquet() {
		text, err := NewParquetText(r.file, r.ref.Size, 1<<18)
		if err != nil {
			return r.mistake(0, err.Error(), "")
		}
		defer text.Close()
		form, body = NDJSON, &chunks{ctx: ctx, next: text.Next}
	}
	d, err := s.NewDecoder(form, Identity{Fields: s.Shape().Names()[:1], Content: true})
	if err != nil {
		return err
	}
	d.Reset(body)
	var bad Problems
	more := 0
	wrong := func(p Problem) {
		if len(bad) == maxBad {
			more++
			return
		}
		if p.File = r.ref.File; r.parquet() {
			p.Column = 1
		}
		bad = append(bad, p)
	}
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		rows, err := d.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return r.mistake(0, "it cannot be read: "+err.Error(), "")
		}
		for _, b := range rows.Bad {
			wrong(Problem{Line: b.Line, Column: b.Column, Field: b.Field, Message: b.Message})
		}
		if r.keys != nil {
			r.keys.add(rows, wrong)
		}
		if len(bad) == 0 && rows.Batch.N > 0 {
			if err := fn(rows.Batch); err != nil {
				return err
			}
		}
	}
	if more > 0 {
		bad = append(bad, Problem{File: r.ref.File, Message: fmt.Sprintf("and %d more bad rows", more)})
	}
	if len(bad) > 0 {
		return bad
	}
	return nil
}

// chunks reads what ParquetText writes.
type chunks struct {
	ctx  context.Context
	next func(context.Context) (Chunk, error)
	body []byte
}

func (c *chunks) Read(b []byte) (int, error) {
	for len(c.body) == 0 {
		chunk, err := c.next(c.ctx)
		if err != nil {
			return 0, err
		}
		c.body = chunk.Body
	}
	n := copy(b, c.body)
	c.body = c.body[n:]
	return n, nil
}

// nullableSchema makes a schema of nullable fields.
func nullableSchema(fields []event.Field) (*Schema, error) {
	type avroField struct {
		Name string `json:"name"`
		Type []any  `json:"type"`
		Doc  string `json:"doc,omitempty"`
	}
	var all []avroField
	for _, f := range fields {
		var t any
		switch f.Type.Kind {
		case event.Bool:
			t = "boolean"
		case event.Int32:
			t = "int"
		case event.Int64:
			t = "long"
		case event.Float64:
			t = "double"
		case event.Decimal:
			t = map[string]any{"type": "bytes", "logicalType": "decimal", "precision": f.Type.Precision, "scale": f.Type.Scale}
		case event.Date:
			t = map[string]any{"type": "int", "logicalType": "date"}
		case event.Timestamp:
			t = map[string]any{"type": "long", "logicalType": "timestamp-micros"}
		case event.String:
			t = "string"
		default:
			return nil, fault.New(fault.Bug, "a reference table with a column of type %s", f.Type)
		}
		all = append(all, avroField{f.Name, []any{"null", t}, f.Doc})
	}
	text, err := json.Marshal(map[string]any{"type": "record", "name": "reference", "fields": all})
	if err != nil {
		return nil, fault.Wrap(fault.Bug, err)
	}
	return Parse(1, text)
}
