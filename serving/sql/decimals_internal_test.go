package sql

import (
	"fmt"
	"testing"
)

func TestWhereParametersStand(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"SELECT $1, $23 + $1":                        "[{1 7 9} {23 11 14} {1 17 19}]",
		"SELECT ?, a ? b":                            "[{1 7 8} {2 12 13}]",
		`SELECT '$1', "$2", 'it''s $3', $4`:          "[{4 31 33}]",
		`SELECT E'\'$1', e'\\', 'e\', $2, name'$3'`:  "[{2 29 31}]",
		"SELECT $$ $1 $$, $t$ $2 $$ $t$, $3":         "[{3 32 34}]",
		"SELECT /* $1 /* $2 */ $3 */ $4 -- $5\n, $6": "[{4 28 30} {6 39 41}]",
		"SELECT a$1, é$2, $3::INT, -$4-$5":           "[{3 18 20} {4 28 30} {5 31 33}]",
		"SELECT 'open $1":                            "[]",
		"SELECT $":                                   "[]",
		"SELECT /* $1":                               "[]",
		"SELECT E'\\":                                "[]",
	} {
		if got := fmt.Sprint(parametersIn(text)); got != want {
			t.Errorf("%s: %s, want %s", text, got, want)
		}
	}
}
