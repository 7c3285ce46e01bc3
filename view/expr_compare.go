package view

import (
	"bytes"
	"cmp"
	"math"

	"anabranch/event"
)

// compareFloats orders as DuckDB does: NaN is equal to itself and above all.
func compareFloats(a, b float64) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	case a == b:
		return 0
	}
	an, bn := math.IsNaN(a), math.IsNaN(b)
	switch {
	case an && bn:
		return 0
	case an:
		return 1
	}
	return -1
}

// compareRows compares row i of two columns of one type, both not null.
func compareRows(x, y *vec, i int) int {
	switch x.Type.Storage() {
	case event.InInts:
		return cmp.Compare(x.Ints[i], y.Ints[i])
	case event.InFloats:
		return compareFloats(x.Floats[i], y.Floats[i])
	case event.InWide:
		return x.Wide[i].Compare(y.Wide[i])
	}
	return bytes.Compare(x.Dict.Value(x.Codes[i]), y.Dict.Value(y.Codes[i]))
}

// compareClosure makes the comparisons.
func (b *builder) compareClosure(e *expr) closure {
	x, y := e.args[0], e.args[1]
	switch {
	case e.op == "distinct" || e.op == "same":
		return b.distinctClosure(e)
	case x.typ.Storage() == event.InCodes && y.constant() && !y.isNull():
		want := bytes.Clone(y.value.Bytes(0))
		op := e.op
		return b.overValues(x, func(v []byte) int64 { return holds(op, bytes.Compare(v, want)) })
	}
	cx, cy := b.build(x), b.build(y)
	r := &result{}
	op := e.op
	return func(f *frame) *vec {
		x, y := cx(f), cy(f)
		out := r.ints(typeBool, f.n)
		r.inherit(f.n, x, y)
		switch x.Type.Storage() {
		case event.InInts:
			compareInts(op, out, x.Ints, y.Ints)
		case event.InFloats:
			for i := range out {
				out[i] = holds(op, compareFloats(x.Floats[i], y.Floats[i]))
			}
		case event.InWide:
			for i := range out {
				out[i] = holds(op, x.Wide[i].Compare(y.Wide[i]))
			}
		case event.InCodes:
			for i := range out {
				if r.Valid.Get(i) && !r.hasFailed(i) {
					out[i] = holds(op, compareRows(x, y, i))
				} else {
					out[i] = 0
				}
			}
		}
		return &r.vec
	}
}

// holds reports as 0 or 1 whether a comparison with this outcome is true.
func holds(op string, c int) int64 {
	var is bool
	switch op {
	case "=":
		is = c == 0
	case "<>":
		is = c != 0
	case "<":
		is = c < 0
	case "<=":
		is = c <= 0
	case ">":
		is = c > 0
	case ">=":
		is = c >= 0
	}
	return bit(is)
}

func bit(b bool) int64 {
	if b {
		return 1
	}
	return 0
}

func compareInts(op string, out, x, y []int64) {
	x, y = x[:len(out)], y[:len(out)]
	switch op {
	case "=":
		for i := range out {
			out[i] = bit(x[i] == y[i])
		}
	case "<>":
		for i := range out {
			out[i] = bit(x[i] != y[i])
		}
	case "<":
		for i := range out {
			out[i] = bit(x[i] < y[i])
		}
	case "<=":
		for i := range out {
			out[i] = bit(x[i] <= y[i])
		}
	case ">":
		for i := range out {
			out[i] = bit(x[i] > y[i])
		}
	case ">=":
		for i := range out {
			out[i] = bit(x[i] >= y[i])
		}
	}
}

// distinctClosure makes IS [NOT] DISTINCT FROM, which is never null.
func (b *builder) distinctClosure(e *expr) closure {
	args := b.buildAll(e.args)
	same := bit(e.op == "same")
	r := &result{}
	return func(f *frame) *vec {
		x, y := args[0](f), args[1](f)
		out := r.ints(typeBool, f.n)
		r.inherit(f.n, x, y)
		r.Valid = nil
		for i := range out {
			xv, yv := x.Valid.Get(i), y.Valid.Get(i)
			out[i] = 1 - same
			if xv == yv && (!xv || r.hasFailed(i) || compareRows(x, y, i) == 0) {
				out[i] = same
			}
		}
		return &r.vec
	}
}

// inClosure makes x IN (list): a set of constants, else comparisons in turn.
func (b *builder) inClosure(e *expr) closure {
	x, list := e.args[0], e.args[1:]
	constant, null := true, false
	for _, l := range list {
		constant = constant && l.constant()
		null = null || l.constant() && l.isNull()
	}
	if !constant || null || x.typ.Storage() == event.InWide || x.typ.Storage() == event.InFloats {
		any := &expr{op: "=", typ: typeBool, args: []*expr{x, list[0]}, at: e.at}
		for _, l := range list[1:] {
			any = &expr{op: "or", typ: typeBool, args: []*expr{any, {op: "=", typ: typeBool, args: []*expr{x, l}, at: e.at}}, at: e.at}
		}
		return b.build(any)
	}
	if x.typ.Storage() == event.InCodes {
		set := map[string]bool{}
		for _, l := range list {
			set[string(l.value.Bytes(0))] = true
		}
		return b.overValues(x, func(v []byte) int64 { return bit(set[string(v)]) })
	}
	set := map[int64]bool{}
	var few []int64
	for _, l := range list {
		set[l.value.Ints[0]] = true
		few = append(few, l.value.Ints[0])
	}
	arg := b.build(x)
	r := &result{}
	return func(f *frame) *vec {
		x := arg(f)
		out := r.ints(typeBool, f.n)
		r.inherit(f.n, x)
		if len(few) > 8 {
			for i, v := range x.Ints[:f.n] {
				out[i] = bit(set[v])
			}
			return &r.vec
		}
		for i, v := range x.Ints[:f.n] {
			out[i] = 0
			for _, w := range few {
				out[i] |= bit(v == w)
			}
		}
		return &r.vec
	}
}

func (b *builder) isNaNClosure(e *expr) closure {
	arg := b.build(e.args[0])
	r := &result{}
	return func(f *frame) *vec {
		x := arg(f)
		out := r.ints(typeBool, f.n)
		r.inherit(f.n, x)
		for i, v := range x.Floats[:f.n] {
			out[i] = bit(math.IsNaN(v))
		}
		return &r.vec
	}
}
