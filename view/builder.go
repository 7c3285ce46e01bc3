package view

import (
	"anabranch/event"
	"anabranch/fault"
)

// frame is what closures evaluate over: the asked rows of one batch.
type frame struct {
	b    *event.Batch
	rows []uint32 // nil: all rows of b
	n    int
	seq  uint64 // differs from frame to frame, so that shared closures run once
}

// vec is the value of an expression for each row of a frame, and which rows
// failed: their values mean nothing.
type vec struct {
	event.Column
	failed event.Bitmap // nil: none
	why    error
}

// closure evaluates an expression. What it returns is valid until its next
// call and is not changed by the caller.
type closure func(f *frame) *vec

// builder makes the closures of one evaluator; equal expressions share one.
type builder struct {
	memo map[string]closure
}

func newBuilder() *builder { return &builder{memo: map[string]closure{}} }

func (b *builder) build(e *expr) closure {
	key := e.key()
	if c, ok := b.memo[key]; ok {
		return c
	}
	inner := b.make(e)
	var last *vec
	var seq uint64
	c := func(f *frame) *vec {
		if seq != f.seq || last == nil {
			last, seq = inner(f), f.seq
		}
		return last
	}
	b.memo[key] = c
	return c
}

func (b *builder) buildAll(args []*expr) []closure {
	out := make([]closure, len(args))
	for i, a := range args {
		out[i] = b.build(a)
	}
	return out
}

func (b *builder) make(e *expr) closure {
	switch e.op {
	case "column":
		return columnClosure(e)
	case "constant":
		return constantClosure(e)
	case "cast", "try_cast":
		return b.castClosure(e)
	case "=", "<>", "<", "<=", ">", ">=", "distinct", "same":
		return b.compareClosure(e)
	case "and", "or":
		return b.conjunctionClosure(e)
	case "not":
		return b.notClosure(e)
	case "is null", "is not null":
		return b.isNullClosure(e)
	case "case":
		return b.caseClosure(e)
	case "coalesce":
		return b.coalesceClosure(e)
	case "greatest", "least":
		return b.extremeClosure(e)
	case "in":
		return b.inClosure(e)
	case "+", "-", "*", "/", "//", "%", "+ days", "- days":
		return b.arithmeticClosure(e)
	case "negate", "abs":
		return b.signClosure(e)
	case "round", "floor", "ceil":
		return b.roundClosure(e)
	case "isnan":
		return b.isNaNClosure(e)
	case "upper", "lower", "trim", "ltrim", "rtrim", "replace", "substr", "left", "right":
		return b.textClosure(e)
	case "length", "strlen":
		return b.lengthClosure(e)
	case "starts_with", "ends_with", "contains", "~~", "~~*":
		return b.matchClosure(e)
	case "||", "concat":
		return b.concatClosure(e)
	case "date_trunc", "time_bucket", "date_part", "epoch_ms", "epoch_us", "shift":
		return b.timeClosure(e)
	case "epoch":
		return b.epochClosure(e)
	case "strftime":
		return b.strftimeClosure(e)
	}
	// The binder makes no other op.
	return func(f *frame) *vec {
		v := &vec{Column: event.Column{Type: e.typ}, failed: event.NewBitmap(f.n)}
		fillBits(v.failed, f.n)
		v.why = fault.New(fault.Bug, "no closure for %s", e.op)
		return v
	}
}

func columnClosure(e *expr) closure {
	out := &vec{}
	var ints []int64
	var floats []float64
	var wide []event.Int128
	var codes []uint32
	var valid event.Bitmap
	return func(f *frame) *vec {
		c := &f.b.Columns[e.column]
		if f.rows == nil {
			out.Column = *c
			return out
		}
		out.Column = event.Column{Type: c.Type, Dict: c.Dict}
		switch c.Type.Storage() {
		case event.InInts:
			ints = pick(ints, c.Ints, f.rows)
			out.Ints = ints
		case event.InFloats:
			floats = pick(floats, c.Floats, f.rows)
			out.Floats = floats
		case event.InWide:
			wide = pick(wide, c.Wide, f.rows)
			out.Wide = wide
		case event.InCodes:
			codes = pick(codes, c.Codes, f.rows)
			out.Codes = codes
		}
		if c.Valid != nil {
			valid = sized(valid, (f.n+63)/64)
			clear(valid)
			for i, r := range f.rows {
				if c.Valid.Get(int(r)) {
					valid.Set(i)
				}
			}
			out.Valid = valid
		}
		return out
	}
}

func pick[T any](to, from []T, rows []uint32) []T {
	to = sized(to, len(rows))
	for i, r := range rows {
		to[i] = from[r]
	}
	return to
}

// sized returns a slice of n elements, s itself when it is long enough.
func sized[S ~[]T, T any](s S, n int) S {
	if cap(s) < n {
		return make(S, n, n+n/4)
	}
	return s[:n]
}

// constantClosure repeats its value for every row, so that no other closure
// needs a form of its own for constants.
func constantClosure(e *expr) closure {
	out := &vec{Column: event.Column{Type: e.typ, Dict: e.value.Dict}}
	null := e.isNull()
	filled := 0
	return func(f *frame) *vec {
		if n := f.n; n > filled {
			filled = n + n/4
			switch e.typ.Storage() {
			case event.InInts:
				out.Ints = repeat(e.value.Ints[0], filled)
			case event.InFloats:
				out.Floats = repeat(e.value.Floats[0], filled)
			case event.InWide:
				out.Wide = repeat(e.value.Wide[0], filled)
			case event.InCodes:
				out.Codes = repeat(e.value.Codes[0], filled)
			}
			if null {
				out.Valid = event.NewBitmap(filled)
			}
		}
		return out
	}
}

func repeat[T any](v T, n int) []T {
	s := make([]T, n)
	for i := range s {
		s[i] = v
	}
	return s
}

// result is the scratch of one closure: the vec it returns and what lies
// behind it.
type result struct {
	vec
	valid, fails event.Bitmap
}

// ints prepares n integers.
func (r *result) ints(t event.Type, n int) []int64 {
	r.Type = t
	r.Ints = sized(r.Ints, n)
	return r.Ints
}

func (r *result) floats(t event.Type, n int) []float64 {
	r.Type = t
	r.Floats = sized(r.Floats, n)
	return r.Floats
}

func (r *result) wides(t event.Type, n int) []event.Int128 {
	r.Type = t
	r.Wide = sized(r.Wide, n)
	return r.Wide
}

func (r *result) codes(t event.Type, n int) []uint32 {
	r.Type = t
	r.Codes = sized(r.Codes, n)
	return r.Codes
}

// inherit takes nulls and failures over from what the result is made of.
func (r *result) inherit(n int, from ...*vec) {
	r.Valid, r.failed, r.why = nil, nil, nil
	for _, v := range from {
		switch {
		case v.Valid == nil:
		case r.Valid == nil:
			r.Valid = v.Valid
		default:
			words := (n + 63) / 64
			r.valid = sized(r.valid, words)
			for i := range words {
				r.valid[i] = r.Valid[i] & v.Valid[i]
			}
			r.Valid = r.valid
		}
		r.addFailures(n, v)
	}
}

func (r *result) addFailures(n int, v *vec) {
	switch {
	case v.failed == nil:
	case r.failed == nil:
		r.failed, r.why = v.failed, v.why
	default:
		words := (n + 63) / 64
		r.ownFails(n)
		for i := range words {
			r.failed[i] |= v.failed[i]
		}
	}
}

// ownFails makes r.failed writable.
func (r *result) ownFails(n int) {
	words := (n + 63) / 64
	old := r.failed
	r.fails = sized(r.fails, words)
	if old == nil {
		clear(r.fails)
	} else if &old[0] != &r.fails[0] {
		copy(r.fails, old[:words])
	}
	r.failed = r.fails
}

// ownValid makes r.Valid writable.
func (r *result) ownValid(n int) {
	words := (n + 63) / 64
	old := r.Valid
	r.valid = sized(r.valid, words)
	if old == nil {
		fillBits(r.valid, n)
	} else if &old[0] != &r.valid[0] {
		copy(r.valid, old[:words])
	}
	r.Valid = r.valid
}

// fail marks row i; a null row does not fail.
func (r *result) fail(i, n int, why error) {
	if !r.Valid.Get(i) {
		return
	}
	if r.failed == nil || len(r.fails) == 0 || &r.failed[0] != &r.fails[0] {
		r.ownFails(n)
	}
	r.failed.Set(i)
	if r.why == nil {
		r.why = why
	}
}

// null clears row i.
func (r *result) null(i, n int) {
	if r.Valid == nil || len(r.valid) == 0 || &r.Valid[0] != &r.valid[0] {
		r.ownValid(n)
	}
	r.Valid.Clear(i)
}

func fillBits(b event.Bitmap, n int) {
	for i := range b {
		b[i] = ^uint64(0)
	}
}

// hasFailed reports whether row i failed.
func (v *vec) hasFailed(i int) bool { return v.failed != nil && v.failed.Get(i) }

// has reports whether row i has a value.
func (v *vec) has(i int) bool { return v.Valid.Get(i) && !v.hasFailed(i) }
