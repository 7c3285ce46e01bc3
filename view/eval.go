package view

import (
	"errors"
	"slices"

	"anabranch/event"
)

// program makes the program of a resolved selection.
func (s *selection) program() *program {
	p := &program{}
	var slots []*expr // what inputs.args hold
	slot := func(e *expr) int {
		if e == nil {
			return -1
		}
		key := e.key()
		for i, o := range slots {
			if o.key() == key {
				return i
			}
		}
		slots = append(slots, e)
		return len(slots) - 1
	}
	for _, k := range s.keys {
		p.keys = append(p.keys, k.typ)
	}
	var known []string // the key of each aggregate
	place := func(e *expr) int {
		key := e.key()
		if i := slices.Index(known, key); i >= 0 {
			return i
		}
		a := aggregate{fn: e.agg.fn, arg: slot(e.agg.arg), by: slot(e.agg.by), filter: slot(e.agg.filter), out: e.typ, quantile: e.agg.quantile}
		if e.agg.arg != nil {
			a.in = e.agg.arg.typ
		}
		if e.agg.by != nil {
			a.byType = e.agg.by.typ
		}
		known, p.aggs = append(known, key), append(p.aggs, a)
		return len(known) - 1
	}
	items := make([]*expr, len(s.items))
	keys := map[string]int{}
	for i, k := range s.keys {
		keys[k.key()] = i
	}
	for i, e := range s.items {
		items[i] = overGroups(e, keys, len(s.keys), place)
	}
	where := s.where
	if where != nil && where.constant() && !where.isNull() && where.value.Ints[0] != 0 {
		where = nil
	}
	p.newEval = func() evaluator { return newEvaluator(where, s.keys, slots) }
	p.post = func(groups *event.Batch) (*event.Batch, error) { return finish(items, s.output, groups) }
	return p
}

// overGroups rewrites an item of the SELECT list to one over finished groups:
// keys and aggregates become columns.
func overGroups(e *expr, keys map[string]int, aggsFrom int, place func(*expr) int) *expr {
	if i, ok := keys[e.key()]; ok {
		return &expr{op: "column", typ: e.typ, column: i, null: e.null, at: e.at}
	}
	if e.op == "aggregate" {
		return &expr{op: "column", typ: e.typ, column: aggsFrom + place(e), null: e.null, at: e.at}
	}
	if len(e.args) == 0 {
		return e
	}
	c := *e
	c.args = make([]*expr, len(e.args))
	for i, a := range e.args {
		c.args[i] = overGroups(a, keys, aggsFrom, place)
	}
	return &c
}

// finish evaluates the SELECT list over finished groups.
func finish(items []*expr, output *event.Shape, groups *event.Batch) (*event.Batch, error) {
	out := &event.Batch{Shape: output, N: groups.N, Columns: make([]event.Column, len(items))}
	b := newBuilder()
	f := &frame{b: groups, n: groups.N, seq: 1}
	for i, e := range items {
		if groups.N == 0 {
			out.Columns[i] = emptyColumn(e.typ)
			continue
		}
		v := b.build(e)(f)
		if v.failed != nil && v.failed.Count(groups.N) > 0 {
			return nil, postFailed(v.why)
		}
		out.Columns[i] = dense(&v.Column, e.typ, groups.N)
	}
	return out, nil
}

func emptyColumn(t event.Type) event.Column {
	c := event.Column{Type: t}
	if t.Storage() == event.InCodes {
		c.Dict = &event.Dict{}
	}
	return c
}

// dense cuts the columns of a vec to n rows.
func dense(c *event.Column, t event.Type, n int) event.Column {
	out := event.Column{Type: t, Dict: c.Dict}
	switch t.Storage() {
	case event.InInts:
		out.Ints = c.Ints[:n:n]
	case event.InFloats:
		out.Floats = c.Floats[:n:n]
	case event.InWide:
		out.Wide = c.Wide[:n:n]
	case event.InCodes:
		out.Codes = c.Codes[:n:n]
	}
	if c.Valid != nil {
		out.Valid = c.Valid[:(n+63)/64]
	}
	return out
}

var errFailed = errors.New("an expression failed")

// newEvaluator makes the closures of one State.
func newEvaluator(where *expr, keys, slots []*expr) evaluator {
	b := newBuilder()
	var condition closure
	if where != nil {
		condition = b.build(where)
	}
	keyClosures, argClosures := b.buildAll(keys), b.buildAll(slots)
	in := &inputs{keys: make([]event.Column, len(keys)), args: make([]event.Column, len(slots))}
	var passed []uint32
	var failed event.Bitmap
	f := &frame{}
	return func(batch *event.Batch, rows []uint32) (*inputs, error) {
		f.b, f.rows, f.n = batch, rows, batch.N
		if rows != nil {
			f.n = len(rows)
		}
		f.seq++
		in.n, in.failed, in.why = 0, nil, nil
		if f.n == 0 {
			return in, nil
		}
		var bad []int // rows of in whose condition failed
		if condition != nil {
			v := condition(f)
			why := v.why
			passed = passed[:0]
			for i := range f.n {
				row := uint32(i)
				if rows != nil {
					row = rows[i]
				}
				if v.failed != nil && v.failed.Get(i) {
					bad, in.why = append(bad, len(passed)), why
					passed = append(passed, row)
				} else if v.Ints[i] != 0 && v.Valid.Get(i) {
					passed = append(passed, row)
				}
			}
			if len(passed) == 0 {
				return in, nil
			}
			if len(passed) < f.n {
				f.rows, f.n = passed, len(passed)
				f.seq++
			}
		}
		in.n = f.n
		words := (f.n + 63) / 64
		mark := func(v *vec) {
			if v.failed == nil {
				return
			}
			if in.failed == nil {
				failed = sized(failed, words)
				clear(failed)
				in.failed = failed
			}
			for w := range words {
				in.failed[w] |= v.failed[w]
			}
			if in.why == nil {
				in.why = v.why
			}
		}
		for i, c := range keyClosures {
			v := c(f)
			mark(v)
			in.keys[i] = dense(&v.Column, keys[i].typ, f.n)
			if v.failed != nil {
				in.keys[i] = withoutFailed(in.keys[i], v.failed, f.n)
			}
		}
		for i, c := range argClosures {
			v := c(f)
			mark(v)
			in.args[i] = dense(&v.Column, slots[i].typ, f.n)
		}
		if len(bad) > 0 {
			mark(&vec{failed: event.NewBitmap(f.n), why: in.why})
			for _, i := range bad {
				in.failed.Set(i)
			}
		}
		if in.failed != nil && in.failed.Count(f.n) == 0 {
			in.failed, in.why = nil, nil
		} else if in.failed != nil && in.why == nil {
			in.why = errFailed
		}
		return in, nil
	}
}

// withoutFailed makes the keys null that failed.
func withoutFailed(c event.Column, failed event.Bitmap, n int) event.Column {
	valid := event.NewBitmap(n)
	fillBits(valid, n)
	for w := range valid {
		valid[w] &^= failed[w]
		if c.Valid != nil {
			valid[w] &= c.Valid[w]
		}
	}
	c.Valid = valid
	return c
}
