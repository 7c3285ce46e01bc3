package view

import (
	"strings"

	"anabranch/event"
)

// synonyms maps DuckDB's other names of a function to the one used here.
var synonyms = map[string]string{
	"mod": "%", "ucase": "upper", "lcase": "lower", "len": "length", "char_length": "length", "character_length": "length",
	"substring": "substr", "prefix": "starts_with", "^@": "starts_with", "suffix": "ends_with", "ceiling": "ceil",
	"datetrunc": "date_trunc", "datepart": "date_part", "min_by": "arg_min", "argmin": "arg_min", "max_by": "arg_max", "argmax": "arg_max",
	"mean": "avg", "any_value": "any_value", "arbitrary": "first", "add": "+", "subtract": "-", "multiply": "*", "divide": "//",
	"dayofmonth": "day", "weekofyear": "week",
}

// parts are the functions that take one part of a date.
var parts = map[string]bool{
	"year": true, "month": true, "day": true, "hour": true, "minute": true, "second": true, "quarter": true, "week": true,
	"dayofweek": true, "weekday": true, "isodow": true, "dayofyear": true, "yearweek": false, "millisecond": true, "microsecond": true,
}

func (b *binder) bindFunction(n *astNode) (*expr, error) {
	name := strings.ToLower(n.Function)
	if to := synonyms[name]; to != "" {
		name = to
	}
	if fn, ok := aggregates[name]; ok {
		return b.bindAggregate(n, name, fn)
	}
	if _, ok := unitsOf[name]; ok {
		return b.bindInterval(n)
	}
	if timeless[name] {
		return nil, b.refuse(n, "a view gives the same answer whenever it is computed; filter by the clock when asking", "%s() is not supported in a view", name)
	}
	if hint, ok := noAggregate[name]; ok {
		return nil, b.refuse(n, hint, "the aggregate %s is not supported in a view", name)
	}
	if n.Filter != nil || n.Distinct || n.OrderBys != nil && len(n.OrderBys.Orders) > 0 {
		return nil, b.refuse(n, "", "the aggregate %s is not supported in a view", name)
	}
	args, err := b.bindAll(n.Children)
	if err != nil {
		return nil, err
	}
	e, err := b.call(n, name, args)
	if err == nil && e == nil {
		return nil, b.refuse(n, functionHint[name], "the function %s over these arguments is not supported in a view", name)
	}
	return e, err
}

// noAggregate are DuckDB's aggregates that are refused, with what to write.
var noAggregate = map[string]string{
	"median": "write approx_quantile(x, 0.5)", "quantile": "write approx_quantile(x, q)", "quantile_cont": "write approx_quantile(x, q)",
	"quantile_disc": "write approx_quantile(x, q)", "any_value": "its answer depends on the order of rows: write min(x) or arg_min(x, t)",
	"last_value": "write last(x ORDER BY t)", "first_value": "write first(x ORDER BY t)", "mode": "group by x and count", "list": "group by x",
	"array_agg": "group by x", "string_agg": "group by x", "group_concat": "group by x", "listagg": "group by x", "histogram": "group by x",
	"approx_top_k": "group by x and count", "product": "", "stddev": "sum x and x*x, and divide when asking", "stddev_samp": "sum x and x*x, and divide when asking",
	"stddev_pop": "sum x and x*x, and divide when asking", "var_samp": "sum x and x*x, and divide when asking", "var_pop": "sum x and x*x, and divide when asking",
	"variance": "sum x and x*x, and divide when asking", "corr": "", "covar_pop": "", "covar_samp": "", "skewness": "", "kurtosis": "", "entropy": "",
	"bit_and": "", "bit_or": "", "bit_xor": "", "fsum": "write sum(x), which is exact", "kahan_sum": "write sum(x), which is exact", "sumkahan": "write sum(x), which is exact", "favg": "write avg(x), which is exact",
	"reservoir_quantile": "write approx_quantile(x, q)", "mad": "", "regr_slope": "", "bitstring_agg": "", "arg_min_null": "write arg_min(x, t)", "arg_max_null": "write arg_max(x, t)",
	"count_if": "write count(*) FILTER (WHERE condition)", "countif": "write count(*) FILTER (WHERE condition)",
}

var functionHint = map[string]string{
	"regexp_matches": "write LIKE, starts_with or contains", "regexp_full_match": "write LIKE, starts_with or contains", "like_escape": "write starts_with, ends_with or contains",
	"not_like_escape": "write starts_with, ends_with or contains", "ilike_escape": "write starts_with, ends_with or contains", "timezone": "event times are kept as UTC, or as written; shift them by + INTERVAL '1 hour'",
	"format": "write x || y", "printf": "write x || y",
	"date_diff": "subtract dates", "datediff": "subtract dates", "age": "subtract dates", "strptime": "write CAST(x AS TIMESTAMP), or give the field a logical type and a format in the schema",
}

func isText(e *expr) bool { return e.typ == typeString || e.untyped() }

// text makes e a string as functions over text take it; false when DuckDB's
// implicit casts are not ours.
func text(args ...*expr) bool {
	for i, a := range args {
		if !isText(a) {
			return false
		}
		args[i] = cast(a, typeString, false)
	}
	return true
}

// call types a scalar function; nil without an error means not supported.
func (b *binder) call(n *astNode, name string, args []*expr) (*expr, error) {
	at := n.place()
	switch name {
	case "+", "-", "*", "/", "//", "%":
		return b.arithmetic(n, name, args)
	case "upper", "lower":
		if len(args) == 1 && text(args...) {
			return apply(name, typeString, at, args...), nil
		}
	case "trim", "ltrim", "rtrim":
		if len(args) <= 2 && text(args...) && (len(args) == 1 || args[1].constant()) {
			return apply(name, typeString, at, args...), nil
		}
	case "replace":
		if len(args) == 3 && text(args...) && args[1].constant() && args[2].constant() {
			return apply(name, typeString, at, args...), nil
		}
	case "length", "strlen":
		if len(args) == 1 && text(args...) {
			return apply(name, typeInt64, at, args...), nil
		}
	case "substr", "left", "right":
		if len(args) >= 2 && len(args) <= 3 && text(args[:1]...) {
			for i, a := range args[1:] {
				if !isInteger(a.typ) || !a.constant() {
					return nil, b.refuse(n, "write constants for its places", "%s with places that vary is not supported in a view", name)
				}
				args[i+1] = cast(a, typeInt64, false)
			}
			// Beyond the start of a string DuckDB answers one way when it knows
			// that the column is ASCII, and another when it does not.
			if len(args) == 3 && name == "substr" && (args[1].value.Ints[0] < 0 || args[2].value.Ints[0] < 0) {
				return nil, b.refuse(n, "write right(x, length) or left(x, length)", "substr from the end with a length is not supported in a view")
			}
			return apply(name, typeString, at, args...), nil
		}
	case "starts_with", "ends_with", "contains":
		if len(args) == 2 && text(args...) {
			return apply(name, typeBool, at, args...), nil
		}
	case "~~", "!~~", "~~*", "!~~*":
		if len(args) == 2 && text(args...) && args[1].constant() {
			e := apply(strings.TrimPrefix(name, "!"), typeBool, at, args...)
			if name[0] == '!' {
				e = apply("not", typeBool, at, e)
			}
			return e, nil
		}
	case "||", "concat":
		return b.concat(n, name, args)
	case "abs", "round", "floor", "ceil":
		return b.rounding(n, name, args)
	case "greatest", "least":
		args, t, err := b.alike(n, args...)
		if err != nil || t.Kind == 0 {
			return nil, err
		}
		e := args[0]
		for _, a := range args[1:] {
			null := e.null && a.null
			e = apply(name, t, at, e, a)
			e.null = null && !(e.constant() && !e.isNull())
		}
		return e, nil
	case "nullif":
		if len(args) == 2 {
			if args[0].untyped() {
				return args[0], nil
			}
			equal, err := b.compare(n, "=", args[0], args[1])
			if err != nil {
				return nil, err
			}
			e := apply("case", args[0].typ, at, equal, nullOf(args[0].typ, at), args[0])
			e.null = true
			return e, nil
		}
	case "date_trunc", "date_part", "strftime", "time_bucket", "epoch", "epoch_ms", "epoch_us", "last_day", "dayname", "monthname", "make_date":
		return b.timeFunction(n, name, args)
	case "isnan":
		if len(args) == 1 && args[0].typ == typeFloat {
			return apply(name, typeBool, at, args...), nil
		}
	}
	if parts[name] && len(args) == 1 && isTime(args[0].typ) {
		return b.timeFunction(n, "date_part", []*expr{stringOf(name, at), args[0]})
	}
	return nil, nil
}

func (b *binder) arithmetic(n *astNode, op string, args []*expr) (*expr, error) {
	at := n.place()
	for i, a := range args {
		if a.untyped() {
			return nil, b.refuse(n, "give the NULL a type with CAST", "arithmetic with a bare NULL is not supported in a view")
		}
		if a.op == opInterval {
			return b.shift(n, op, args, i)
		}
	}
	if len(args) == 1 {
		switch {
		case !isNumber(args[0].typ):
			return nil, nil
		case op == "+":
			return args[0], nil
		}
		return apply("negate", args[0].typ, at, args[0]), nil
	}
	if len(args) != 2 {
		return nil, nil
	}
	x, y := args[0], args[1]
	if isTime(x.typ) || isTime(y.typ) {
		return b.dates(n, op, x, y)
	}
	if !isNumber(x.typ) || !isNumber(y.typ) {
		return nil, b.refuse(n, "write a CAST", "%v %s %v is not supported in a view", x.typ, op, y.typ)
	}
	decimal := x.typ.Kind == event.Decimal || y.typ.Kind == event.Decimal
	switch {
	case x.typ == typeFloat || y.typ == typeFloat || op == "/" || op == "//" && decimal:
		// Over doubles DuckDB's // does not round; by zero it is null.
		e := apply(op, typeFloat, at, cast(x, typeFloat, false), cast(y, typeFloat, false))
		e.null = e.null || op == "//" && mayBeZero(y)
		return e, nil
	case !decimal:
		t := x.typ
		if integerRank(y.typ) > integerRank(t) {
			t = y.typ
		}
		e := apply(op, t, at, cast(x, t, false), cast(y, t, false))
		if op == "//" || op == "%" {
			e.null = e.null || mayBeZero(y)
		}
		return e, nil
	case op == "*":
		t, checked, ok := productType(x.typ, y.typ)
		if !ok {
			return nil, b.refuse(n, "cast one side to fewer digits", "the product of %v and %v has too many digits behind the point", x.typ, y.typ)
		}
		return checkedDecimal(op, t, checked, at, sameStorage(x, t), sameStorage(y, t)), nil
	case op == "%":
		xw, xs, _ := decimalDigits(x.typ)
		yw, ys, _ := decimalDigits(y.typ)
		scale := max(xs, ys)
		if scale+max(xw-xs, yw-ys) > 38 {
			// Too long for a decimal: DuckDB divides doubles, but by zero is null.
			e := &expr{op: "%", typ: typeFloat, args: []*expr{cast(x, typeFloat, false), cast(y, typeFloat, false)}, number: [3]int64{1}, null: true, at: at}
			return fold(e), nil
		}
		t := typeDecimal(scale+max(xw-xs, yw-ys), scale)
		e := apply(op, t, at, cast(x, t, false), cast(y, t, false))
		e.null = e.null || mayBeZero(y)
		return e, nil
	}
	t, checked := sumType(x.typ, y.typ)
	return checkedDecimal(op, t, checked, at, sameScale(x, t), sameScale(y, t)), nil
}

// mayBeZero reports whether dividing by y may give null.
func mayBeZero(y *expr) bool {
	return !y.constant() || y.isNull() || cast(y, typeBool, false).value.Ints[0] == 0
}

// checkedDecimal marks whether the result may have too many digits.
func checkedDecimal(op string, t event.Type, checked bool, at int, x, y *expr) *expr {
	e := &expr{op: op, typ: t, args: []*expr{x, y}, null: x.null || y.null, at: at}
	if checked {
		e.number[0] = 1
	}
	return fold(e)
}

// sameStorage casts factor x so that its values lie where those of t do.
func sameStorage(x *expr, t event.Type) *expr {
	width, scale, _ := decimalDigits(x.typ)
	if x.typ.Kind == event.Decimal && x.typ.Storage() == t.Storage() {
		return x
	}
	if t.Storage() == event.InWide {
		width = max(width, event.MaxNarrow+1)
	}
	return cast(x, typeDecimal(width, scale), false)
}

// sameScale casts summand x to the scale and storage of t.
func sameScale(x *expr, t event.Type) *expr {
	if x.typ.Kind == event.Decimal && x.typ.Scale == t.Scale && x.typ.Storage() == t.Storage() {
		return x
	}
	return cast(x, t, false)
}

func (b *binder) concat(n *astNode, name string, args []*expr) (*expr, error) {
	for i, a := range args {
		if a.op == opInterval || !castable(a, typeString) {
			return nil, b.refuse(n, "", "%s of %v is not supported in a view", name, a.typ)
		}
		args[i] = cast(a, typeString, false)
	}
	e := apply(name, typeString, n.place(), args...)
	if name == "concat" {
		e.null = false
	}
	return e, nil
}

// rounding types abs, round, floor and ceil.
func (b *binder) rounding(n *astNode, name string, args []*expr) (*expr, error) {
	x, at := args[0], n.place()
	if !isNumber(x.typ) {
		return nil, nil
	}
	places := int64(0)
	if len(args) == 2 {
		if !args[1].constant() || args[1].isNull() || args[1].typ != typeInt32 {
			return nil, b.refuse(n, "write the number of digits", "round to a number of digits that varies is not supported in a view")
		}
		places = args[1].value.Ints[0]
	}
	t := x.typ
	switch {
	case name == "abs":
		return apply("abs", t, at, x), nil
	case isInteger(t) && name != "round":
		return apply(name, typeFloat, at, cast(x, typeFloat, false)), nil
	case isInteger(t):
		if places < 0 {
			return nil, b.refuse(n, "", "round to negative digits is not supported in a view")
		}
		return x, nil
	case t.Kind == event.Decimal:
		if places < 0 {
			return nil, b.refuse(n, "", "round to negative digits is not supported in a view")
		}
		if places >= int64(t.Scale) && (len(args) == 2 || t.Scale == 0) {
			return x, nil
		}
		e := &expr{op: name, typ: typeDecimal(t.Precision, uint8(places)), args: []*expr{x}, number: [3]int64{places}, null: x.null, at: at}
		return fold(e), nil
	}
	return fold(&expr{op: name, typ: t, args: []*expr{x}, number: [3]int64{places, int64(len(args))}, null: x.null, at: at}), nil
}
