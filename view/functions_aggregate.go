package view

import (
	"strings"

	"anabranch/event"
)

// aggregates are the supported ones; first and last stand for arg_min and
// arg_max.
var aggregates = map[string]aggFunc{
	"count_star": aggCountStar, "count": aggCount, "sum": aggSum, "min": aggMin, "max": aggMax, "avg": aggAvg,
	"approx_count_distinct": aggApproxDistinct, "approx_quantile": aggApproxQuantile, "arg_min": aggArgMin, "arg_max": aggArgMax,
	"first": aggArgMin, "last": aggArgMax, "bool_and": aggMin, "bool_or": aggMax,
}

func (b *binder) bindAggregate(n *astNode, name string, fn aggFunc) (*expr, error) {
	switch {
	case b.inside:
		return nil, b.refuse(n, "", "the aggregate %s stands within another", name)
	case b.plain:
		return nil, b.refuse(n, "", "the aggregate %s is not supported here", strings.TrimSuffix(name, "_star"))
	}
	b.inside = true
	defer func() { b.inside = false }()

	args, err := b.bindAll(n.Children)
	if err != nil {
		return nil, err
	}
	for i, a := range args {
		if a.op == opInterval {
			return nil, b.refuse(n, "", "%s of an INTERVAL is not supported in a view", name)
		}
		if a.untyped() {
			args[i] = nullOf(typeInt32, a.at)
		}
	}
	a := &aggregated{fn: fn}
	if n.Filter != nil {
		if a.filter, err = b.condition(n.Filter); err != nil {
			return nil, err
		}
	}
	ordered := n.OrderBys != nil && len(n.OrderBys.Orders) > 0
	if name == "first" || name == "last" {
		if args, err = b.byOrder(n, name, a, args); err != nil {
			return nil, err
		}
		ordered = false
	}
	switch {
	case ordered && fn != aggCountStar && fn != aggCount && fn != aggMin && fn != aggMax:
		return nil, b.refuse(n, "leave the ORDER BY away", "%s(... ORDER BY) is not supported in a view", name)
	case n.Distinct && (fn == aggMin || fn == aggMax): // the same without
	case n.Distinct && fn == aggCount && len(args) == 1:
		a.fn = aggCountDistinct
	case n.Distinct:
		return nil, b.refuse(n, "count(DISTINCT x) of one expression is", "%s(DISTINCT ...) is not supported in a view", name)
	}
	if fn == aggCount && len(args) == 0 {
		a.fn = aggCountStar
	}
	if a.fn != aggCountStar {
		want := 1
		if fn == aggArgMin || fn == aggArgMax || fn == aggApproxQuantile {
			want = 2
		}
		if len(args) != want {
			return nil, b.refuse(n, "", "%s of %d arguments is not supported in a view", name, len(args))
		}
		a.arg = args[0]
	}
	if fn == aggArgMin || fn == aggArgMax {
		a.by = args[1]
	}
	return b.typeAggregate(n, name, a, args)
}

// byOrder reads first(x ORDER BY t) as arg_min(x, t), which is the same while
// x and t are never null: arg_min skips nulls.
func (b *binder) byOrder(n *astNode, name string, a *aggregated, args []*expr) ([]*expr, error) {
	other := strings.Replace(map[string]string{"first": "arg_min(x, t)", "last": "arg_max(x, t)"}[name], "", "", 1)
	if n.OrderBys == nil || len(n.OrderBys.Orders) != 1 {
		return nil, b.refuse(n, "write "+name+"(x ORDER BY t)", "%s without an ORDER BY depends on the order of rows", name)
	}
	o := n.OrderBys.Orders[0]
	by, err := b.bind(o.Expr)
	if err != nil {
		return nil, err
	}
	if len(args) != 1 || args[0].null || by.null {
		return nil, b.refuse(n, "write "+other+", which skips nulls", "%s(x ORDER BY t) where x or t may be null is not supported in a view", name)
	}
	if o.Type == "DESCENDING" {
		if a.fn == aggArgMin {
			a.fn = aggArgMax
		} else {
			a.fn = aggArgMin
		}
	}
	return []*expr{args[0], by}, nil
}

// typeAggregate finds the type of the result, casting the argument as DuckDB does.
func (b *binder) typeAggregate(n *astNode, name string, a *aggregated, args []*expr) (*expr, error) {
	var t event.Type
	no := func(hint string) (*expr, error) {
		return nil, b.refuse(n, hint, "%s of %v is not supported in a view", name, a.arg.typ)
	}
	switch a.fn {
	case aggCountStar, aggCount, aggCountDistinct, aggApproxDistinct:
		t = typeInt64
	case aggSum:
		if a.arg.typ == typeBool {
			a.arg = cast(a.arg, typeInt32, false)
		}
		switch a.arg.typ.Kind {
		case event.Int32, event.Int64, event.Huge:
			t = typeHuge
		case event.Decimal:
			t = typeDecimal(38, a.arg.typ.Scale)
		case event.Float64:
			t = typeFloat
		default:
			return no("write a CAST")
		}
	case aggAvg:
		if !isNumber(a.arg.typ) {
			return no("write a CAST")
		}
		t = typeFloat
	case aggMin, aggMax:
		t = a.arg.typ
		if strings.HasPrefix(name, "bool_") && t != typeBool {
			return no("write a condition")
		}
	case aggArgMin, aggArgMax:
		t = a.arg.typ
	case aggApproxQuantile:
		q := args[1]
		if !q.constant() || q.isNull() || !isNumber(q.typ) {
			return nil, b.refuse(n, "write approx_quantile(x, 0.95)", "approx_quantile by a share that is not one constant is not supported in a view")
		}
		a.quantile = cast(q, typeFloat, false).value.Floats[0]
		if !(a.quantile >= 0 && a.quantile <= 1) {
			return nil, b.refuse(n, "", "the share %g of approx_quantile is not between 0 and 1", a.quantile)
		}
		// DuckDB rounds decimals to integers first.
		if a.arg.typ.Kind == event.Decimal {
			a.arg = cast(a.arg, typeInt64, false)
		}
		if k := a.arg.typ.Kind; k != event.Int32 && k != event.Int64 && k != event.Float64 {
			return no("write CAST(x AS DOUBLE)")
		}
		t = a.arg.typ
	}
	null := a.fn != aggCountStar && a.fn != aggCount && a.fn != aggCountDistinct && a.fn != aggApproxDistinct
	return &expr{op: "aggregate", typ: t, agg: a, null: null, at: n.place()}, nil
}
