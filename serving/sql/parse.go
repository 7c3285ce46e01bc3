package sql

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"sync"
	"unicode/utf8"

	"anabranch/fault"
)

// openPivot is a statement that begins like a query and has PIVOT in it: DuckDB
// makes several statements of one that does not say of which values.
var openPivot = regexp.MustCompile(`(?is)^\s*(?:\(|PIVOT|SELECT\b|FROM\b|WITH\b).*\bPIVOT|^\s*PIVOT`)

// changes is a statement that changes something, in SQL that DuckDB's parser may
// not know: GRANT, ALTER USER.
var changes = regexp.MustCompile(`(?is)^(?:\s|--[^\n]*\n|/\*.*?\*/)*(?:ALTER|CLUSTER|CREATE|DELETE|DO|DROP|GRANT|IMPORT|INSERT|LOCK|MERGE|REASSIGN|REFRESH|REINDEX|REVOKE|SECURITY|TRUNCATE|UPDATE)\b`)

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
	tree = finite(tree)
	if err := json.Unmarshal([]byte(tree), &parsed); err != nil {
		return nil, fault.Wrap(fault.Bug, fmt.Errorf("read the parsed query: %w", err))
	}
	switch {
	case parsed.Error && parsed.Type == "not implemented" && openPivot.MatchString(query):
		return nil, fault.WithHint(refused("not_answered", "PIVOT without IN is not answered here: what columns it has would depend on the rows"),
			"name the values: PIVOT pipeline.view ON country IN ('France', 'Spain') USING sum(n)")
	case parsed.Error && parsed.Type == "not implemented" && !strings.HasPrefix(parsed.Message, "Only SELECT"):
		return nil, refused("not_answered", "this is not answered here: %s", parsed.Message)
	case parsed.Error && parsed.Type == "serialization" && strings.Contains(parsed.Message, "pivot list"):
		return nil, refused("not_answered", "PIVOT with a computed value in IN is not answered here: write the value itself")
	case parsed.Error && parsed.Type == "serialization": // how the tree is written has no place for what DuckDB would not take either
		return nil, fault.WithHint(fault.WithCode(fault.New(fault.Invalid, "a type in the query is none with what stands in its brackets"), "syntax"),
			"an array has from 1 to 100000 values, a DECIMAL whole numbers in its brackets, a STRUCT each name once, a MAP two types")
	case parsed.Error && (parsed.Type == "not implemented" || changes.MatchString(query)):
		return nil, fault.WithCode(fault.New(fault.Denied, "only SELECT, SHOW and DESCRIBE are answered here: views change by `anabranch apply`, events by `anabranch send`"), "read_only")
	case parsed.Error:
		at := ""
		if n, err := parsed.Position.Int64(); err == nil {
			at = placeAt(query, int(n))
		}
		if strings.HasSuffix(parsed.Message, "NOT IMPLEMENTED") { // what DuckDB's parser left open of PostgreSQL's
			parsed.Message = "syntax error"
		}
		err := fault.WithCode(fault.New(fault.Invalid, "%s%s", parsed.Message, at), "syntax")
		if hint := instead(query); hint != "" {
			return nil, fault.WithHint(err, "%s", hint)
		}
		return nil, err
	case len(parsed.Statements) != 1:
		return nil, fault.WithCode(fault.New(fault.Invalid, "want one SELECT, got %d statements", len(parsed.Statements)), "syntax")
	}
	var statement map[string]any
	d := json.NewDecoder(bytes.NewReader(parsed.Statements[0]))
	d.UseNumber()
	if err := d.Decode(&statement); err != nil {
		return nil, fault.Wrap(fault.Bug, fmt.Errorf("read the parsed query: %w", err))
	}
	markUnnamed(statement)
	return statement, nil
}

// markUnnamed marks what stands in SELECT lists without a name. Afterwards
// nobody writes into the tree.
func markUnnamed(n any) {
	switch v := n.(type) {
	case []any:
		for _, child := range v {
			markUnnamed(child)
		}
	case map[string]any:
		if list, _ := v["select_list"].([]any); v["type"] == "SELECT_NODE" {
			for _, item := range list {
				if f, ok := item.(map[string]any); ok && f["alias"] == "" {
					f["unnamed"] = true
				}
			}
		}
		for _, child := range v {
			markUnnamed(child)
		}
	}
}

// parses are the trees of the queries that were asked last: those of a
// dashboard come again and again, and parsing one costs more than judging it.
type parses struct {
	mu    sync.Mutex // guards the fields below
	trees map[string]map[string]any
	texts []string // of trees, the oldest first
}

// What is kept: a tree is up to a few hundred times as large as its text.
const (
	maxParses     = 128
	maxParsedText = 2 << 10
)

// of is parse, remembered. The tree is everybody's: nobody writes into it.
func (p *parses) of(ctx context.Context, conn *sql.Conn, query string) (map[string]any, error) {
	p.mu.Lock()
	tree := p.trees[query]
	p.mu.Unlock()
	if tree != nil {
		return tree, nil
	}
	tree, err := parse(ctx, conn, query)
	if err != nil || len(query) > maxParsedText {
		return tree, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.trees[query] == nil {
		if len(p.texts) == maxParses {
			delete(p.trees, p.texts[0])
			p.texts = append(p.texts[:0], p.texts[1:]...)
		}
		if p.trees == nil {
			p.trees = map[string]map[string]any{}
		}
		p.trees[query], p.texts = tree, append(p.texts, query)
	}
	return tree, nil
}

// place turns a byte offset into a line and a column, both from 1; columns are
// counted in characters.
func place(text string, offset int) (line, column int) {
	text = text[:min(offset, len(text))]
	begin := strings.LastIndexByte(text, '\n') + 1
	return strings.Count(text, "\n") + 1, utf8.RuneCountInString(text[begin:]) + 1
}

// finite puts the numbers of a tree in quotes that JSON has none for: DuckDB writes
// 1e309 as Infinity.
func finite(tree string) string {
	if !strings.Contains(tree, "Infinity") {
		return tree
	}
	var b strings.Builder
	quoted := false
	for len(tree) > 0 {
		n := 1
		switch c := tree[0]; {
		case c == '"':
			quoted = !quoted
		case quoted && c == '\\':
			n = min(2, len(tree))
		case quoted:
		default:
			for _, word := range []string{"Infinity", "-Infinity"} {
				if strings.HasPrefix(tree, word) {
					b.WriteString(`"` + word + `"`)
					tree = tree[len(word):]
					n = 0
				}
			}
		}
		b.WriteString(tree[:n])
		tree = tree[n:]
	}
	return b.String()
}
