package view

import "anabranch/event"

// DuckDB's rules of which type the result of an operation has.

// decimalDigits returns t as a decimal: digits in all and behind the point.
func decimalDigits(t event.Type) (width, scale uint8, ok bool) {
	switch t.Kind {
	case event.Int32:
		return 10, 0, true
	case event.Int64:
		return 19, 0, true
	case event.Huge:
		return 38, 0, true
	case event.Decimal:
		return t.Precision, t.Scale, true
	}
	return 0, 0, false
}

func isInteger(t event.Type) bool {
	return t.Kind == event.Int32 || t.Kind == event.Int64 || t.Kind == event.Huge
}

func isNumber(t event.Type) bool {
	return isInteger(t) || t.Kind == event.Decimal || t.Kind == event.Float64
}

func isTime(t event.Type) bool { return t.Kind == event.Timestamp || t.Kind == event.Date }

// integerRank orders the integer types by what they hold.
func integerRank(t event.Type) int {
	switch t.Kind {
	case event.Bool:
		return 0
	case event.Int32:
		return 1
	case event.Int64:
		return 2
	}
	return 3
}

// common returns the type that holds values of both a and b, as for CASE,
// COALESCE and comparisons; ok is false when there is none here.
func common(a, b *expr) (event.Type, bool) {
	switch {
	case a.untyped():
		return b.typ, true
	case b.untyped(), a.typ == b.typ:
		return a.typ, true
	case a.literal() && b.typ.Kind != event.Bytes:
		return b.typ, true
	case b.literal() && a.typ.Kind != event.Bytes:
		return a.typ, true
	}
	return commonType(a.typ, b.typ)
}

func commonType(x, y event.Type) (event.Type, bool) {
	switch {
	case x == y:
		return x, true
	case isTime(x) && isTime(y):
		return typeTimestamp, true
	case x.Kind == event.Bool && isInteger(y):
		return y, true
	case y.Kind == event.Bool && isInteger(x):
		return x, true
	case !isNumber(x) || !isNumber(y):
		return event.Type{}, false
	case x.Kind == event.Float64 || y.Kind == event.Float64:
		return typeFloat, true
	case x.Kind == event.Decimal && y.Kind == event.Decimal:
		before, scale := max(x.Precision-x.Scale, y.Precision-y.Scale), max(x.Scale, y.Scale)
		if before+scale > 38 {
			scale = 38 - before
		}
		return typeDecimal(before+scale, scale), true
	case x.Kind == event.Decimal:
		return withInteger(x, y), true
	case y.Kind == event.Decimal:
		return withInteger(y, x), true
	case integerRank(x) > integerRank(y):
		return x, true
	}
	return y, true
}

// withInteger widens decimal d to hold integer i; past 38 digits a value that
// does not fit is an error of its row.
func withInteger(d, i event.Type) event.Type {
	width, _, _ := decimalDigits(i)
	if width <= d.Precision-d.Scale {
		return d
	}
	return typeDecimal(min(width+d.Scale, 38), d.Scale)
}

// sumType returns the type of a+b or a-b over decimals, and whether a sum can
// be too long for it.
func sumType(a, b event.Type) (t event.Type, checked bool) {
	aw, as, _ := decimalDigits(a)
	bw, bs, _ := decimalDigits(b)
	scale := max(as, bs)
	width := max(scale+max(aw-as, bw-bs), aw, bw) + 1
	if width > event.MaxNarrow && max(aw, bw) <= event.MaxNarrow {
		return typeDecimal(event.MaxNarrow, scale), true
	}
	if width > 38 {
		return typeDecimal(38, scale), true
	}
	return typeDecimal(width, scale), false
}

// productType returns the type of a*b over decimals, and whether a product can
// be too long for it; ok is false when its scale is.
func productType(a, b event.Type) (t event.Type, checked, ok bool) {
	aw, as, _ := decimalDigits(a)
	bw, bs, _ := decimalDigits(b)
	width, scale := aw+bw, as+bs
	switch {
	case scale > 38:
		return t, false, false
	case width > event.MaxNarrow && max(aw, bw) <= event.MaxNarrow && scale < event.MaxNarrow:
		return typeDecimal(event.MaxNarrow, scale), true, true
	case width > 38:
		return typeDecimal(38, scale), true, true
	}
	return typeDecimal(width, scale), false, true
}
