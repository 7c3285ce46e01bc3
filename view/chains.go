package view

import (
	"slices"
	"sync"
)

// chains tie together the values of one group in a distinctSet, so that a few
// groups are found without a look at all values. They are made when that is
// asked for the first time, kept up to date by insert, and made anew after the
// table has grown: states that nobody picks of pay nothing.
type chains struct {
	heads []uint32 // by group: the place+1 of its first value
	next  []uint32 // by place in the table: the place+1 of the next
}

// fewGroups is of how many groups one is asked for, at most, where chains are
// better than sorting everything.
const fewGroups = 8

// link adds what lies at a place of the table; group is slot+1.
func (c *chains) link(place uint64, group uint32) {
	if int(group) > len(c.heads) {
		c.heads = extend(c.heads, int(group)-len(c.heads))
	}
	c.next[place], c.heads[group-1] = c.heads[group-1], uint32(place)+1
}

// groups returns what gives the values of a group, sorted; the slice is good
// until it is called again. Few says that few groups are asked for. Mu guards
// the chains against others who read the set as well.
func (s *distinctSet[V]) groups(few bool, n []int64, mu *sync.Mutex, compare func(a, b V) int) func(g uint32) []V {
	if !few {
		from, values := s.byGroup(n, compare)
		return func(g uint32) []V { return values[from[g]:from[g+1]] }
	}
	mu.Lock()
	defer mu.Unlock()
	if s.chains.next == nil {
		s.chains = chains{heads: make([]uint32, len(n)), next: make([]uint32, len(s.table))}
		for p := range s.table {
			if e := &s.table[p]; e.group != 0 {
				s.chains.link(uint64(p), e.group)
			}
		}
	}
	c := s.chains
	var values []V
	return func(g uint32) []V {
		values = values[:0]
		if int(g) >= len(c.heads) {
			return nil // it has none
		}
		for p := c.heads[g]; p != 0; p = c.next[p-1] {
			values = append(values, s.table[p-1].value)
		}
		slices.SortFunc(values, compare)
		return values
	}
}
