package view

import (
	"context"

	"anabranch/event"
	"anabranch/fault"
)

// Predicate is one compiled SQL boolean expression over an event. It is
// immutable and shared by goroutines.
type Predicate struct {
	source Source
}

// CompilePredicate turns src, a boolean expression over the columns of shape,
// into a predicate. Errors are those of Compile.
func CompilePredicate(ctx context.Context, src Source, shape *event.Shape) (*Predicate, error) {
	return nil, fault.New(fault.Bug, "compile rule %q: not written yet", src.Name)
}

// Name returns the name of the predicate's source.
func (p *Predicate) Name() string { return p.source.Name }

// SQL returns the text the predicate was compiled from.
func (p *Predicate) SQL() string { return p.source.SQL }

// Eval sets out[i] to whether the predicate is true for row i of b; NULL is
// false. out has b.N elements. A row whose expression fails (an overflow, a
// bad cast) makes Eval return Invalid, with out still set for all other rows.
func (p *Predicate) Eval(b *event.Batch, out []bool) error {
	return fault.New(fault.Bug, "rule %q: not written yet", p.source.Name)
}
