package sql

import (
	"fmt"
	"slices"
	"strings"
	"unsafe"

	"anabranch/event"
	"anabranch/internal/planted"
	"anabranch/serving"
	"anabranch/view"
)

// The overlay of a view is the part that speed has touched since the cut: the
// touched groups, batch state and speed state merged, and marks of the rows of
// the batch files that are read without them.

// overlaySchema has a name that no pipeline can have and no reader can write.
const overlaySchema = "speed side"

// asked is a view as one epoch has it.
type asked struct {
	pin     *serving.Pin
	name    string // as it was asked for
	view    *view.View
	delta   *view.State // the groups above the cut, or those that changed
	base    *laid       // what the others are; nil: delta has all
	batch   bool        // there are batch files
	paths   []string    // of these
	of      string      // the SELECT list that reads their columns
	merges  bool        // with the states
	touched tableName   // of the keys of the touched groups, while it is there
}

// source is the batch files as a relation.
func (a *asked) source(more string) string {
	files := make([]string, len(a.paths))
	for i, path := range a.paths {
		files[i] = text(path)
	}
	return "read_parquet([" + strings.Join(files, ",") + "]" + more + ")"
}

// same is the condition that group t is row b of the batch files.
func (a *asked) same() string {
	shape := a.view.StateShape()
	keys := shape.Fields[:len(shape.Fields)-1]
	same := make([]string, len(keys))
	for i, f := range keys {
		column := "b." + name(f.Name)
		if f.Type.Kind == event.Huge {
			column = "CAST(" + column + " AS HUGEINT)"
		}
		same[i] = "t." + name(f.Name) + " IS NOT DISTINCT FROM " + column
	}
	return strings.Join(same, " AND ")
}

// exists is the condition that row b of the batch files was touched.
func (a *asked) exists() string {
	return "EXISTS (SELECT 1 FROM " + a.touched.String() + " AS t WHERE " + a.same() + ")"
}

// keyless merges the one group of a view without keys, and fills the table.
func (b *builder) keyless(a *asked, table tableName) {
	if a.batch {
		if whole := b.read(a.view.StateShape(), "SELECT _state FROM "+a.source("")); b.err == nil {
			b.err = a.delta.MergeGroups(whole)
		}
	}
	rows, _ := b.finished(a)
	if b.err == nil {
		b.create(table, rows)
	}
}

// overlay makes the overlay of a view with keys. It costs what changed since
// a.base; without one, all touched groups and the keys of the batch files.
func (b *builder) overlay(a *asked) (l *laid) {
	var marks [][]byte
	switch {
	case a.base != nil && a.delta.Len() == 0:
		return a.base.take()
	case a.base != nil:
		marks = b.found(a)
	case a.batch && a.delta.Len() > 0:
		marks = b.joined(a)
	default:
		marks = make([][]byte, len(a.paths))
	}
	rows, keys := b.finished(a)
	if b.err != nil {
		return nil
	}
	if a.base != nil {
		return newLaid(a.base.form, a.base.patch(rows, keys), marks)
	}
	empty := &laid{form: newForm(rows.Shape.Fields)}
	return newLaid(empty.form, empty.patch(rows, keys), marks)
}

// found merges what the batch files have of the groups that changed into these,
// and returns the marks of base and theirs.
func (b *builder) found(a *asked) [][]byte {
	if !a.batch {
		return nil
	}
	keys, err := a.delta.Keys()
	if err != nil {
		b.err = err
		return nil
	}
	below, err := b.lookup.ByKey(b.ctx, a.pin, a.name, keys)
	if err == nil && below.Groups.N > 0 {
		err = a.delta.MergeGroups(below.Groups)
	}
	if err != nil {
		b.err = err
		return nil
	}
	return more(a.base.marks, below.Files, below.Rows)
}

// joined merges what the batch files have of the touched groups into these, and
// returns the marks of their rows; nil where so many files have some that the
// keys of the groups stay in a table instead.
func (b *builder) joined(a *asked) [][]byte {
	touched, err := a.delta.Keys()
	if err != nil {
		b.err = err
		return nil
	}
	a.touched = b.table(overlaySchema, "touched "+a.pin.Source.Name+" "+a.name)
	b.create(a.touched, touched)
	shape := a.view.StateShape()
	columns := make([]string, len(touched.Columns))
	for i, f := range touched.Shape.Fields {
		columns[i] = "b." + name(f.Name)
	}
	hit := b.read(event.NewShape(append(slices.Clone(shape.Fields), placeFields...)...), fmt.Sprintf("SELECT %s, b._state, b._file, b.file_row_number FROM %s AS b WHERE %s",
		strings.Join(columns, ", "), a.source(", filename='_file', file_row_number=true"), a.exists()))
	if b.err != nil {
		return nil
	}
	if b.err = a.delta.MergeGroups(hit); b.err != nil {
		return nil
	}
	m, last := masks{}, len(hit.Columns)-1
	m.mark(&hit.Columns[last-1], &hit.Columns[last])
	if len(m) > maxMasks {
		return nil
	}
	b.exec("DROP TABLE " + a.touched.String())
	return m.of(a.paths)
}

// finished returns the finished rows of the groups of a.delta, sorted by key so
// that no history of folding shows, with the states themselves where they are to
// be merged further; and the keys.
func (b *builder) finished(a *asked) (rows *event.Batch, keys [][]byte) {
	if b.err != nil {
		return nil, nil
	}
	if !a.merges {
		if rows, b.err = a.delta.Sorted(); b.err != nil {
			return nil, nil
		}
		return rows, a.view.OrderedKeys(rows)
	}
	groups, rows, err := a.delta.Finish()
	if err != nil {
		b.err = err
		return nil, nil
	}
	last := len(groups.Columns) - 1
	return &event.Batch{
		Shape: event.NewShape(append(slices.Clone(rows.Shape.Fields), mergeField)...), N: rows.N,
		Columns: append(slices.Clone(rows.Columns), groups.Columns[last]),
	}, a.view.OrderedKeys(rows)
}

// parts are the queries that together read a view: the batch files without the
// touched groups, and those.
func (b *builder) parts(a *asked, l *laid) (parts []string) {
	switch {
	case !a.batch:
	case l.rows == 0 || planted.On(planted.SeamTwice):
		parts = append(parts, "SELECT "+a.of+" FROM "+a.source("")+" AS b")
	case l.marks == nil:
		parts = append(parts, "SELECT "+a.of+" FROM "+a.source("")+" AS b WHERE NOT "+a.exists())
	default:
		parts = b.masked(l.marks, a.paths, a.of)
	}
	if l.rows == 0 && a.batch {
		return parts
	}
	rows := "*"
	switch {
	case b.ep.state && a.batch:
		rows = "t.*, CASE WHEN EXISTS (SELECT 1 FROM " + a.source("") + " AS b WHERE " + a.same() + ") THEN 'amended' ELSE 'provisional' END AS " + stateColumn
	case b.ep.state:
		rows = "*, 'provisional' AS " + stateColumn
	}
	return append(parts, fmt.Sprintf("SELECT %s FROM %s(%d::BIGINT) AS t", rows, name(scanned), b.slot(unsafe.Pointer(l.sheet.o))))
}

// placeFields are where a row of a batch file is.
var placeFields = []event.Field{{Name: "_file", Type: event.Type{Kind: event.String}}, {Name: "_row", Type: event.Type{Kind: event.Int64}}}

// read returns all rows of a query.
func (b *builder) read(shape *event.Shape, query string) *event.Batch {
	if b.err != nil {
		return nil
	}
	rows, err := readBatch(b.ctx, b.conn, query, shape)
	if err != nil {
		b.err = fmt.Errorf("read the touched groups: %w", err)
	}
	return rows
}
