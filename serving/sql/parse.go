package sql

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"regexp"

	"anabranch/fault"
)

// openPivot is a statement that begins like a query and has PIVOT in it: DuckDB
// makes several statements of one that does not say of which values.
var openPivot = regexp.MustCompile(`(?is)^\s*(?:\(|PIVOT|SELECT\b|FROM\b|WITH\b).*\bPIVOT|^\s*PIVOT`)

// parse has DuckDB parse the query and returns the tree of its one statement.
// Only SELECT passes, and SHOW and DESCRIBE, which DuckDB treats as such.
func parse(ctx context.Context, conn *sql.Conn, query string) (map[string]any, error) {
	var tree string
	if err := conn.QueryRowContext(ctx, "SELECT json_serialize_sql(CAST(? AS VARCHAR))::VARCHAR", query).Scan(&tree); err != nil {
		return nil, classify(err)
	}
	var parsed struct {
		Error      bool              `json:"error"`
		Type       string            `json:"error_type"`
		Message    string            `json:"error_message"`
		Position   json.Number       `json:"position"`
		Statements []json.RawMessage `json:"statements"`
	}
	if err := json.Unmarshal([]byte(tree), &parsed); err != nil {
		return nil, fault.Wrap(fault.Bug, fmt.Errorf("read the parsed query: %w", err))
	}
	switch {
	case parsed.Error && parsed.Type == "not implemented" && openPivot.MatchString(query):
		return nil, fault.WithHint(refused("not_answered", "PIVOT without IN is not answered here: what columns it has would depend on the rows"),
			"name the values: PIVOT pipeline.view ON country IN ('France', 'Spain') USING sum(n)")
	case parsed.Error && parsed.Type == "not implemented":
		return nil, fault.WithCode(fault.New(fault.Denied, "only SELECT, SHOW and DESCRIBE are answered here: views change by `anabranch apply`, events by `anabranch send`"), "read_only")
	case parsed.Error:
		at := ""
		if n, err := parsed.Position.Int64(); err == nil {
			at = placeAt(query, int(n))
		}
		return nil, fault.WithCode(fault.New(fault.Invalid, "%s%s", parsed.Message, at), "syntax")
	case len(parsed.Statements) != 1:
		return nil, fault.WithCode(fault.New(fault.Invalid, "want one SELECT, got %d statements", len(parsed.Statements)), "syntax")
	}
	var statement map[string]any
	d := json.NewDecoder(bytes.NewReader(parsed.Statements[0]))
	d.UseNumber()
	if err := d.Decode(&statement); err != nil {
		return nil, fault.Wrap(fault.Bug, fmt.Errorf("read the parsed query: %w", err))
	}
	return statement, nil
}

// place turns a byte offset into a line and a column, both from 1.
func place(text string, offset int) (line, column int) {
	line, column = 1, 1
	for i := 0; i < len(text) && i < offset; i++ {
		column++
		if text[i] == '\n' {
			line, column = line+1, 1
		}
	}
	return line, column
}
