package sql

import (
	"context"
	"database/sql"
	"errors"
	"regexp"
	"strings"
	"time"

	"github.com/duckdb/duckdb-go/v2"

	"anabranch/fault"
)

// CheckCatalog decides about a query over a door's own tables, on a connection
// to where they lie, as the engine does about its queries: by the tree, the
// functions it may call, of which functions are more, and the tables it names.
//
// called tells what PostgreSQL calls the columns of the answer that the query gives
// no name, as it was written before it became text; empty for the others.
func CheckCatalog(ctx context.Context, conn *sql.Conn, written, text string, functions, tables map[string]bool) (called func(columns []string) []string, err error) {
	statement, err := parse(ctx, conn, text)
	if err != nil {
		return nil, err
	}
	w := walker{text: text, more: functions}
	w.walk(statement, nil)
	for _, r := range w.reads {
		full := strings.ToLower(r.name)
		if r.schema != "" {
			full = strings.ToLower(r.schema) + "." + full
		}
		if w.err == nil && !tables[full] {
			w.err = fault.WithCode(fault.New(fault.NotFound, "relation %q does not exist among those of the catalog%s", full, placeAt(text, r.at)), "unknown_table")
		}
	}
	if w.err != nil {
		return nil, w.err
	}
	asked := statement
	if tree, err := parse(ctx, conn, written); err == nil {
		asked, text = tree, written // what DuckDB does not read has the names of what it does
	}
	return func(columns []string) []string {
		node, _ := asked["node"].(map[string]any)
		out := make([]string, len(columns))
		for i, o := range namesOf(text, node).of(columns) {
			if !strings.EqualFold(o.called, columns[i]) { // which is an alias, in PostgreSQL's letters already
				out[i] = o.called
			}
		}
		return out
	}, nil
}

// CatalogError is an error of DuckDB about a query over a door's own tables, in the
// reader's words and with its place in text.
func CatalogError(err error, text string) error {
	var d *duckdb.Error
	if !errors.As(err, &d) {
		return fault.Wrap(fault.Transient, err)
	}
	if d.Type == duckdb.ErrorTypeOutOfMemory {
		return fault.WithCode(fault.New(fault.Throttled, "the query needs more memory than the catalog may have"), "memory_limit")
	}
	message, at := cutPlace(prefixed.ReplaceAllString(shortened(d.Msg), ""), unchanged(text))
	if m := noColumn.FindStringSubmatch(message); m != nil {
		err := fault.WithCode(fault.New(fault.Invalid, "there is no column %q%s", m[1]+m[2], at), "unknown_column")
		var near []string
		for _, name := range quotedName.FindAllStringSubmatch(candidate.FindString(message), -1) {
			near = append(near, name[1])
		}
		if len(near) > 0 {
			return fault.WithHint(err, "%s", nearColumns(m[1]+m[2], near))
		}
		return err
	}
	message = strings.Join(strings.Fields(candidate.ReplaceAllString(message, "")), " ")
	return fault.WithCode(fault.New(fault.Invalid, "%s%s", message, at), "sql")
}

var quotedName = regexp.MustCompile(`"([^"]+)"`)

// DescribeStatement tells what a prepared statement takes and returns.
func DescribeStatement(s *duckdb.Stmt) (Description, error) { return describe(s) }

// Places are how many questions to a door's own tables are answered at once.
type Places struct{ turns *turns }

// NewPlaces returns so many, half of them for one user.
func NewPlaces(most int) *Places {
	of := turnsOf{"questions to the catalog", "are answered", "busy", "user_busy", "queue_full"}
	return &Places{newTurns(of, most, max(1, most/2), Options{MaxWaiting: 256, Patience: 5 * time.Second})}
}

// Take waits for one, as a query of the engine does for its own.
func (p *Places) Take(ctx context.Context, user string) (over func(), err error) {
	return p.turns.take(ctx, user)
}

// Aside has f ask DuckDB something on a connection to a door's own tables, as the
// engine's queries are asked: it is interrupted when ctx ends, gives way when it
// takes long, and is waited for no longer than a second behind the end of ctx. Then
// it is left to itself, err is why, and give is called when it is done.
func Aside(ctx context.Context, conn *sql.Conn, f func() error, give func()) (left bool, err error) {
	var of error
	if !beside(ctx, func() { of = planned(ctx, conn, "", f) }, give) {
		return true, ended(ctx, ctx.Err())
	}
	return false, of
}
