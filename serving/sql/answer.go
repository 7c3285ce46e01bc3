package sql

import (
	"database/sql"

	"anabranch/serving"
)

// Column is one column of an answer.
type Column struct {
	Name string `json:"name"`
	Type string `json:"type"` // as DuckDB names it: BIGINT, DECIMAL(38,3), ...
}

// Answer is the rows of a query, read once, at one cut.
type Answer struct {
	Columns []Column
	Receipt serving.Receipt

	rows   *sql.Rows
	values []any
	into   []any
	close  func() error
}

func newAnswer(rows *sql.Rows, receipt serving.Receipt) (*Answer, error) {
	types, err := rows.ColumnTypes()
	if err != nil {
		return nil, classify(err)
	}
	a := &Answer{Receipt: receipt, rows: rows, values: make([]any, len(types)), into: make([]any, len(types)), Columns: make([]Column, len(types))}
	for i, t := range types {
		a.Columns[i] = Column{t.Name(), t.DatabaseTypeName()}
		a.into[i] = &a.values[i]
	}
	return a, nil
}

// Next returns the next row, valid until the following Next, or nil at the
// end. Values are what DuckDB's driver gives: int64, float64, string, bool,
// []byte, time.Time, *big.Int, duckdb.Decimal, []any, map[string]any, nil.
func (a *Answer) Next() ([]any, error) {
	if !a.rows.Next() {
		if err := a.rows.Err(); err != nil {
			return nil, classify(err)
		}
		return nil, nil
	}
	if err := a.rows.Scan(a.into...); err != nil {
		return nil, classify(err)
	}
	return a.values, nil
}

// Close ends the query and lets its cut go. Calling it twice is fine.
func (a *Answer) Close() error {
	if a.close == nil {
		return nil
	}
	f := a.close
	a.close = nil
	return f()
}
