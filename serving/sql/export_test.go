package sql

import (
	"context"
	"encoding/json"
	"strings"
	"sync"
	"testing"
	"time"
)

// Cell returns the first cell of a query that no reader may ask.
func Cell(t *testing.T, e *Engine, query string) (v any) {
	t.Helper()
	if err := e.db.QueryRowContext(context.Background(), query).Scan(&v); err != nil {
		t.Fatal(err)
	}
	return v
}

// Cuts returns how many catalogs of cuts there are.
func Cuts(t *testing.T, e *Engine) int64 {
	t.Helper()
	n, _ := Cell(t, e, "SELECT count(*) FROM duckdb_databases() WHERE database_name LIKE 'cut%'").(int64)
	return n
}

// Decided tells how functions are decided about: may be called, is refused by
// name, or neither.
func Decided(function string) (called, named bool) {
	for _, those := range refusals {
		named = named || those[function]
	}
	return plainFunctions[function] || tableFunctions[function], named
}

// Scanned runs a query and tells how many rows left the scans of files, and
// those of overlays with the filters right on them.
func Scanned(t *testing.T, e *Engine, query string, args ...any) (files, overlays int64) {
	t.Helper()
	files, overlays, _ = scans(t, e, query, args)
	return files, overlays
}

// Handed runs a query and tells how many rows the scans of overlays handed out.
func Handed(t *testing.T, e *Engine, query string, args ...any) int64 {
	t.Helper()
	_, _, handed := scans(t, e, query, args)
	return handed
}

func scans(t *testing.T, e *Engine, query string, args []any) (files, overlays, handed int64) {
	t.Helper()
	s, err := e.enter(t.Context(), Request{SQL: query, Args: args})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.leave() }()
	var kind, text string
	if err := s.conn.QueryRowContext(s.ctx, "EXPLAIN (ANALYZE, FORMAT json) "+s.text.runs, s.args...).Scan(&kind, &text); err != nil {
		t.Fatal(err)
	}
	type node struct {
		Name     string `json:"operator_name"`
		Rows     int64  `json:"operator_cardinality"`
		Children []node `json:"children"`
	}
	var root node
	if err := json.Unmarshal([]byte(text), &root); err != nil {
		t.Fatal(err)
	}
	var walk func(n node)
	overlay := strings.ToUpper(scanned)
	walk = func(n node) {
		if strings.TrimSpace(n.Name) == overlay {
			handed += n.Rows
		}
		switch is := strings.TrimSpace(n.Name); {
		case is == "READ_PARQUET":
			files += n.Rows
		case is == overlay, is == "FILTER" && len(n.Children) == 1 && strings.TrimSpace(n.Children[0].Name) == overlay:
			overlays += n.Rows
			for _, c := range n.Children {
				handed += c.Rows
			}
			return
		}
		for _, c := range n.Children {
			walk(c)
		}
	}
	walk(root)
	return files, overlays, handed
}

// Indexed tells whether no index is being made.
func (e *Engine) Indexed() bool {
	e.chains.mu.Lock()
	defer e.chains.mu.Unlock()
	for _, of := range e.chains.all {
		if of.index != complete {
			return false
		}
	}
	return true
}

// Blocks returns how many pages of overlays there are in the chains, and how
// many of them more than one overlay has.
func (e *Engine) Blocks() (pages, shared int) {
	e.chains.mu.Lock()
	defer e.chains.mu.Unlock()
	for _, of := range e.chains.all {
		for _, p := range of.laid.pages {
			pages++
			if p.users.Load() > 1 {
				shared++
			}
		}
	}
	return pages, shared
}

// BlocksHeld is how many bytes DuckDB has in large blocks, where that is counted.
func BlocksHeld() int64 { return blocksHeld() }

// Standing returns the catalogs that connections stand in, and how many may.
func Standing(e *Engine) (catalogs []string, most int) {
	e.standing.mu.Lock()
	defer e.standing.mu.Unlock()
	for _, one := range e.standing.all {
		catalogs = append(catalogs, one.catalog)
	}
	return catalogs, mostStanding
}

// SetGrace changes how long readers wait behind the end of their queries, until
// what it returns is called.
func SetGrace(d time.Duration) (back func()) {
	was := grace
	grace = d
	return func() { grace = was }
}

// KeepPlanning has the planning of a query whose text has the mark take until what
// it returns is called. Not beside other tests.
func KeepPlanning(mark string) (end func()) {
	over := make(chan struct{})
	keep := func(query string) {
		if strings.Contains(query, mark) {
			<-over
		}
	}
	inPlanning.Store(&keep)
	return sync.OnceFunc(func() {
		close(over)
		inPlanning.Store(nil)
	})
}

// HoldPlan takes a place of plans, until what it returns is called.
func HoldPlan(t *testing.T, e *Engine, user string) (over func()) {
	t.Helper()
	over, err := e.plans.take(t.Context(), user)
	if err != nil {
		t.Fatal(err)
	}
	return over
}

// PlansHeld is how many plans are being made for questions alone.
func PlansHeld(e *Engine) int {
	e.plans.mu.Lock()
	defer e.plans.mu.Unlock()
	return e.plans.running
}

// PlacesHeld is how many queries run.
func PlacesHeld(e *Engine) int {
	e.turns.mu.Lock()
	defer e.turns.mu.Unlock()
	return e.turns.running
}
