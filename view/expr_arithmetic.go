package view

import (
	"math"

	"anabranch/event"
	"anabranch/fault"
)

func overflow(op string, t event.Type) error {
	return fault.New(fault.Invalid, "overflow: the result of %s does not fit %v; cast its arguments to a wider type", op, t)
}

func (b *builder) arithmeticClosure(e *expr) closure {
	args := b.buildAll(e.args)
	r := &result{}
	why := overflow(e.op, e.typ)
	checked := e.number[0] == 1
	switch {
	case e.typ == typeFloat:
		return func(f *frame) *vec {
			x, y := args[0](f), args[1](f)
			out := r.floats(e.typ, f.n)
			r.inherit(f.n, x, y)
			floatArithmetic(e.op, out, x.Floats[:f.n], y.Floats[:f.n])
			if e.op == "//" || e.op == "%" && checked {
				for i, d := range y.Floats[:f.n] {
					if d == 0 {
						r.null(i, f.n)
					}
				}
			}
			return &r.vec
		}
	case e.op == "//" || e.op == "%":
		return b.divisionClosure(e, args)
	case e.typ.Storage() == event.InWide:
		return func(f *frame) *vec {
			x, y := args[0](f), args[1](f)
			out := r.wides(e.typ, f.n)
			r.inherit(f.n, x, y)
			for i := range out {
				v, ok := wideArithmetic(e.op, x.Wide[i], y.Wide[i])
				if !ok || checked && !within128(v, 38) {
					r.fail(i, f.n, why)
				}
				out[i] = v
			}
			return &r.vec
		}
	}
	low, high := limits(e, checked)
	return func(f *frame) *vec {
		x, y := args[0](f), args[1](f)
		out := r.ints(e.typ, f.n)
		r.inherit(f.n, x, y)
		xs, ys := x.Ints[:f.n], y.Ints[:f.n]
		if intArithmetic(e.op, out, xs, ys, low, high) {
			return &r.vec
		}
		// Some row is too large, perhaps a null one.
		for i := range out {
			if _, ok := intOnce(e.op, xs[i], ys[i], low, high); !ok {
				r.fail(i, f.n, why)
			}
		}
		return &r.vec
	}
}

// limits returns the smallest and largest value of e, as integers.
func limits(e *expr, checked bool) (low, high int64) {
	switch {
	case e.typ.Kind == event.Int32 || e.typ.Kind == event.Date:
		return math.MinInt32, math.MaxInt32
	case checked:
		p := powers[event.MaxNarrow].Int64()
		return -p + 1, p - 1
	}
	return math.MinInt64, math.MaxInt64
}

// intOnce computes one row and reports whether it fits.
func intOnce(op string, x, y, low, high int64) (int64, bool) {
	var v int64
	ok := true
	switch op {
	case "+", "+ days":
		v = x + y
		ok = (x^v)&(y^v) >= 0
	case "-", "- days":
		v = x - y
		ok = (x^y)&(x^v) >= 0
	case "*":
		w := event.MulInt64(x, y)
		v, ok = w.Int64(), w.IsInt64()
	}
	return v, ok && v >= low && v <= high
}

// intArithmetic computes all rows and reports whether all of them fit.
func intArithmetic(op string, out, x, y []int64, low, high int64) bool {
	x, y = x[:len(out)], y[:len(out)]
	fits := true
	switch op {
	case "+", "+ days":
		for i := range out {
			v := x[i] + y[i]
			out[i] = v
			fits = fits && (x[i]^v)&(y[i]^v) >= 0 && v >= low && v <= high
		}
	case "-", "- days":
		for i := range out {
			v := x[i] - y[i]
			out[i] = v
			fits = fits && (x[i]^y[i])&(x[i]^v) >= 0 && v >= low && v <= high
		}
	default:
		for i := range out {
			w := event.MulInt64(x[i], y[i])
			v := w.Int64()
			out[i] = v
			fits = fits && w.Hi == v>>63 && v >= low && v <= high
		}
	}
	return fits
}

func floatArithmetic(op string, out, x, y []float64) {
	x, y = x[:len(out)], y[:len(out)]
	switch op {
	case "+":
		for i := range out {
			out[i] = x[i] + y[i]
		}
	case "-":
		for i := range out {
			out[i] = x[i] - y[i]
		}
	case "*":
		for i := range out {
			out[i] = x[i] * y[i]
		}
	case "/", "//":
		for i := range out {
			out[i] = x[i] / y[i]
		}
	case "%":
		for i := range out {
			out[i] = math.Mod(x[i], y[i])
		}
	}
}

func wideArithmetic(op string, x, y event.Int128) (event.Int128, bool) {
	switch op {
	case "+":
		return x.Add(y)
	case "-":
		return sub128(x, y)
	}
	return mul128(x, y)
}

// divisionClosure makes // and % of integers and decimals; by zero is null.
func (b *builder) divisionClosure(e *expr, args []closure) closure {
	r := &result{}
	rest := e.op == "%"
	why := overflow(e.op, e.typ)
	if e.typ.Storage() == event.InWide {
		return func(f *frame) *vec {
			x, y := args[0](f), args[1](f)
			out := r.wides(e.typ, f.n)
			r.inherit(f.n, x, y)
			for i := range out {
				switch {
				case y.Wide[i] == event.Int128{}:
					r.null(i, f.n)
				case rest:
					out[i] = rem128(x.Wide[i], y.Wide[i])
				default:
					v, ok := quo128(x.Wide[i], y.Wide[i])
					if out[i] = v; !ok {
						r.fail(i, f.n, why)
					}
				}
			}
			return &r.vec
		}
	}
	low, _ := limits(e, false)
	return func(f *frame) *vec {
		x, y := args[0](f), args[1](f)
		out := r.ints(e.typ, f.n)
		r.inherit(f.n, x, y)
		for i := range out {
			switch a, d := x.Ints[i], y.Ints[i]; {
			case d == 0:
				r.null(i, f.n)
			case d == -1 && a == low:
				r.fail(i, f.n, why)
			case rest:
				out[i] = a % d
			default:
				out[i] = a / d
			}
		}
		return &r.vec
	}
}

// signClosure makes the negative and the absolute value.
func (b *builder) signClosure(e *expr) closure {
	arg := b.build(e.args[0])
	r := &result{}
	why := overflow(e.op, e.typ)
	abs := e.op == "abs"
	switch e.typ.Storage() {
	case event.InFloats:
		return func(f *frame) *vec {
			x := arg(f)
			out := r.floats(e.typ, f.n)
			r.inherit(f.n, x)
			for i, v := range x.Floats[:f.n] {
				if out[i] = -v; abs {
					out[i] = math.Abs(v)
				}
			}
			return &r.vec
		}
	case event.InWide:
		return func(f *frame) *vec {
			x := arg(f)
			out := r.wides(e.typ, f.n)
			r.inherit(f.n, x)
			for i, v := range x.Wide[:f.n] {
				ok := true
				if !abs || v.Hi < 0 {
					v, ok = v.Neg()
				}
				if out[i] = v; !ok {
					r.fail(i, f.n, why)
				}
			}
			return &r.vec
		}
	}
	low, _ := limits(e, false)
	return func(f *frame) *vec {
		x := arg(f)
		out := r.ints(e.typ, f.n)
		r.inherit(f.n, x)
		for i, v := range x.Ints[:f.n] {
			if v == low {
				r.fail(i, f.n, why)
			}
			if !abs || v < 0 {
				v = -v
			}
			out[i] = v
		}
		return &r.vec
	}
}

// roundClosure makes round, floor and ceil of decimals and doubles.
func (b *builder) roundClosure(e *expr) closure {
	arg := b.build(e.args[0])
	r := &result{}
	from := e.args[0].typ
	if from.Kind == event.Float64 {
		return func(f *frame) *vec {
			x := arg(f)
			out := r.floats(e.typ, f.n)
			r.inherit(f.n, x)
			for i, v := range x.Floats[:f.n] {
				out[i] = roundFloat(e, v)
			}
			return &r.vec
		}
	}
	drop := int(from.Scale) - int(e.typ.Scale)
	return func(f *frame) *vec {
		x := arg(f)
		r.inherit(f.n, x)
		if e.typ.Storage() == event.InWide {
			out := r.wides(e.typ, f.n)
			for i, v := range x.Wide[:f.n] {
				out[i] = roundWide(e.op, v, drop)
			}
			return &r.vec
		}
		out := r.ints(e.typ, f.n)
		for i, v := range x.Ints[:f.n] {
			out[i] = roundWide(e.op, event.Int128Of(v), drop).Int64()
		}
		return &r.vec
	}
}

func roundFloat(e *expr, v float64) float64 {
	switch e.op {
	case "floor":
		return math.Floor(v)
	case "ceil":
		return math.Ceil(v)
	}
	if e.number[1] < 2 {
		return math.Round(v)
	}
	var rounded float64
	if places := e.number[0]; places < 0 {
		by := math.Pow(10, float64(-places))
		if rounded = math.Round(v/by) * by; math.IsInf(rounded, 0) || math.IsNaN(rounded) {
			return 0
		}
	} else {
		by := math.Pow(10, float64(places))
		if rounded = math.Round(v*by) / by; math.IsInf(rounded, 0) || math.IsNaN(rounded) {
			return v
		}
	}
	return rounded
}

func roundWide(op string, v event.Int128, drop int) event.Int128 {
	if op == "round" {
		return rescale128(v, drop)
	}
	q, _ := quo128(v, powers[drop])
	r := rem128(v, powers[drop])
	switch {
	case op == "floor" && r.Hi < 0:
		q, _ = q.Add(event.Int128Of(-1))
	case op == "ceil" && r.Hi >= 0 && r != event.Int128{}:
		q, _ = q.Add(event.Int128Of(1))
	}
	return q
}
