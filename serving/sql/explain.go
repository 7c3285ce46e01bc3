package sql

import (
	"context"
	"database/sql"
	"errors"
	"strconv"
	"strings"

	"github.com/duckdb/duckdb-go/v2"

	"anabranch/archive"
	"anabranch/event"
	"anabranch/internal/sqltext"
)

// part is where the rows of a view or a reference table come from at a cut.
type part struct {
	view, version string
	reference     bool
	files         int
	rows, bytes   int64             // in the files
	overlay       int               // groups that speed has touched
	paths         []string          // of the files here
	columns       map[string]string // their types
}

// cutExplain takes EXPLAIN off a query, and leaves every place where it was.
// EXPLAIN ANALYZE would run it, and is no query.
func cutExplain(text string) (rest string, ok bool) {
	first, _ := sqltext.Next(text, 0)
	if !first.Is("explain") {
		return text, false
	}
	if second, _ := sqltext.Next(text, first.End()); second.Is("analyze") {
		return text, false
	}
	return text[:first.Start] + strings.Repeat(" ", len(first.Text)) + text[first.End():], true
}

// noted keeps where a view's rows come from.
func (ep *epoch) noted(view, version string, shape *event.Shape, results []archive.ResultFile, overlay int) *part {
	p := &part{view: view, version: version, files: len(results), overlay: overlay, columns: map[string]string{}}
	for _, f := range results {
		p.rows, p.bytes = p.rows+f.Rows, p.bytes+f.Size
	}
	for _, f := range shape.Fields {
		p.columns[f.Name] = f.Type.SQL()
	}
	ep.parts = append(ep.parts, p)
	return p
}

// explanation is the answer to EXPLAIN of a query: for each view and reference
// table that it reads, what lies in files, what of it has to be read, and what
// speed has merged beside it.
func (ep *epoch) explanation(ctx context.Context, conn *sql.Conn, query string, args []any, overlays map[string]*filter) (string, error) {
	scans, err := scansOf(ctx, conn, query, args)
	if err != nil {
		return "", err
	}
	r := relation{columns: []string{"view", "version", "source", "files", "rows", "bytes", "row_groups", "files_read", "row_groups_read", "rows_read", "filters"}}
	const none = "NULL"
	for _, p := range ep.parts {
		read, err := p.reads(ctx, conn, scans)
		if err != nil {
			return "", err
		}
		source := "batch files"
		if p.reference {
			source = "reference table"
		}
		r.add(text(p.view), text(p.version), text(source), strconv.Itoa(p.files), number(p.rows), number(p.bytes),
			number(read.groups), number(read.filesRead), number(read.groupsRead), number(read.rowsRead), textOrNull(read.filters))
		if !p.reference {
			handed, filters, err := ep.handed(p, overlays[p.view])
			if err != nil {
				return "", err
			}
			r.add(text(p.view), text(p.version), "'speed, merged'", none, strconv.Itoa(p.overlay), none, none, none, none, strconv.Itoa(handed), textOrNull(filters))
		}
	}
	casts := make([]string, len(r.columns))
	for i, c := range r.columns {
		casts[i] = c + "::BIGINT AS " + c
		if i < 3 || c == "filters" {
			casts[i] = c + "::VARCHAR AS " + c
		}
	}
	return "SELECT " + strings.Join(casts, ", ") + " FROM " + r.String() + " ORDER BY ALL", nil
}

// unexplained is an error of writing a query, in the reader's words where it is
// DuckDB's about a query that is to be explained.
func (e *Engine) unexplained(err error, text wording, ep *epoch) error {
	var d *duckdb.Error
	if !errors.As(err, &d) {
		return err
	}
	return e.explained(classify(err), text, ep.columns())
}

// handed is how many groups of a view's overlay a query is handed, and by which
// filters.
func (ep *epoch) handed(p *part, c *filter) (groups int, filters string, err error) {
	l := ep.laid[p.view]
	if l == nil || c == nil {
		return p.overlay, "", nil
	}
	chosen, err := l.choose(c)
	if err != nil {
		return 0, "", err
	}
	defer chosen.free()
	return chosen.rows(), c.told, nil
}

func number(n int64) string { return strconv.FormatInt(n, 10) }
