package view

import (
	"math"

	"anabranch/event"
)

// A Mark is a moment in the life of a state, see State.Mark. Zero lies before
// everything.
type Mark uint64

// Seen is a moment in the life of all states behind a Delta. Whoever gave it
// knows what it means.
type Seen any

// touches tell when each group was touched last.
type touches struct {
	now    Mark
	groups []Mark // by group
	pages  []Mark // by touchPage groups: the newest of them
}

// touchPage is how many groups are passed over at once when none of them was
// touched: looking for what changed costs that little for each that did not.
const touchPage = 64

// Mark begins a new moment and returns the one that ends: groups that are
// touched from now on are newer than that. The first call begins to keep track,
// which costs folding two stores a row. Reset and UnmarshalBinary make earlier
// marks void.
func (s *State) Mark() Mark {
	if s.touched == nil {
		s.touched = &touches{now: 1}
	}
	m := s.touched.now
	s.touched.now++
	return m
}

// View returns the view whose groups these are.
func (s *State) View() *View { return s.view }

// touch notes that groups are being changed.
func (t *touches) touch(groups []uint32, n int) {
	if n > len(t.groups) {
		t.groups = extend(t.groups, n-len(t.groups))
		t.pages = extend(t.pages, (n+touchPage-1)/touchPage-len(t.pages))
	}
	for _, g := range groups {
		t.groups[g] = t.now
		t.pages[g/touchPage] = t.now
	}
}

func (t *touches) bytes() int64 {
	if t == nil {
		return 0
	}
	return sliceBytes(t.groups) + sliceBytes(t.pages)
}

// changed returns the groups that were touched after a mark.
func (s *State) changed(since Mark) (groups []uint32) {
	if since == 0 {
		groups = make([]uint32, s.table.n)
		for g := range groups {
			groups[g] = uint32(g)
		}
		return groups
	}
	for page, newest := range s.touched.pages {
		if newest <= since {
			continue
		}
		first := page * touchPage
		for i, at := range s.touched.groups[first:min(first+touchPage, len(s.touched.groups))] {
			if at > since {
				groups = append(groups, uint32(first+i))
			}
		}
	}
	return groups
}

// Changes returns how many groups of all there are were touched after the
// marks, one for each state; those of several states count several times.
func Changes(states []*State, since []Mark) (changed, all int) {
	for i, s := range states {
		changed, all = changed+len(s.changed(since[i])), all+s.table.n
	}
	return changed, all
}

// Changed returns the groups that were touched in any of the states after its
// mark, with all that all the states have of them; the result is the caller's.
// It costs what these groups do. A view without keys has one group, and whether
// that was touched does not show.
func (v *View) Changed(states []*State, since []Mark) (*State, error) {
	into := v.New()
	for i, s := range states {
		if err := into.mergeSome(s, s.changed(since[i])); err != nil {
			return nil, err
		}
	}
	if len(states) == 1 || into.table.n == 0 {
		return into, nil
	}
	order := make([]uint32, into.table.n)
	for g := range order {
		order[g] = uint32(g)
	}
	keys := into.table.columns(order, nil)
	for i, s := range states {
		if since[i] == 0 {
			continue // all of it is there
		}
		var others []uint32
		for _, g := range s.table.among(keys, len(order)) {
			if int(g) >= len(s.touched.groups) || s.touched.groups[g] <= since[i] {
				others = append(others, g)
			}
		}
		if err := into.mergeSome(s, others); err != nil {
			return nil, err
		}
	}
	return into, nil
}

// mergeSome adds some groups of o.
func (s *State) mergeSome(o *State, groups []uint32) error {
	if o.broken != nil {
		return o.broken
	}
	if len(groups) == 0 {
		return nil
	}
	keys := o.table.columns(groups, nil)
	for i := range keys {
		if keys[i].Dict != nil { // texts
			alone(&keys[i])
		}
	}
	b, err := o.groups(groups, keys)
	if err != nil {
		return err
	}
	if err := s.MergeGroups(b); err != nil {
		return err
	}
	if s.why == nil {
		s.why = o.why
	}
	return nil
}

// alone gives a column a dictionary of its own values only, a row each: that of a
// table may be large.
func alone(c *event.Column) {
	dict := &event.Dict{Offsets: make([]uint32, 1, len(c.Codes)+1)}
	for i := range c.Codes {
		var v []byte
		if c.Valid.Get(i) {
			v = c.Bytes(i)
		}
		c.Codes[i] = dict.Append(v)
	}
	c.Dict = dict
}

// among returns the slots of those of n rows of keys that have one.
func (t *table) among(keys []event.Column, n int) []uint32 {
	slots := make([]uint32, 0, n)
	rec := make([]uint64, max(t.width, 1))
next:
	for i := range n {
		clear(rec)
		for k := range keys {
			if !t.write(rec, k, &keys[k], i) {
				continue next
			}
		}
		if slot, ok := t.slot(rec[:t.width]); ok {
			slots = append(slots, slot)
		}
	}
	return slots
}

// appendOrdered appends a key so that bytes are in the order of keys, nulls
// first, as Sorted gives them.
func appendOrdered(dst []byte, c *event.Column, i int) []byte {
	if !c.Valid.Get(i) {
		return append(dst, 0)
	}
	dst = append(dst, 1)
	word := func(v uint64) {
		dst = append(dst, byte(v>>56), byte(v>>48), byte(v>>40), byte(v>>32), byte(v>>24), byte(v>>16), byte(v>>8), byte(v))
	}
	switch c.Type.Storage() {
	case event.InInts:
		word(uint64(c.Ints[i]) ^ 1<<63)
	case event.InFloats:
		word(uint64(ordFloat(c.Floats[i])) ^ 1<<63)
	case event.InWide:
		word(uint64(c.Wide[i].Hi) ^ 1<<63)
		word(c.Wide[i].Lo)
	case event.InCodes:
		for _, b := range c.Bytes(i) {
			if dst = append(dst, b); b == 0 {
				dst = append(dst, math.MaxUint8)
			}
		}
		dst = append(dst, 0, 0)
	}
	return dst
}

// OrderedKeys renders the keys of each of the view's finished rows as bytes
// whose order is that of Sorted, and which are equal for no two groups.
func (v *View) OrderedKeys(rows *event.Batch) [][]byte {
	keys := make([][]byte, rows.N)
	var all []byte
	for i := range keys {
		from := len(all)
		for _, k := range v.keys {
			all = appendOrdered(all, &rows.Columns[k], i)
		}
		keys[i] = all[from:len(all):len(all)]
	}
	return keys
}
