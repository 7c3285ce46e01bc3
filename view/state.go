package view

import (
	"anabranch/event"
	"anabranch/fault"
)

// State holds the groups of one view and their aggregates. It is a commutative
// monoid: folding rows and merging states in any order or grouping gives the
// same results and, from Groups, the same bytes.
//
// A State belongs to one goroutine at a time, except that one which nobody
// changes any more may be read (Merge from it, Clone, Result, Groups, Finish,
// AppendBinary, Len, Bytes) by many. A view without keys always has its one
// group, as SELECT count(*) has one row without any event.
type State struct {
	view *View
}

// New returns a state without events.
func (v *View) New() *State { return &State{view: v} }

// StateShape returns the columns of Groups: the keys, named as in Output, then
// "_state", the group's aggregates as opaque bytes.
func (v *View) StateShape() *event.Shape {
	var fields []event.Field
	for _, k := range v.keys {
		f := v.output.Fields[k]
		f.Nullable = true
		fields = append(fields, f)
	}
	return event.NewShape(append(fields, event.Field{Name: "_state", Type: event.Type{Kind: event.Bytes}})...)
}

var errTodo = fault.New(fault.Bug, "view state: not written yet")

// Fold adds the asked rows of b (nil: all of them); the view's WHERE is
// applied inside. A row whose expressions fail, or a sum that leaves its type,
// is no error here: it turns its group's result into one, see Result.
func (s *State) Fold(b *event.Batch, rows []uint32) error { return errTodo }

// Merge adds the groups of o, a state of the same view, which stays as it is.
func (s *State) Merge(o *State) error { return errTodo }

// Len returns the number of groups.
func (s *State) Len() int { return 0 }

// Bytes returns the memory the state holds on to.
func (s *State) Bytes() int64 { return 0 }

// Clone returns a copy that shares nothing that changes.
func (s *State) Clone() *State { return &State{view: s.view} }

// Reset forgets all groups and keeps the memory for new ones.
func (s *State) Reset() {}

// Result returns the finished rows, columns as in Output, in no given order.
// The error is Invalid and names the view and the group when an expression of
// one of its rows failed or an aggregate left its type.
func (s *State) Result() (*event.Batch, error) { return nil, errTodo }

// Groups returns one row for each group, columns as in StateShape, sorted by
// key with nulls first. Equal states give equal bytes.
func (s *State) Groups() (*event.Batch, error) { return nil, errTodo }

// MergeGroups adds rows that Groups returned, in any order and from any number
// of states of this view version; columns beyond StateShape are ignored. After
// an error, Corrupt for bytes that Groups did not write, the state is unusable
// until Reset.
func (s *State) MergeGroups(b *event.Batch) error { return errTodo }

// Finish returns what Groups and Result return, row by row for the same
// groups, sorted by key with nulls first: what a view file stores. When only
// the result could not be computed, groups is there beside the error.
func (s *State) Finish() (groups, result *event.Batch, err error) { return nil, nil, errTodo }

// AppendBinary appends a snapshot of the whole state to dst. It carries a
// version but no checksum.
func (s *State) AppendBinary(dst []byte) ([]byte, error) { return dst, errTodo }

// UnmarshalBinary replaces the state by the one AppendBinary wrote. For damaged
// bytes, or those of another view, the error is Corrupt and the state is as it
// was.
func (s *State) UnmarshalBinary(data []byte) error { return errTodo }
