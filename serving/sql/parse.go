package sql

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"

	"anabranch/fault"
)

// table is a table that a query names.
type table struct{ schema, name string }

// parse has DuckDB parse the query, and returns the tables it names. Only one
// SELECT (or SHOW, or DESCRIBE, which DuckDB treats as such) passes: anything
// that changes something cannot be written as that.
func parse(ctx context.Context, conn *sql.Conn, query string) ([]table, error) {
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
	case parsed.Error && parsed.Type == "not implemented":
		return nil, fault.WithCode(fault.New(fault.Denied, "only SELECT, SHOW and DESCRIBE are answered here: views change by `anabranch apply`, events by `anabranch send`"), "read_only")
	case parsed.Error:
		at := ""
		if n, err := parsed.Position.Int64(); err == nil {
			line, column := place(query, int(n))
			at = fmt.Sprintf(" (line %d, column %d)", line, column)
		}
		return nil, fault.WithCode(fault.New(fault.Invalid, "%s%s", parsed.Message, at), "syntax")
	case len(parsed.Statements) != 1:
		return nil, fault.WithCode(fault.New(fault.Invalid, "want one SELECT, got %d statements", len(parsed.Statements)), "syntax")
	}
	var node any
	if err := json.Unmarshal(parsed.Statements[0], &node); err != nil {
		return nil, fault.Wrap(fault.Bug, fmt.Errorf("read the parsed query: %w", err))
	}
	w := walker{ctes: map[string]bool{}}
	w.names(node)
	w.walk(node)
	return w.tables, nil
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

// walker collects table references from DuckDB's tree, which it knows only as
// nested objects: new kinds of nodes need no change here.
type walker struct {
	ctes   map[string]bool
	tables []table
}

// names finds the names that WITH gives, which hide tables.
func (w *walker) names(n any) {
	switch v := n.(type) {
	case map[string]any:
		if ctes, ok := v["cte_map"].(map[string]any); ok {
			entries, _ := ctes["map"].([]any)
			for _, e := range entries {
				if entry, ok := e.(map[string]any); ok {
					if key, ok := entry["key"].(string); ok {
						w.ctes[key] = true
					}
				}
			}
		}
		for _, child := range v {
			w.names(child)
		}
	case []any:
		for _, child := range v {
			w.names(child)
		}
	}
}

func (w *walker) walk(n any) {
	switch v := n.(type) {
	case map[string]any:
		if v["type"] == "BASE_TABLE" {
			schema, _ := v["schema_name"].(string)
			table_, _ := v["table_name"].(string)
			if schema != "" || !w.ctes[table_] {
				w.tables = append(w.tables, table{schema, table_})
			}
		}
		for _, child := range v {
			w.walk(child)
		}
	case []any:
		for _, child := range v {
			w.walk(child)
		}
	}
}
