package view

import (
	"anabranch/event"
	"anabranch/fault"
)

// aligner puts the columns of a batch where compiled expressions look for
// them: at their place in the shape the view was compiled against. A reader of
// files asks for the inputs of a view only, and in an order of its own.
type aligner struct {
	last *event.Shape // the shape that from belongs to
	from []int        // for each input its column in last
	wide event.Batch  // handed out; its columns are those of the batch at hand
}

// align returns b as the view's expressions want it. The result is valid until
// the next call.
func (a *aligner) align(v *View, b *event.Batch) (*event.Batch, error) {
	if v.shape == nil || b.Shape == v.shape { // nil: a program made by hand
		return b, nil
	}
	if b.Shape != a.last {
		from := make([]int, len(v.inputs))
		for i, name := range v.inputs {
			at := b.Shape.Index(name)
			if at < 0 {
				return nil, fault.New(fault.Bug, "the batch has no column %q", name)
			}
			if got, want := b.Shape.Fields[at].Type, v.shape.Fields[v.shape.Index(name)].Type; got != want {
				return nil, fault.New(fault.Bug, "column %q of the batch is %s, the view was compiled for %s", name, got, want)
			}
			from[i] = at
		}
		a.last, a.from = b.Shape, from
		a.wide = event.Batch{Shape: v.shape, Columns: make([]event.Column, len(v.shape.Fields))}
	}
	a.wide.N = b.N
	for i, name := range v.inputs {
		a.wide.Columns[v.shape.Index(name)] = b.Columns[a.from[i]]
	}
	return &a.wide, nil
}
