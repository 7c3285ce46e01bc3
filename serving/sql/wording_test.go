package sql

import (
	"strings"
	"testing"
)

// A parameter that spares a plan is only where a query has none, and places of
// what was asked stay known behind it.
func TestAParameterThatNobodyReads(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		text string
		args []any
		more bool
	}{
		{"SELECT x FROM shops.by_shop", nil, true},
		{"select 1 UNION SELECT 2", nil, true},
		{"SELECT x FROM shops.by_shop WHERE n = ?", []any{1}, false},
		{"SELECT x FROM shops.by_shop WHERE n = $1", nil, false}, // its error is that there is none
		{"SELECT $name", nil, false},
		{"SELECT 'how much?', $$ $1 $$ -- ?", nil, true},
		{"WITH a AS (SELECT 1) SELECT x FROM a", nil, false},
		{"FROM shops.by_shop", nil, false},
		{"", nil, false},
	} {
		w, args := plannedOnce(unchanged(c.text), c.args)
		if more := len(args) > len(c.args); more != c.more || more != (w.runs != c.text) {
			t.Errorf("%q: runs as %q with %v", c.text, w.runs, args)
			continue
		}
		if at := strings.Index(w.runs, "x FROM"); at >= 0 && w.back(at) != strings.Index(c.text, "x FROM") {
			t.Errorf("%q: what is at %d of %q was asked at %d", c.text, at, w.runs, w.back(at))
		}
	}
}
