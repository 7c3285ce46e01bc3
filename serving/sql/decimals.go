package sql

import (
	"context"
	"database/sql"
	"fmt"
	"slices"

	"github.com/duckdb/duckdb-go/v2"

	"anabranch/internal/sqltext"
)

// exactly are the edits that give parameters the types of their decimals. Those
// travel as text, of which DuckDB would make what stands beside it: 1.5 would be 2
// beside a BIGINT, and 1.504 equal to a DECIMAL(10,2) of 1.50.
func exactly(text string, args []any) (edits []edit) {
	if !slices.ContainsFunc(args, func(v any) bool { _, ok := v.(duckdb.Decimal); return ok }) {
		return nil
	}
	for _, at := range parametersIn(text) {
		if at.number < 1 || at.number > len(args) {
			continue
		}
		if d, ok := args[at.number-1].(duckdb.Decimal); ok {
			words := fmt.Sprintf("CAST(%s AS DECIMAL(%d,%d))", text[at.from:at.to], d.Width, d.Scale)
			edits = append(edits, edit{at.from, at.to, func(context.Context, *sql.Conn, *epoch) (string, error) { return words, nil }})
		}
	}
	return edits
}

// parameter is one of a text, $1 or ?, and which bytes of it.
type parameter struct{ number, from, to int }

// parametersIn finds the parameters of a text, whose tree does not tell where
// they stand.
func parametersIn(text string) (found []parameter) {
	asked := 0
	for i := 0; ; {
		t, _ := sqltext.Next(text, i)
		if t.Text == "" {
			return found
		}
		i = t.End()
		if t.Kind != sqltext.Parameter {
			continue
		}
		number := t.Place()
		if t.Text == "?" {
			asked++
			number = asked
		}
		if number > 0 {
			found = append(found, parameter{number, t.Start, t.End()})
		}
	}
}
