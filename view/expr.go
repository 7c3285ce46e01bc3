package view

import (
	"fmt"
	"strings"

	"anabranch/event"
)

// expr is one typed expression. Its arguments already have the types that its
// op works on: casts that SQL leaves out are written here.
type expr struct {
	op     string // "column", "constant", "cast", "aggregate", or what it computes
	typ    event.Type
	args   []*expr
	column int           // op "column": its place in the batch
	value  *event.Column // op "constant": one row
	text   string        // a fixed parameter: strftime's format, a unit
	number [3]int64      // fixed parameters in numbers
	agg    *aggregated   // op "aggregate"
	null   bool          // may be null
	at     int           // place in the text, -1 = unknown
}

// aggregated is an aggregate in a SELECT list.
type aggregated struct {
	fn              aggFunc
	arg, by, filter *expr // nil where there is none
	quantile        float64
}

// interval is a constant INTERVAL; it lives only at compile time.
type interval struct{ months, days, micros int64 }

// opInterval is the op of a constant interval (number holds it), which is no
// value of its own; its typ is zero, as is that of an untyped NULL.
const opInterval = "interval"

var (
	typeBool      = event.Type{Kind: event.Bool}
	typeInt32     = event.Type{Kind: event.Int32}
	typeInt64     = event.Type{Kind: event.Int64}
	typeHuge      = event.Type{Kind: event.Huge}
	typeFloat     = event.Type{Kind: event.Float64}
	typeTimestamp = event.Type{Kind: event.Timestamp}
	typeDate      = event.Type{Kind: event.Date}
	typeString    = event.Type{Kind: event.String}
	typeBytes     = event.Type{Kind: event.Bytes}
)

func typeDecimal(precision, scale uint8) event.Type {
	return event.Type{Kind: event.Decimal, Precision: precision, Scale: scale}
}

// untyped reports whether e is a NULL without a type.
func (e *expr) untyped() bool { return e.op == "constant" && e.typ.Kind == 0 }

// literal reports whether e is a string constant, which takes the type of
// what it is compared or combined with.
func (e *expr) literal() bool { return e.op == "constant" && e.typ == typeString }

func (e *expr) constant() bool { return e.op == "constant" }

// isNull reports whether e is a constant null.
func (e *expr) isNull() bool { return e.constant() && !e.value.Valid.Get(0) }

// key renders e so that equal expressions, and only they, render alike.
func (e *expr) key() string {
	var b strings.Builder
	e.render(&b)
	return b.String()
}

func (e *expr) render(b *strings.Builder) {
	if e == nil {
		b.WriteByte('-')
		return
	}
	fmt.Fprintf(b, "%s:%v", e.op, e.typ)
	switch e.op {
	case "column":
		fmt.Fprintf(b, "#%d", e.column)
		return
	case "constant":
		if e.isNull() {
			b.WriteString("=null")
			return
		}
		switch e.typ.Storage() {
		case event.InInts:
			fmt.Fprintf(b, "=%d", e.value.Ints[0])
		case event.InFloats:
			fmt.Fprintf(b, "=%x", e.value.Floats[0])
		case event.InWide:
			fmt.Fprintf(b, "=%v", e.value.Wide[0])
		case event.InCodes:
			fmt.Fprintf(b, "=%q", e.value.Bytes(0))
		}
		return
	case "aggregate":
		fmt.Fprintf(b, "%d,%g(", e.agg.fn, e.agg.quantile)
		e.agg.arg.render(b)
		b.WriteByte(',')
		e.agg.by.render(b)
		b.WriteByte(',')
		e.agg.filter.render(b)
		b.WriteByte(')')
		return
	}
	if e.text != "" || e.number != [3]int64{} {
		fmt.Fprintf(b, "%q%v", e.text, e.number)
	}
	b.WriteByte('(')
	for i, a := range e.args {
		if i > 0 {
			b.WriteByte(',')
		}
		a.render(b)
	}
	b.WriteByte(')')
}

// walk calls fn for e and everything below it, aggregates' arguments too.
func (e *expr) walk(fn func(*expr)) {
	if e == nil {
		return
	}
	fn(e)
	for _, a := range e.args {
		a.walk(fn)
	}
	if e.agg != nil {
		e.agg.arg.walk(fn)
		e.agg.by.walk(fn)
		e.agg.filter.walk(fn)
	}
}

// nullOf returns a constant null of type t.
func nullOf(t event.Type, at int) *expr {
	c := event.Column{Type: t, Valid: event.NewBitmap(1)}
	switch t.Storage() {
	case event.InInts:
		c.Ints = []int64{0}
	case event.InFloats:
		c.Floats = []float64{0}
	case event.InWide:
		c.Wide = []event.Int128{{}}
	case event.InCodes:
		c.Dict = &event.Dict{}
		c.Codes = []uint32{c.Dict.Append(nil)}
	}
	return &expr{op: "constant", typ: t, value: &c, null: true, at: at}
}

func stringOf(s string, at int) *expr {
	d := &event.Dict{}
	return &expr{op: "constant", typ: typeString, value: &event.Column{Type: typeString, Codes: []uint32{d.Append([]byte(s))}, Dict: d}, at: at}
}

// apply makes the expression op(args) of type t and computes it at once when
// all arguments are constant.
func apply(op string, t event.Type, at int, args ...*expr) *expr {
	e := &expr{op: op, typ: t, args: args, at: at}
	for _, a := range args {
		e.null = e.null || a.null
	}
	return fold(e)
}

// fold computes e when its arguments are constant; an expression that fails
// stays as it is and fails when rows come.
func fold(e *expr) *expr {
	if len(e.args) == 0 {
		return e
	}
	for _, a := range e.args {
		if !a.constant() || a.untyped() {
			return e
		}
	}
	v := newBuilder().build(e)(&frame{b: &event.Batch{N: 1}, n: 1, seq: 1})
	if v.failed != nil && v.failed.Get(0) {
		return e
	}
	c := v.Column.Gather([]uint32{0})
	return &expr{op: "constant", typ: e.typ, value: &c, null: !c.Valid.Get(0), at: e.at}
}

// constantsHold refuses what can be computed from constants alone but fails,
// such as Quantity > 'x'.
func (d *duck) constantsHold(e *expr) error {
	var err error
	e.walk(func(e *expr) {
		if err != nil || len(e.args) == 0 {
			return
		}
		for _, a := range e.args {
			if !a.constant() || a.untyped() {
				return
			}
		}
		if v := newBuilder().build(e)(&frame{b: &event.Batch{N: 1}, n: 1, seq: 1}); v.failed != nil && v.failed.Get(0) {
			err = d.problem(e.at, v.why.Error(), "")
		}
	})
	return err
}

// cast makes e of type t, as CAST(e AS t) does; to try is TRY_CAST.
func cast(e *expr, t event.Type, try bool) *expr {
	switch {
	case e.typ == t:
		return e
	case e.untyped():
		return nullOf(t, e.at)
	}
	c := &expr{op: "cast", typ: t, args: []*expr{e}, null: e.null, at: e.at}
	if try {
		c.op, c.null = "try_cast", true
	}
	return fold(c)
}
