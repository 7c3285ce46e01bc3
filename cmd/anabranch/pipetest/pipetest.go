// Package pipetest runs the tests of a pipeline's folder: given events, the
// rows of views and the dead letters they must lead to. Every test has a
// pipeline of its own, with log and objects in memory.
package pipetest

import (
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"strconv"
	"strings"

	"anabranch/cmd/anabranch/server"
	"anabranch/deadletter"
	"anabranch/fault"
	"anabranch/ingest"
	"anabranch/schemas"
)

// Outcome is what became of one test.
type Outcome struct {
	Test schemas.Test
	// Diff is empty for a test that passed: lines for people, each expectation
	// that did not hold with its place.
	Diff []string
}

// Run runs one test of the pipeline that files define; fsys is its folder,
// for files that the test names. An error is a mistake in the test, as
// schemas.Problems, or one of the machine.
func Run(ctx context.Context, fsys fs.FS, files map[string]string, t schemas.Test) (Outcome, error) {
	out := Outcome{Test: t}
	dir, err := os.MkdirTemp("", "anabranch-test-")
	if err != nil {
		return out, fault.Wrap(fault.Transient, err)
	}
	defer os.RemoveAll(dir)
	if files, err = withReferences(fsys, files); err != nil {
		return out, err
	}
	l, err := server.OpenLocal(ctx, files, dir, nil)
	if err != nil {
		return out, err
	}
	defer l.Close()
	for i, g := range t.Given {
		if err := send(ctx, l, fsys, g, i+1); err != nil {
			return out, fmt.Errorf("%s:%d: send: %w", t.File, g.Line, err)
		}
		last := i == len(t.Given)-1
		if t.Batch == schemas.BatchBetween && !last || t.Batch == schemas.BatchAfter && last {
			if _, err := l.Batch(ctx); err != nil {
				return out, err
			}
		}
	}
	var problems schemas.Problems
	for _, want := range t.Views {
		got, err := rows(ctx, l, want)
		var p *schemas.Problem
		if errors.As(err, &p) {
			p.File, p.Line, p.Column = t.File, want.Line, want.Column
			problems = append(problems, *p)
			continue
		}
		if err != nil {
			return out, err
		}
		out.Diff = append(out.Diff, compare(t.File, want, got)...)
	}
	if len(problems) > 0 {
		return out, problems
	}
	letters, err := l.Letters(ctx)
	if err != nil {
		return out, err
	}
	out.Diff = append(out.Diff, compareLetters(t, letters)...)
	return out, nil
}

// withReferences puts the files of reference tables in the place of what points
// at them.
func withReferences(fsys fs.FS, files map[string]string) (map[string]string, error) {
	out := maps.Clone(files)
	for name := range files {
		if !schemas.IsReferenceFile(name) {
			continue
		}
		text, err := fs.ReadFile(fsys, name)
		if err != nil {
			return nil, fault.Wrap(fault.Invalid, fmt.Errorf("read a reference table: %w", err))
		}
		out[name] = string(text)
	}
	return out, nil
}

func send(ctx context.Context, l *server.Local, fsys fs.FS, g schemas.Given, number int) error {
	var body io.Reader = strings.NewReader(g.Text)
	if g.Path != "" {
		f, err := fsys.Open(g.Path)
		if err != nil {
			return fault.Wrap(fault.Invalid, err)
		}
		defer f.Close()
		body = f
		if strings.HasSuffix(g.Path, ".gz") {
			if body, err = gzip.NewReader(f); err != nil {
				return fault.Wrap(fault.Invalid, fmt.Errorf("unpack %s: %w", g.Path, err))
			}
		}
	}
	n := strconv.Itoa(number)
	_, err := l.Send(ctx, body, ingest.Meta{Format: g.Format, Request: "given-" + n, Source: n})
	return err
}

// rows returns the listed columns of a view; a column that the view has not is
// a *schemas.Problem.
func rows(ctx context.Context, l *server.Local, want schemas.ExpectedRows) (table, error) {
	var out table
	answer, err := l.Query(ctx, `SELECT * FROM "`+l.Definition().Name+`"."`+want.View+`"`)
	if err != nil {
		return out, err
	}
	defer answer.Close()
	var names []string
	for _, c := range answer.Columns {
		names = append(names, c.Name)
	}
	var places []int
	for _, name := range want.Columns {
		at := -1
		for i, c := range answer.Columns {
			if strings.EqualFold(c.Name, name) {
				at = i
			}
		}
		if at < 0 {
			return out, &schemas.Problem{Message: fmt.Sprintf("the view %s has no column %q", want.View, name), Hint: schemas.DidYouMean(name, names)}
		}
		places = append(places, at)
		out.types = append(out.types, answer.Columns[at].Type)
	}
	for {
		values, err := answer.Next()
		if err != nil {
			return out, err
		}
		if values == nil {
			return out, nil
		}
		row := make([]cell, len(places))
		for i, at := range places {
			row[i] = cellOf(answer.Columns[at].Type, values[at])
		}
		out.rows = append(out.rows, row)
	}
}

// compareLetters holds the dead letters against what the test says of them.
func compareLetters(t schemas.Test, letters []deadletter.Letter) []string {
	columns := t.Letters.Columns
	if len(columns) == 0 {
		columns = schemas.LetterColumns[:3] // what an unexpected one is shown by
	}
	var got table
	for _, l := range letters {
		row := make([]cell, len(columns))
		for i, c := range columns {
			row[i].text = map[string]string{"code": l.Code, "line": strconv.Itoa(l.Line), "given": l.Source, "field": l.Field}[c]
		}
		got.rows = append(got.rows, row)
	}
	got.types = make([]string, len(columns))
	want := t.Letters
	want.View, want.Columns = "dead_letters", columns
	return compare(t.File, want, got)
}
