package sql

import (
	"context"
	"database/sql"
	"strings"

	"github.com/duckdb/duckdb-go/v2"

	"anabranch/fault"
)

// CheckCatalog decides about a query over a door's own tables, on a connection
// to where they lie, as the engine does about its queries: by the tree, the
// functions it may call, of which functions are more, and the tables it names.
func CheckCatalog(ctx context.Context, conn *sql.Conn, text string, functions, tables map[string]bool) error {
	statement, err := parse(ctx, conn, text)
	if err != nil {
		return err
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
	return w.err
}

// DescribeStatement tells what a prepared statement takes and returns.
func DescribeStatement(s *duckdb.Stmt) (Description, error) { return describe(s) }
