package view

import (
	"anabranch/event"
)

// Merged returns the row of a group that has all the events of several groups,
// which are given by their states, the last column of Groups. Its keys are
// null. Without a state it is the row of a group without events.
func (v *View) Merged(states [][]byte) (*event.Batch, error) {
	shape := v.StateShape()
	b := &event.Batch{Shape: shape, N: len(states), Columns: make([]event.Column, len(shape.Fields))}
	for i, f := range shape.Fields {
		c := &b.Columns[i]
		c.Type = f.Type
		switch f.Type.Storage() {
		case event.InInts:
			c.Ints = make([]int64, b.N)
		case event.InFloats:
			c.Floats = make([]float64, b.N)
		case event.InWide:
			c.Wide = make([]event.Int128, b.N)
		case event.InCodes:
			c.Codes = make([]uint32, b.N)
			c.Dict = &event.Dict{Offsets: []uint32{0}}
			c.Dict.Append(nil)
		}
		c.Valid = event.NewBitmap(b.N) // null
	}
	state := &b.Columns[len(b.Columns)-1]
	state.Valid = nil
	for i, s := range states {
		state.Codes[i] = state.Dict.Append(s)
	}
	st := v.New()
	if err := st.MergeGroups(b); err != nil {
		return nil, err
	}
	return st.Result()
}

// NotAdded names the aggregate because of which the values of a column of
// Output cannot be added over groups: the number of different values in two
// groups is not that in both. Empty where there is none. Merged does it.
func (v *View) NotAdded(column int) string { return v.notAdded[column] }

// findNotAdded reads it off the typed tree.
func (s *selection) findNotAdded() []string {
	out := make([]string, len(s.items))
	for i, e := range s.items {
		e.walk(func(e *expr) {
			if e.op != "aggregate" {
				return
			}
			switch e.agg.fn {
			case aggCountDistinct, aggApproxDistinct, aggApproxQuantile:
				out[i] = e.agg.fn.String()
			}
		})
	}
	return out
}
