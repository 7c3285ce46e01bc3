package view

import (
	"strings"

	"anabranch/event"
)

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
