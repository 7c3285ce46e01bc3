package view

import "anabranch/event"

// Three-valued logic: conjunctions, NOT, IS NULL, CASE, COALESCE, GREATEST.

// truth of row i: 0 false, 1 true, 2 null, 3 failed.
func (v *vec) truth(i int) int {
	switch {
	case v.hasFailed(i):
		return 3
	case !v.Valid.Get(i):
		return 2
	case v.Ints[i] != 0:
		return 1
	}
	return 0
}

// conjunctionClosure makes AND and OR. One side that decides hides a failure
// of the other: DuckDB does not promise which side it looks at first.
func (b *builder) conjunctionClosure(e *expr) closure {
	args := b.buildAll(e.args)
	or := e.op == "or"
	decides := 0
	if or {
		decides = 1
	}
	r := &result{}
	return func(f *frame) *vec {
		x, y := args[0](f), args[1](f)
		out := r.ints(typeBool, f.n)
		xs, ys := x.Ints[:f.n], y.Ints[:f.n]
		r.Valid, r.failed, r.why = nil, nil, nil
		if or {
			for i := range out {
				out[i] = xs[i] | ys[i]
			}
		} else {
			for i := range out {
				out[i] = xs[i] & ys[i]
			}
		}
		if x.Valid == nil && y.Valid == nil && x.failed == nil && y.failed == nil {
			return &r.vec
		}
		for i := range out {
			switch p, q := x.truth(i), y.truth(i); {
			case p == decides || q == decides:
				out[i] = int64(decides)
			case p == 3 || q == 3:
				r.fail(i, f.n, firstError(x, y))
			case p == 2 || q == 2:
				out[i] = 0
				r.null(i, f.n)
			}
		}
		return &r.vec
	}
}

func firstError(vs ...*vec) error {
	for _, v := range vs {
		if v.why != nil {
			return v.why
		}
	}
	return nil
}

func (b *builder) notClosure(e *expr) closure {
	arg := b.build(e.args[0])
	r := &result{}
	return func(f *frame) *vec {
		x := arg(f)
		out := r.ints(typeBool, f.n)
		r.inherit(f.n, x)
		for i, v := range x.Ints[:f.n] {
			out[i] = v ^ 1
		}
		return &r.vec
	}
}

func (b *builder) isNullClosure(e *expr) closure {
	arg := b.build(e.args[0])
	want := int64(0)
	if e.op == "is null" {
		want = 1
	}
	r := &result{}
	return func(f *frame) *vec {
		x := arg(f)
		out := r.ints(typeBool, f.n)
		r.Valid, r.failed, r.why = nil, x.failed, x.why
		for i := range out {
			out[i] = 1 - want
			if !x.Valid.Get(i) {
				out[i] = want
			}
		}
		return &r.vec
	}
}

// picker builds a column row by row out of others of one type.
type picker struct {
	result
	from []*vec
	base []uint32 // per source: what its codes become in the gathered dictionary
	dict *event.Dict

	// The sources that dict was gathered from; while they are the same and no
	// longer, so is it.
	dicts []*event.Dict
	lens  []int
}

// start prepares n rows chosen from the sources.
func (p *picker) start(t event.Type, n int, from []*vec) {
	p.from = from
	p.Valid, p.failed, p.why = nil, nil, nil
	switch t.Storage() {
	case event.InInts:
		p.ints(t, n)
	case event.InFloats:
		p.floats(t, n)
	case event.InWide:
		p.wides(t, n)
	case event.InCodes:
		p.codes(t, n)
		p.gather()
	}
}

// gather makes one dictionary of those of the sources: the first source's own
// when all share it, else a new one with the values of all.
func (p *picker) gather() {
	p.base = sized(p.base, len(p.from))
	clear(p.base)
	same := true
	for _, v := range p.from {
		same = same && v.Dict == p.from[0].Dict
	}
	if same {
		p.Dict = p.from[0].Dict
		return
	}
	known := len(p.dicts) == len(p.from)
	for s, v := range p.from {
		known = known && p.dicts[s] == v.Dict && p.lens[s] == v.Dict.Len()
	}
	if known {
		at := 0
		for s, n := range p.lens {
			p.base[s] = uint32(at)
			at += n
		}
		p.Dict = p.dict
		return
	}
	p.dict, p.dicts, p.lens = &event.Dict{}, p.dicts[:0], p.lens[:0]
	for s, v := range p.from {
		p.dicts, p.lens = append(p.dicts, v.Dict), append(p.lens, v.Dict.Len())
		p.base[s] = uint32(p.dict.Len())
		for c := range v.Dict.Len() {
			p.dict.Append(v.Dict.Value(uint32(c)))
		}
	}
	if p.dict.Len() == 0 {
		p.dict.Append(nil)
	}
	p.Dict = p.dict
}

// take sets row i to row i of source s, with its null and its failure.
func (p *picker) take(i, n, s int) {
	v := p.from[s]
	if v.hasFailed(i) {
		p.takeFailure(i, n, v.why)
		return
	}
	if !v.Valid.Get(i) {
		p.null(i, n)
		if p.Type.Storage() == event.InCodes {
			p.Codes[i] = 0
			return
		}
	}
	switch p.Type.Storage() {
	case event.InInts:
		p.Ints[i] = v.Ints[i]
	case event.InFloats:
		p.Floats[i] = v.Floats[i]
	case event.InWide:
		p.Wide[i] = v.Wide[i]
	case event.InCodes:
		p.Codes[i] = v.Codes[i] + p.base[s]
	}
}

// takeFailure makes row i a failure.
func (p *picker) takeFailure(i, n int, why error) {
	p.fail(i, n, why)
	if p.Type.Storage() == event.InCodes {
		p.Codes[i] = 0
	}
}

func (b *builder) caseClosure(e *expr) closure {
	args := b.buildAll(e.args)
	checks := len(args) / 2
	when, results := make([]*vec, checks), make([]*vec, checks+1)
	p := &picker{}
	return func(f *frame) *vec {
		for i := range checks {
			when[i] = args[2*i](f)
			results[i] = args[2*i+1](f)
		}
		results[checks] = args[2*checks](f)
		p.start(e.typ, f.n, results)
	rows:
		for i := range f.n {
			for c, w := range when {
				if w.failed != nil && w.failed.Get(i) {
					p.takeFailure(i, f.n, w.why)
					continue rows
				}
				if w.Ints[i] != 0 && w.Valid.Get(i) {
					p.take(i, f.n, c)
					continue rows
				}
			}
			p.take(i, f.n, checks)
		}
		return &p.vec
	}
}

func (b *builder) coalesceClosure(e *expr) closure {
	args := b.buildAll(e.args)
	vs := make([]*vec, len(args))
	p := &picker{}
	return func(f *frame) *vec {
		for i, a := range args {
			vs[i] = a(f)
		}
		if vs[0].Valid == nil {
			return vs[0]
		}
		p.start(e.typ, f.n, vs)
		for i := range f.n {
			s := 0
			for s < len(vs)-1 && !vs[s].hasFailed(i) && !vs[s].Valid.Get(i) {
				s++
			}
			p.take(i, f.n, s)
		}
		return &p.vec
	}
}

// extremeClosure makes GREATEST and LEAST of two, which skip nulls.
func (b *builder) extremeClosure(e *expr) closure {
	args := b.buildAll(e.args)
	sign := 1
	if e.op == "least" {
		sign = -1
	}
	p := &picker{}
	vs := make([]*vec, 2)
	return func(f *frame) *vec {
		vs[0], vs[1] = args[0](f), args[1](f)
		p.start(e.typ, f.n, vs)
		for i := range f.n {
			switch {
			case vs[1].hasFailed(i):
				p.take(i, f.n, 1)
			case vs[0].hasFailed(i) || !vs[1].Valid.Get(i):
				p.take(i, f.n, 0)
			case !vs[0].Valid.Get(i) || sign*compareRows(vs[1], vs[0], i) > 0:
				p.take(i, f.n, 1)
			default:
				p.take(i, f.n, 0)
			}
		}
		return &p.vec
	}
}
