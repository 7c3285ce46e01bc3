package sql

import (
	"fmt"
	"strings"
	"testing"

	"anabranch/serving"
)

// TestParsesAreKept: of queries that were asked, up to so many and so long.
func TestParsesAreKept(t *testing.T) {
	t.Parallel()
	e, err := New(t.Context(), serving.New(serving.Options{Sources: func() []*serving.Source { return nil }}), Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	ask := func(query string) {
		t.Helper()
		for range 2 {
			a, err := e.Query(t.Context(), Request{SQL: query})
			if err != nil {
				t.Fatal(err)
			}
			if err := a.Close(); err != nil {
				t.Fatal(err)
			}
		}
	}
	ask("SELECT 0 -- " + strings.Repeat("long", maxParsedText))
	if len(e.parses.trees) != 0 {
		t.Error("a long one is kept")
	}
	for i := range maxParses + 5 {
		ask(fmt.Sprintf("SELECT %d AS n", i))
	}
	if n, m := len(e.parses.trees), len(e.parses.texts); n != maxParses || m != n || e.parses.trees["SELECT 4 AS n"] != nil || e.parses.trees["SELECT 5 AS n"] == nil {
		t.Errorf("%d trees of %d texts are kept, the oldest is %q", n, m, e.parses.texts[0])
	}
	if _, err := e.Query(t.Context(), Request{SQL: "SELEC 1"}); err == nil || e.parses.trees["SELEC 1"] != nil {
		t.Error("what is no query is kept")
	}
}
