package view

import (
	"math"

	"anabranch/event"
	"anabranch/fault"
)

// castClosure makes CAST and TRY_CAST: a value that does not fit fails, or is
// null.
func (b *builder) castClosure(e *expr) closure {
	from, to := e.args[0].typ, e.typ
	switch {
	case from.Kind == event.String:
		return b.parseClosure(e)
	case to.Kind == event.String:
		return b.formatClosure(e)
	case isTime(from):
		return b.castTimeClosure(e)
	}
	arg := b.build(e.args[0])
	r := &result{}
	why := fault.New(fault.Invalid, "a value of type %v does not fit %v", from, to)
	try := e.op == "try_cast"
	bad := func(i, n int) {
		if try {
			r.null(i, n)
		} else {
			r.fail(i, n, why)
		}
	}
	read := unscaled(from, to)
	switch to.Storage() {
	case event.InFloats:
		return func(f *frame) *vec {
			x := arg(f)
			out := r.floats(to, f.n)
			r.inherit(f.n, x)
			switch {
			case from.Kind == event.Decimal && from.Storage() == event.InInts:
				for i, v := range x.Ints[:f.n] {
					out[i] = decimalFloat(event.Int128Of(v), from.Scale)
				}
			case from.Storage() == event.InInts:
				for i, v := range x.Ints[:f.n] {
					out[i] = float64(v)
				}
			case from.Storage() == event.InFloats:
				copy(out, x.Floats)
			default:
				for i, v := range x.Wide[:f.n] {
					out[i] = decimalFloat(v, from.Scale)
				}
			}
			return &r.vec
		}
	case event.InWide:
		return func(f *frame) *vec {
			x := arg(f)
			out := r.wides(to, f.n)
			r.inherit(f.n, x)
			if from.Storage() == event.InInts && from.Scale == 0 && to.Scale == 0 && to.Precision != 0 && from.Kind != event.Decimal && to.Precision >= 19 {
				for i, v := range x.Ints[:f.n] {
					out[i] = event.Int128Of(v)
				}
				return &r.vec
			}
			for i := range out {
				v, ok := read(x, i)
				if out[i] = v; !ok {
					bad(i, f.n)
				}
			}
			return &r.vec
		}
	}
	return func(f *frame) *vec {
		x := arg(f)
		out := r.ints(to, f.n)
		r.inherit(f.n, x)
		if x.Type.Storage() == event.InInts && castInts(out, x.Ints[:f.n], from, to) {
			return &r.vec
		}
		for i := range out {
			v, ok := read(x, i)
			if out[i] = v.Int64(); !ok {
				bad(i, f.n)
			}
		}
		return &r.vec
	}
}

// castInts does the casts between narrow types that are common and simple;
// false means that a value may not fit, or that the cast is not simple.
func castInts(out, x []int64, from, to event.Type) bool {
	low, high, by := int64(math.MinInt64), int64(math.MaxInt64), int64(1)
	switch {
	case to.Kind == event.Bool:
		for i, v := range x {
			out[i] = bit(v != 0)
		}
		return true
	case from.Scale > to.Scale:
		return false
	case to.Kind == event.Int32:
		low, high = math.MinInt32, math.MaxInt32
	case to.Kind == event.Decimal:
		by = powers[to.Scale-from.Scale].Int64()
		high = powers[to.Precision-to.Scale+from.Scale].Int64() - 1
		low = -high
	}
	fits := true
	for i, v := range x {
		out[i] = v * by
		fits = fits && v >= low && v <= high
	}
	return fits
}

// unscaled returns a function that reads one row as the unscaled value of to and
// reports whether it fits.
func unscaled(from, to event.Type) func(v *vec, i int) (event.Int128, bool) {
	get := func(v *vec, i int) event.Int128 { return event.Int128Of(v.Ints[i]) }
	if from.Storage() == event.InWide {
		get = func(v *vec, i int) event.Int128 { return v.Wide[i] }
	}
	if from.Kind == event.Float64 {
		return func(v *vec, i int) (event.Int128, bool) { return fromFloat(v.Floats[i], to) }
	}
	return func(v *vec, i int) (event.Int128, bool) { return fit(get(v, i), from.Scale, to) }
}

// fromFloat converts f to the unscaled value of to.
func fromFloat(f float64, to event.Type) (event.Int128, bool) {
	switch to.Kind {
	case event.Bool:
		return event.Int128Of(bit(f != 0)), true
	case event.Decimal:
		// DuckDB's small push makes 1.005 the decimal 1.01 again.
		v := f * floatPowers[to.Scale]
		switch {
		case v > 0:
			v += 1e-9
		case v < 0:
			v -= 1e-9
		}
		w, ok := floatWide(v)
		return w, ok && within128(w, to.Precision)
	}
	w, ok := floatWide(f)
	return w, ok && fitsInteger(w, to)
}

// fit moves v, unscaled with scale digits behind the point, to type to.
func fit(v event.Int128, scale uint8, to event.Type) (event.Int128, bool) {
	if to.Kind == event.Bool {
		return event.Int128Of(bit(v != event.Int128{})), true
	}
	ok := true
	if scale > to.Scale {
		v = rescale128(v, int(scale-to.Scale))
	} else if scale < to.Scale {
		v, ok = mul128(v, powers[to.Scale-scale])
	}
	if to.Kind == event.Decimal {
		return v, ok && within128(v, to.Precision)
	}
	return v, ok && fitsInteger(v, to)
}

func fitsInteger(v event.Int128, to event.Type) bool {
	switch to.Kind {
	case event.Int32:
		return v.IsInt64() && v.Int64() >= math.MinInt32 && v.Int64() <= math.MaxInt32
	case event.Int64:
		return v.IsInt64()
	}
	return true
}

// castTimeClosure makes the casts between DATE and TIMESTAMP.
func (b *builder) castTimeClosure(e *expr) closure {
	arg := b.build(e.args[0])
	r := &result{}
	toDate := e.typ.Kind == event.Date
	why := overflow("CAST", e.typ)
	return func(f *frame) *vec {
		x := arg(f)
		out := r.ints(e.typ, f.n)
		r.inherit(f.n, x)
		if toDate {
			for i, v := range x.Ints[:f.n] {
				out[i] = floorDiv(v, microsPerDay)
			}
			return &r.vec
		}
		for i, v := range x.Ints[:f.n] {
			const most = math.MaxInt64 / microsPerDay
			if v > most || v < -most {
				r.fail(i, f.n, why)
			}
			out[i] = v * microsPerDay
		}
		return &r.vec
	}
}
