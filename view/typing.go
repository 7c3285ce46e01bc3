package view

import (
	"context"
	"encoding/json"
	"fmt"
	"math/big"
	"strconv"
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

func (b *binder) bindConstant(n *astNode) (*expr, error) {
	t, ok := kindOf(n.Value.Type)
	switch {
	case n.Value.Type.ID == "NULL":
		return &expr{op: "constant", null: true, value: &event.Column{Ints: []int64{0}, Valid: event.NewBitmap(1)}, at: n.place()}, nil
	case !ok:
		return nil, b.refuse(n, "", "a constant of type %s is not supported in a view", n.Value.Type.ID)
	case n.Value.Null:
		return nullOf(t, n.place()), nil
	}
	c := &event.Column{Type: t}
	raw := n.Value.Value
	var err error
	switch t.Kind {
	case event.Bool:
		c.Ints = []int64{0}
		if string(raw) == "true" {
			c.Ints[0] = 1
		}
	case event.String:
		var s string
		err = json.Unmarshal(raw, &s)
		return stringOf(s, n.place()), err
	case event.Float64:
		var f float64
		err = json.Unmarshal(raw, &f)
		c.Floats = []float64{f}
	default:
		var v event.Int128
		if v, err = wideConstant(raw); err != nil {
			break
		}
		if t.Storage() == event.InWide {
			c.Wide = []event.Int128{v}
		} else {
			c.Ints = []int64{v.Int64()}
		}
	}
	if err != nil {
		return nil, b.refuse(n, "", "the constant %s is not supported in a view", raw)
	}
	return &expr{op: "constant", typ: t, value: c, at: n.place()}, nil
}

// wideConstant reads an integer, or the two halves of a 128-bit one.
func wideConstant(raw json.RawMessage) (event.Int128, error) {
	if v, ok := new(big.Int).SetString(string(raw), 10); ok {
		w, _ := event.Int128FromBig(v)
		return w, nil
	}
	var halves struct {
		Upper int64  `json:"upper"`
		Lower uint64 `json:"lower"`
	}
	err := json.Unmarshal(raw, &halves)
	return event.Int128{Hi: halves.Upper, Lo: halves.Lower}, err
}

// kindOf returns our type for DuckDB's.
func kindOf(t astType) (event.Type, bool) {
	switch t.ID {
	case "BOOLEAN":
		return typeBool, true
	case "INTEGER":
		return typeInt32, true
	case "BIGINT":
		return typeInt64, true
	case "HUGEINT":
		return typeHuge, true
	case "DOUBLE":
		return typeFloat, true
	case "VARCHAR":
		return typeString, true
	case "DATE":
		return typeDate, true
	case "TIMESTAMP":
		return typeTimestamp, true
	case "BLOB":
		return typeBytes, true
	case "DECIMAL":
		if t.Info != nil {
			return typeDecimal(t.Info.Width, t.Info.Scale), true
		}
		return typeDecimal(18, 3), true
	}
	return event.Type{}, false
}

// instead says which type to take for one that is not supported.
var instead = map[string]string{
	"TINYINT": "INTEGER", "SMALLINT": "INTEGER", "UTINYINT": "INTEGER", "USMALLINT": "INTEGER", "UINTEGER": "BIGINT", "UBIGINT": "HUGEINT",
	"UHUGEINT": "HUGEINT", "FLOAT": "DOUBLE", "TIMESTAMP WITH TIME ZONE": "TIMESTAMP", "TIMESTAMP_S": "TIMESTAMP", "TIMESTAMP_MS": "TIMESTAMP",
	"TIMESTAMP_NS": "TIMESTAMP", "TIME": "TIMESTAMP", "UUID": "VARCHAR", "BIT": "VARCHAR", "ENUM": "VARCHAR",
}

func (b *binder) bindCast(n *astNode) (*expr, error) {
	if n.CastType.ID == "INTERVAL" {
		return b.bindInterval(n)
	}
	t, ok := kindOf(*n.CastType)
	if !ok {
		hint := ""
		if to := instead[n.CastType.ID]; to != "" {
			hint = "cast to " + to
		}
		return nil, b.refuse(n, hint, "the type %s is not supported in a view", n.CastType.ID)
	}
	e, err := b.bind(n.Child)
	if err != nil {
		return nil, err
	}
	if !castable(e, t) {
		return nil, b.refuse(n, "", "a cast of %v to %v is not supported in a view", e.typ, t)
	}
	c := cast(e, t, n.TryCast)
	if n.TryCast && e.typ == t && !e.null {
		return e, nil
	}
	return c, nil
}

// castable reports whether a cast to t is computed here.
func castable(e *expr, t event.Type) bool {
	from := e.typ
	switch {
	case e.op == opInterval:
		return false
	case e.untyped(), from == t:
		return true
	case from.Kind == event.Bytes || t.Kind == event.Bytes:
		return false
	case from.Kind == event.String || t.Kind == event.String:
		return true
	case isTime(from) && isTime(t):
		return true
	}
	number := func(t event.Type) bool { return isNumber(t) || t.Kind == event.Bool }
	return number(from) && number(t)
}

// bindInterval reads a constant interval.
func (b *binder) bindInterval(n *astNode) (*expr, error) {
	var iv interval
	ok := false
	if n.Class == "CAST" && n.Child.Class == "CONSTANT" && n.Child.Value.Type.ID == "VARCHAR" {
		var text string
		if json.Unmarshal(n.Child.Value.Value, &text) == nil {
			var err error
			iv, err = b.duck.interval(b.ctx, text)
			ok = err == nil
		}
	} else if n.Class == "FUNCTION" && len(n.Children) == 1 {
		// INTERVAL 5 MINUTE is to_minutes(CAST(trunc(CAST(5 AS DOUBLE)) AS BIGINT)).
		c := n.Children[0]
		for c.Class == "CAST" || c.Class == "FUNCTION" && c.Function == "trunc" && len(c.Children) == 1 {
			if c.Class == "CAST" {
				c = c.Child
			} else {
				c = c.Children[0]
			}
		}
		if c.Class == "CONSTANT" && !c.Value.Null {
			count, err := strconv.ParseInt(string(c.Value.Value), 10, 32)
			iv, ok = unitsOf[n.Function], err == nil && c.Value.Type.ID == "INTEGER"
			iv.months, iv.days, iv.micros = iv.months*count, iv.days*count, iv.micros*count
		}
	}
	if !ok {
		return nil, b.refuse(n, "write INTERVAL '1 hour'", "an INTERVAL that is not a constant is not supported in a view")
	}
	return &expr{op: opInterval, number: [3]int64{iv.months, iv.days, iv.micros}, at: n.place()}, nil
}

// unitsOf are the functions that make intervals.
var unitsOf = map[string]interval{
	"to_years": {months: 12}, "to_quarters": {months: 3}, "to_months": {months: 1}, "to_weeks": {days: 7}, "to_days": {days: 1}, "to_hours": {micros: microsPerHour},
	"to_minutes": {micros: microsPerMinute}, "to_seconds": {micros: microsPerSecond}, "to_milliseconds": {micros: 1000}, "to_microseconds": {micros: 1},
}

var comparisons = map[string]string{
	"COMPARE_EQUAL": "=", "COMPARE_NOTEQUAL": "<>", "COMPARE_LESSTHAN": "<", "COMPARE_GREATERTHAN": ">", "COMPARE_LESSTHANOREQUALTO": "<=",
	"COMPARE_GREATERTHANOREQUALTO": ">=", "COMPARE_DISTINCT_FROM": "distinct", "COMPARE_NOT_DISTINCT_FROM": "same",
}

func (b *binder) bindComparison(n *astNode, op string, left, right *astNode) (*expr, error) {
	args, err := b.bindAll([]*astNode{left, right})
	if err != nil {
		return nil, err
	}
	return b.compare(n, op, args[0], args[1])
}

func (b *binder) compare(n *astNode, op string, x, y *expr) (*expr, error) {
	if op == "" {
		return nil, b.refuse(n, "", "%s is not supported in a view", n.Type)
	}
	args, t, err := b.alike(n, x, y)
	if err != nil {
		return nil, err
	}
	args = keepScale(args, []*expr{x, y}, t)
	if args[0].untyped() {
		args[0], args[1] = nullOf(typeInt32, args[0].at), nullOf(typeInt32, args[1].at)
	}
	// A column stands left of a constant, so that only one of the two cases
	// needs to be fast.
	if args[0].constant() && !args[1].constant() {
		args[0], args[1] = args[1], args[0]
		if m := mirrored[op]; m != "" {
			op = m
		}
	}
	e := apply(op, typeBool, n.place(), args...)
	if op == "distinct" || op == "same" {
		e.null = false
	}
	return e, nil
}

// keepScale casts args, which are from cast to t, once more: where the common
// decimal drops digits behind the point to keep those before it, a comparison
// keeps all of the former.
func keepScale(args, from []*expr, t event.Type) []*expr {
	scale := t.Scale
	for _, a := range from {
		if a.typ.Kind == event.Decimal {
			scale = max(scale, a.typ.Scale)
		}
	}
	if t.Kind != event.Decimal || scale == t.Scale {
		return args
	}
	for i, a := range from {
		args[i] = cast(a, typeDecimal(38, scale), false)
	}
	return args
}

var mirrored = map[string]string{"<": ">", ">": "<", "<=": ">=", ">=": "<="}

// alike casts args to the type that holds them all.
func (b *binder) alike(n *astNode, args ...*expr) ([]*expr, event.Type, error) {
	all := args[0]
	for _, a := range args {
		if a.op == opInterval {
			return nil, event.Type{}, b.refuse(n, "take an INTERVAL only for time_bucket and to add to a time", "an INTERVAL is not supported here")
		}
	}
	for _, a := range args[1:] {
		t, ok := common(all, a)
		if !ok {
			return nil, event.Type{}, b.refuse(n, "write a CAST", "%v together with %v is not supported in a view", all.typ, a.typ)
		}
		if t != all.typ || all.literal() && !a.literal() {
			all = &expr{op: "typed", typ: t}
			if a.typ == t {
				all = a
			}
		}
	}
	out := make([]*expr, len(args))
	for i, a := range args {
		if out[i] = a; all.typ.Kind != 0 {
			out[i] = cast(a, all.typ, false)
		}
	}
	return out, all.typ, nil
}

func (b *binder) condition(n *astNode) (*expr, error) {
	e, err := b.bind(n)
	if err != nil {
		return nil, err
	}
	if e.op == opInterval || !castable(e, typeBool) || isTime(e.typ) {
		return nil, b.refuse(n, "write a comparison", "%v as a condition is not supported in a view", e.typ)
	}
	return cast(e, typeBool, false), nil
}

func (b *binder) bindConjunction(n *astNode) (*expr, error) {
	op := "and"
	if n.Type == "CONJUNCTION_OR" {
		op = "or"
	}
	var all *expr
	for _, c := range n.Children {
		e, err := b.condition(c)
		if err != nil {
			return nil, err
		}
		if all == nil {
			all = e
		} else {
			all = apply(op, typeBool, n.place(), all, e)
		}
	}
	return all, nil
}

func (b *binder) bindOperator(n *astNode) (*expr, error) {
	switch n.Type {
	case "OPERATOR_NOT":
		e, err := b.condition(n.Children[0])
		if err != nil {
			return nil, err
		}
		return apply("not", typeBool, n.place(), e), nil
	case "OPERATOR_IS_NULL", "OPERATOR_IS_NOT_NULL":
		e, err := b.bind(n.Children[0])
		if err != nil {
			return nil, err
		}
		if e.untyped() {
			e = nullOf(typeInt32, e.at)
		}
		op := "is null"
		if n.Type == "OPERATOR_IS_NOT_NULL" {
			op = "is not null"
		}
		e = apply(op, typeBool, n.place(), e)
		e.null = false
		return e, nil
	case "OPERATOR_COALESCE":
		args, err := b.bindAll(n.Children)
		if err != nil {
			return nil, err
		}
		args, t, err := b.alike(n, args...)
		if err != nil {
			return nil, err
		}
		if t.Kind == 0 {
			return args[0], nil
		}
		e := apply("coalesce", t, n.place(), args...)
		if !e.constant() {
			e.null = true
			for _, a := range args {
				e.null = e.null && a.null
			}
		}
		return e, nil
	case "COMPARE_IN", "COMPARE_NOT_IN":
		args, err := b.bindAll(n.Children)
		if err != nil {
			return nil, err
		}
		from := args
		args, t, err := b.alike(n, args...)
		if err != nil {
			return nil, err
		}
		if t.Kind == 0 {
			return nullOf(typeBool, n.place()), nil
		}
		args = keepScale(args, from, t)
		e := apply("in", typeBool, n.place(), args...)
		if n.Type == "COMPARE_NOT_IN" {
			e = apply("not", typeBool, n.place(), e)
		}
		return e, nil
	case "ARRAY_SLICE", "ARRAY_EXTRACT":
		return nil, b.refuse(n, "write substr(x, from, length)", "x[...] is not supported in a view")
	case "OPERATOR_TRY":
		return nil, b.refuse(n, "write TRY_CAST", "TRY is not supported in a view")
	}
	return nil, b.refuse(n, "", "%s is not supported in a view", strings.ToLower(strings.ReplaceAll(strings.TrimPrefix(n.Type, "OPERATOR_"), "_", " ")))
}

// bindCase makes CASE of conditions and results in turn, the ELSE last.
func (b *binder) bindCase(n *astNode) (*expr, error) {
	var conditions, results []*expr
	for _, c := range n.Checks {
		when, err := b.condition(c.When)
		if err != nil {
			return nil, err
		}
		then, err := b.bind(c.Then)
		if err != nil {
			return nil, err
		}
		conditions, results = append(conditions, when), append(results, then)
	}
	last, err := b.bind(n.Else)
	if err != nil {
		return nil, err
	}
	// DuckDB finds the common type beginning with the ELSE.
	results, t, err := b.alike(n, append([]*expr{last}, results...)...)
	if err != nil {
		return nil, err
	}
	if t.Kind == 0 {
		return last, nil
	}
	var args []*expr
	null := results[0].null
	for i, c := range conditions {
		args = append(args, c, results[i+1])
		null = null || results[i+1].null
	}
	e := apply("case", t, n.place(), append(args, results[0])...)
	if !e.constant() {
		e.null = null
	}
	return e, nil
}
