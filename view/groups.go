package view

import (
	"fmt"
	"math"

	"anabranch/event"
	"anabranch/fault"
)

// A group's _state is: a byte of version and flag, a byte of the layout's hash,
// then the aggregates in their order, each as its slab encodes it.
// docs/formats/state.md describes them.
const (
	stateVersion = 1
	stateFailed  = 1 << 7 // flag: an expression failed for a row of the group
)

// Groups returns one row for each group, columns as in StateShape, sorted by
// key with nulls first. Equal states give equal bytes.
func (s *State) Groups() (*event.Batch, error) {
	if s.broken != nil {
		return nil, s.broken
	}
	order, ranks := s.table.sorted()
	return s.groups(order, s.table.columns(order, ranks))
}

// Keys returns the keys of every group, in no given order.
func (s *State) Keys() (*event.Batch, error) {
	if s.broken != nil {
		return nil, s.broken
	}
	order := make([]uint32, s.table.n)
	for i := range order {
		order[i] = uint32(i)
	}
	shape := s.view.StateShape()
	return &event.Batch{
		Shape: event.NewShape(shape.Fields[:len(shape.Fields)-1]...), N: len(order), Columns: s.table.columns(order, nil),
	}, nil
}

// groups encodes the groups in order, whose keys are given.
func (s *State) groups(order []uint32, keys []event.Column) (*event.Batch, error) {
	encoders := make([]func([]byte, uint32) []byte, len(s.slabs))
	for i, a := range s.slabs {
		encoders[i] = a.encoder(order)
	}
	dict := &event.Dict{Offsets: make([]uint32, 1, len(order)+1)}
	codes := make([]uint32, len(order))
	for i, g := range order {
		version := byte(stateVersion)
		if s.hasFailed(g) {
			version |= stateFailed
		}
		dict.Data = append(dict.Data, version, byte(s.layout))
		for _, encode := range encoders {
			dict.Data = encode(dict.Data, g)
		}
		if len(dict.Data) > math.MaxUint32 {
			return nil, fault.New(fault.Full, "view %s: the states of %d groups are over 4 GiB in one batch", s.view.Name(), len(order))
		}
		dict.Offsets = append(dict.Offsets, uint32(len(dict.Data)))
		codes[i] = uint32(i)
	}
	state := event.Column{Type: event.Type{Kind: event.Bytes}, Codes: codes, Dict: dict}
	return &event.Batch{
		Shape: s.view.StateShape(), N: len(order),
		Columns: append(append(make([]event.Column, 0, len(keys)+1), keys...), state),
	}, nil
}

// MergeGroups adds rows that Groups returned, in any order and from any number
// of states of this view version; columns beyond StateShape are ignored. After
// an error, Corrupt for bytes that Groups did not write, the state is unusable
// until Reset.
func (s *State) MergeGroups(b *event.Batch) error {
	if s.broken != nil {
		return s.broken
	}
	err := s.mergeGroups(b)
	if err != nil {
		err = fmt.Errorf("read groups of view %s: %w", s.view.Name(), err)
		s.broken = err
	}
	return err
}

func (s *State) mergeGroups(b *event.Batch) error {
	shape := s.view.StateShape()
	columns := make([]event.Column, len(shape.Fields))
	for i, f := range shape.Fields {
		c := b.Column(f.Name)
		if c == nil {
			return fault.New(fault.Corrupt, "there is no column %s", f.Name)
		}
		if c.Type.Storage() != f.Type.Storage() || !whole(c, b.N) {
			return fault.New(fault.Corrupt, "column %s of %v, want %d rows of %v", f.Name, c.Type, b.N, f.Type)
		}
		columns[i] = *c
	}
	keys, state := columns[:len(columns)-1], &columns[len(columns)-1]
	slots, err := s.table.lookup(keys, b.N)
	if err != nil {
		return err
	}
	s.grow()
	if s.touched != nil {
		s.touched.touch(slots, s.table.n)
	}
	for i, g := range slots {
		r := reader{b: state.Bytes(i)}
		version := r.byte()
		if r.byte() != byte(s.layout) || version&^stateFailed != stateVersion {
			r.fail()
		}
		for _, a := range s.slabs {
			a.decode(&r, g)
		}
		if r.bad || len(r.b) > 0 {
			return fault.New(fault.Corrupt, "row %d: %s: _state of %d bytes is not what was written", i, s.describe(g), len(state.Bytes(i)))
		}
		if version&stateFailed != 0 {
			s.setFailed(g)
		}
	}
	return nil
}

// whole reports whether c has n rows, all inside its dictionary.
func whole(c *event.Column, n int) bool {
	if c.Valid != nil && len(c.Valid) < (n+63)/64 {
		return false
	}
	switch c.Type.Storage() {
	case event.InInts:
		return len(c.Ints) >= n
	case event.InFloats:
		return len(c.Floats) >= n
	case event.InWide:
		return len(c.Wide) >= n
	}
	if len(c.Codes) < n {
		return false
	}
	size := uint32(c.Dict.Len())
	for i, code := range c.Codes[:n] {
		if code >= size && (size > 0 || c.Valid.Get(i)) {
			return false
		}
	}
	return true
}
