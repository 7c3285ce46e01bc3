package schemas

import (
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/goccy/go-yaml/ast"
)

// Test is one file of tests/: given events and what they must lead to.
type Test struct {
	Name  string // what the file says under "test", or its name
	File  string
	Given []Given
	Batch string // BatchNone, BatchBetween or BatchAfter

	Views   []ExpectedRows // by view, in the order of the file
	Letters ExpectedRows   // columns among LetterColumns; none expected: no letter may be there
}

// When a test runs a batch.
const (
	BatchNone    = "none"
	BatchBetween = "between" // after each body of events but the last
	BatchAfter   = "after"   // after the last body
)

// Given is one body of events.
type Given struct {
	Format Format
	Text   string // inline
	Path   string // or a file, relative to the folder of the pipeline; may end in .gz
	Line   int    // where it stands
}

// ExpectedRows are rows by column; all of them name the same columns.
type ExpectedRows struct {
	View         string // empty for dead letters
	Line, Column int    // where its name stands
	Columns      []string
	Rows         []ExpectedRow
}

// ExpectedRow is one row, as it was written.
type ExpectedRow struct {
	Line  int
	Cells []ExpectedCell // one for each column
}

// ExpectedCell is a value as text, or null.
type ExpectedCell struct {
	Text string
	Null bool
}

// LetterColumns are what a test may say of a dead letter.
var LetterColumns = []string{"code", "line", "given", "field"}

// ReadTests reads tests/*.yaml of d, by file name. The error is Problems: all
// the mistakes found, with their places.
func ReadTests(fsys fs.FS, d *Definition) ([]Test, error) {
	r := &definitionReader{fsys: fsys, d: &Definition{Files: map[string]string{}}}
	var all []Test
	for _, file := range r.keepFiles(testsFolder, ".yaml") {
		if root := r.parse(file); root != nil {
			all = append(all, r.test(root, d))
		}
	}
	if len(r.problems) > 0 {
		return nil, r.problems
	}
	return all, nil
}

func (r *definitionReader) test(root ast.Node, d *Definition) Test {
	t := Test{Name: strings.TrimSuffix(path.Base(r.file), ".yaml"), File: r.file, Batch: BatchNone}
	keys := r.mapping(root, "a test", "test", "given", "batch", "expect")
	if keys == nil {
		return t
	}
	if e, ok := keys["test"]; ok {
		t.Name, _ = r.text(e.value, "the name of a test")
	}
	if e, ok := keys["given"]; ok {
		for _, n := range r.list(e.value) {
			if g, ok := r.given(n, d); ok {
				t.Given = append(t.Given, g)
			}
		}
	}
	if len(t.Given) == 0 && len(r.problems) == 0 {
		r.at(root.GetToken(), "the test has no events", "add given: [{csv: ...}], with ndjson, json or file in place of csv")
	}
	if e, ok := keys["batch"]; ok {
		t.Batch, _ = r.text(e.value, "batch")
		if known := []string{BatchNone, BatchBetween, BatchAfter}; !slices.Contains(known, t.Batch) {
			r.at(e.value.GetToken(), fmt.Sprintf("batch is %q", t.Batch), DidYouMean(t.Batch, known))
		}
	}
	e, ok := keys["expect"]
	if !ok {
		r.at(root.GetToken(), "the test expects nothing", "add expect: {views: ..., dead_letters: ...}")
		return t
	}
	expect := r.mapping(e.value, "expect", "views", "dead_letters")
	if e, ok := expect["views"]; ok {
		r.expectViews(&t, e, d)
	}
	if e, ok := expect["dead_letters"]; ok {
		t.Letters = r.rows(e, LetterColumns)
	}
	return t
}

func (r *definitionReader) given(n ast.Node, d *Definition) (Given, bool) {
	g := Given{Format: d.Format, Line: n.GetToken().Position.Line}
	keys := r.mapping(n, "given", "csv", "ndjson", "json", "file", "format")
	if keys == nil {
		return g, false
	}
	format, named := keys["format"]
	delete(keys, "format")
	if len(keys) != 1 {
		r.at(n.GetToken(), "a body of events is one of csv, ndjson, json and file", "begin the next with a dash")
		return g, false
	}
	if e, ok := keys["file"]; ok {
		g.Path, _ = r.text(e.value, "the file")
		if !fs.ValidPath(g.Path) {
			r.at(e.value.GetToken(), fmt.Sprintf("the file cannot be %q", g.Path), "name a file in the folder of the pipeline, like data/day.csv")
		} else if _, err := fs.Stat(r.fsys, g.Path); err != nil {
			r.at(e.value.GetToken(), fmt.Sprintf("the file %q is not there", g.Path), "its path begins in the folder of the pipeline")
		}
		switch path.Ext(strings.TrimSuffix(g.Path, ".gz")) {
		case ".csv":
			g.Format = CSV
		case ".ndjson", ".jsonl":
			g.Format = NDJSON
		case ".json":
			g.Format = JSONArray
		}
		if named {
			old := r.d
			r.d = &Definition{Format: g.Format}
			r.format(format.value)
			g.Format, r.d = r.d.Format, old
		}
		return g, true
	}
	if named {
		r.at(format.key, "the format is told by the key of the events", "leave format away")
	}
	for kind, e := range keys {
		g.Text, _ = r.text(e.value, "the events")
		g.Format = map[string]Format{"csv": CSV, "ndjson": NDJSON, "json": JSONArray}[kind]
	}
	return g, true
}

func (r *definitionReader) expectViews(t *Test, all entry, d *Definition) {
	var names []string
	for _, v := range d.Views {
		names = append(names, v.Name)
	}
	views := r.mapping(all.value, "views", names...)
	for _, name := range names { // the order of a map is none
		if e, ok := views[name]; ok {
			rows := r.rows(e, nil)
			rows.View = name
			t.Views = append(t.Views, rows)
		}
	}
}

// rows reads a list of rows; known, when given, are the columns there are.
func (r *definitionReader) rows(all entry, known []string) ExpectedRows {
	out := ExpectedRows{Line: all.key.Position.Line, Column: all.key.Position.Column}
	for _, n := range r.list(all.value) {
		values, ok := pairs(n)
		if !ok {
			r.at(n.GetToken(), "a row is a list of columns and values", "write - {column: value}, or [] for no rows")
			continue
		}
		first := len(out.Rows) == 0
		row := ExpectedRow{Line: n.GetToken().Position.Line}
		if len(values) > 0 {
			row.Line = values[0].Key.GetToken().Position.Line
		}
		if first {
			for _, v := range values {
				key := v.Key.GetToken()
				if known != nil && !slices.Contains(known, key.Value) {
					r.at(key, fmt.Sprintf("a dead letter has no %q", key.Value), DidYouMean(key.Value, known))
				}
				out.Columns = append(out.Columns, key.Value)
			}
		}
		row.Cells = make([]ExpectedCell, len(out.Columns))
		seen := 0
		for _, v := range values {
			key := v.Key.GetToken()
			i := slices.Index(out.Columns, key.Value)
			if i < 0 {
				r.at(key, fmt.Sprintf("the row has the column %q, the first row has not", key.Value), "list the same columns in every row")
				continue
			}
			seen++
			if _, null := v.Value.(*ast.NullNode); null {
				row.Cells[i].Null = true
				continue
			}
			row.Cells[i].Text, _ = r.text(v.Value, "a value")
		}
		if seen < len(out.Columns) && seen == len(values) {
			r.at(n.GetToken(), fmt.Sprintf("the row has %d columns, the first row has %d", seen, len(out.Columns)), "list the same columns in every row")
		}
		out.Rows = append(out.Rows, row)
	}
	return out
}
