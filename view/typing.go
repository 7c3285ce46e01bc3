package view

import (
	"context"
	"fmt"
	"strings"

	"anabranch/event"
)

// binder turns DuckDB's tree into typed expressions. DuckDB has bound the text
// before, so names exist and types fit; what is refused here is what this
// package does not compute.
type binder struct {
	ctx     context.Context
	duck    *duck
	shape   *event.Shape
	table   string              // what the text calls the table of events
	aliases map[string]*astNode // names of the SELECT list, lower case
	open    map[string]bool     // aliases being resolved
	inside  bool                // within an aggregate: no other may begin
	plain   bool                // no aggregates at all: WHERE, FILTER, keys, rules
}

func (b *binder) refuse(n *astNode, hint, format string, args ...any) error {
	return b.duck.problem(n.place(), fmt.Sprintf(format, args...), hint)
}

// bind types n.
func (b *binder) bind(n *astNode) (*expr, error) {
	switch n.Class {
	case "COLUMN_REF":
		return b.bindColumn(n)
	case "CONSTANT":
		return b.bindConstant(n)
	case "CAST":
		return b.bindCast(n)
	case "COMPARISON":
		return b.bindComparison(n, comparisons[n.Type], n.Left, n.Right)
	case "BETWEEN":
		low, err := b.bindComparison(n, ">=", n.Input, n.Lower)
		if err != nil {
			return nil, err
		}
		high, err := b.bindComparison(n, "<=", n.Input, n.Upper)
		if err != nil {
			return nil, err
		}
		return apply("and", typeBool, n.place(), low, high), nil
	case "CONJUNCTION":
		return b.bindConjunction(n)
	case "OPERATOR":
		return b.bindOperator(n)
	case "CASE":
		return b.bindCase(n)
	case "FUNCTION":
		return b.bindFunction(n)
	case "SUBQUERY":
		return nil, b.refuse(n, "a view reads the one event it folds; join readers' questions to other tables when asking", "a query within a view is not supported")
	case "WINDOW":
		return nil, b.refuse(n, "a view is a fold by key; use OVER when asking the view", "%s(...) OVER is not supported in a view", n.Function)
	case "STAR":
		return nil, b.refuse(n, "name the columns", "* is not supported in a view")
	case "COLLATE":
		return nil, b.refuse(n, "compare lower(x)", "COLLATE is not supported in a view")
	case "LAMBDA":
		return nil, b.refuse(n, "", "a lambda is not supported in a view")
	case "PARAMETER":
		return nil, b.refuse(n, "write the value", "a parameter is not supported in a view")
	}
	return nil, b.refuse(n, "", "%s is not supported in a view", strings.ToLower(n.Class))
}

func (b *binder) bindAll(nodes []*astNode) ([]*expr, error) {
	out := make([]*expr, len(nodes))
	for i, n := range nodes {
		e, err := b.bind(n)
		if err != nil {
			return nil, err
		}
		out[i] = e
	}
	return out, nil
}

// timeless are the words that mean another value at each call.
var timeless = map[string]bool{
	"now": true, "current_date": true, "current_timestamp": true, "current_time": true, "today": true, "localtime": true, "localtimestamp": true,
	"get_current_timestamp": true, "transaction_timestamp": true, "random": true, "uuid": true, "gen_random_uuid": true, "uuidv7": true,
}

func (b *binder) bindColumn(n *astNode) (*expr, error) {
	name := n.Columns[len(n.Columns)-1]
	if len(n.Columns) > 1 && !strings.EqualFold(n.Columns[len(n.Columns)-2], b.table) {
		return nil, b.refuse(n, "write the column's own name", "%s is not a column of events", strings.Join(n.Columns, "."))
	}
	for i, f := range b.shape.Fields {
		if strings.EqualFold(f.Name, name) {
			return &expr{op: "column", typ: f.Type, column: i, null: f.Nullable, at: n.place()}, nil
		}
	}
	lower := strings.ToLower(name)
	if target := b.aliases[lower]; target != nil && !b.open[lower] {
		b.open[lower] = true
		defer delete(b.open, lower)
		return b.bind(target)
	}
	if timeless[lower] {
		return nil, b.refuse(n, "a view gives the same answer whenever it is computed; filter by the clock when asking", "%s is not supported in a view", name)
	}
	return nil, b.refuse(n, "", "%s is not a column of events", name)
}
