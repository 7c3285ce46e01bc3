package view

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"anabranch/event"
	"anabranch/fault"
)

// Predicate is one compiled SQL boolean expression over an event. It is
// immutable and shared by goroutines.
type Predicate struct {
	source Source
	expr   *expr
	inputs []string
	spare  *sync.Pool // of *predicateEval: scratch for one call at a time
}

// NamedPredicate is one filter rule: events for which Predicate is true are
// kept in the archive and counted under Code, and are in no view.
type NamedPredicate struct {
	Code      string
	Predicate *Predicate
}

type predicateEval struct {
	frame   frame
	closure closure
}

// predicatePrefix makes a SELECT of an expression; its end is on a line of its
// own, behind a comment that may end the expression.
const predicatePrefix = "SELECT ("

// Predicate turns src, a boolean expression over the columns of shape, into a
// predicate. Errors are those of View.
func (c *Compiler) Predicate(ctx context.Context, src Source, shape *event.Shape) (*Predicate, error) {
	d, err := c.duck(ctx, src, shape)
	if err != nil {
		return nil, err
	}
	e, err := d.scalar(ctx, shape)
	if err != nil {
		return nil, err
	}
	if e.typ != typeBool && !e.untyped() {
		return nil, &Problem{File: cmpOr(src.File, src.Name), Line: max(src.Line, 1), Column: max(src.Column, 1),
			Message: fmt.Sprintf("a rule is true or false, this is a %v", e.typ), Hint: "write a comparison"}
	}
	e = cast(e, typeBool, false)
	spare := &sync.Pool{New: func() any { return &predicateEval{closure: newBuilder().build(e)} }}
	p := &Predicate{source: src, expr: e, spare: spare}
	used := map[int]bool{}
	e.walk(func(e *expr) {
		if e.op == "column" && !used[e.column] {
			used[e.column] = true
			p.inputs = append(p.inputs, shape.Fields[e.column].Name)
		}
	})
	return p, nil
}

// scalar types the expression that is d's text.
func (d *duck) scalar(ctx context.Context, shape *event.Shape) (*expr, error) {
	d.off = len(predicatePrefix)
	text := predicatePrefix + d.src.SQL + "\n) FROM events"
	tree, err := d.parse(ctx, text)
	if err != nil {
		return nil, err
	}
	if tree.Type != "SELECT_NODE" || len(tree.List) != 1 || tree.Where != nil || len(tree.Modifiers) > 0 || len(tree.GroupBy) > 0 || tree.From.Type != "BASE_TABLE" || tree.From.Location != uint64(len(text)-len("events")) {
		return nil, d.problem(d.off, "a rule is one expression", "write a condition such as UnitPrice = 0")
	}
	columns, err := d.describe(ctx, text)
	if err != nil {
		return nil, err
	}
	b := &binder{ctx: ctx, duck: d, shape: shape, table: "events", plain: true}
	e, err := b.bind(tree.List[0])
	if err != nil {
		return nil, err
	}
	if err := d.constantsHold(e); err != nil {
		return nil, err
	}
	if e.op == opInterval || !e.untyped() && (len(columns) != 1 || e.typ.SQL() != columns[0].typ) {
		return nil, b.refuse(tree.List[0], "write a CAST", "an expression of type %s is not supported", columns[0].typ)
	}
	return e, nil
}

// Name returns the name of the predicate's source.
func (p *Predicate) Name() string { return p.source.Name }

// SQL returns the text the predicate was compiled from.
func (p *Predicate) SQL() string { return p.source.SQL }

// Inputs returns the names of the event columns the predicate reads, in the
// order in which it does.
func (p *Predicate) Inputs() []string { return slices.Clone(p.inputs) }

// Eval sets out[i] to whether the predicate is true for row i of b; NULL is
// false. out has b.N elements. A row whose expression fails (an overflow, a
// bad cast) makes Eval return Invalid, with out still set for all other rows
// and false for that one.
func (p *Predicate) Eval(b *event.Batch, out []bool) error {
	if b.N == 0 {
		return nil
	}
	e := p.spare.Get().(*predicateEval)
	defer func() {
		e.frame.b = nil
		p.spare.Put(e)
	}()
	e.frame = frame{b: b, n: b.N, seq: e.frame.seq + 1}
	v := e.closure(&e.frame)
	var err error
	for i := range b.N {
		switch {
		case v.failed != nil && v.failed.Get(i):
			out[i] = false
			if err == nil {
				err = fault.Wrap(fault.Invalid, fmt.Errorf("rule %s: row %d: %w", p.source.Name, i, v.why))
			}
		default:
			out[i] = v.Ints[i] != 0 && v.Valid.Get(i)
		}
	}
	return err
}
