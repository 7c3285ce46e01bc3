package view

import (
	"context"

	"anabranch/event"
	"anabranch/fault"
)

// Source is the text of one view or rule, and where it stands.
type Source struct {
	Name string // of the view, or the code of the rule
	SQL  string
	File string // for messages; may be empty

	// Line and Column are the place in File of the first byte of SQL, from 1;
	// zero means that SQL is the whole file.
	Line, Column int
}

// View is one compiled view. It is immutable and shared by goroutines.
type View struct {
	source  Source
	version string
	output  *event.Shape
	keys    []int // for each key of program its column of output
	inputs  []string
	within  bool
	program *program
}

// Compile turns src into a view over events of the given shape; timeField
// names the event time and may be empty. The error is a *Problem (Invalid),
// or of another kind when DuckDB itself could not be asked.
func Compile(ctx context.Context, src Source, shape *event.Shape, timeField string) (*View, error) {
	return nil, fault.New(fault.Bug, "compile view %q: not written yet", src.Name)
}

// Name returns the name of the view.
func (v *View) Name() string { return v.source.Name }

// SQL returns the text the view was compiled from.
func (v *View) SQL() string { return v.source.SQL }

// Version names what the view computes: a hash of its text and of the columns
// it reads. State of one version is never merged with that of another.
func (v *View) Version() string { return v.version }

// Output returns the columns of the SELECT list, in order, with DuckDB's types.
func (v *View) Output() *event.Shape { return v.output }

// Keys returns which columns of Output are the group, in their order there.
func (v *View) Keys() []int { return v.keys }

// Inputs returns the names of the event columns the view reads, in the order
// of the event's shape.
func (v *View) Inputs() []string { return v.inputs }

// WithinDay reports whether no group ever spans two event days, because one
// of the keys tells the day of the event time.
func (v *View) WithinDay() bool { return v.within }
