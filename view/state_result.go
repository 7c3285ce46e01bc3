package view

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"time"

	"anabranch/event"
	"anabranch/fault"
)

// Result returns the finished rows, columns as in Output, in no given order.
// The error is Invalid and names the view and the group when an expression of
// one of its rows failed or an aggregate left its type.
func (s *State) Result() (*event.Batch, error) {
	if s.broken != nil {
		return nil, s.broken
	}
	order := make([]uint32, s.table.n)
	for g := range order {
		order[g] = uint32(g)
	}
	return s.result(order, s.table.columns(order, nil))
}

// Sorted returns what Result returns, sorted by key with nulls first: the same
// groups come in the same order however they were folded.
func (s *State) Sorted() (*event.Batch, error) {
	if s.broken != nil {
		return nil, s.broken
	}
	order, ranks := s.table.sorted()
	return s.result(order, s.table.columns(order, ranks))
}

// result finishes the groups in order, whose keys are given.
func (s *State) result(order []uint32, keys []event.Column) (*event.Batch, error) {
	p := s.view.program
	for _, g := range order {
		if s.hasFailed(g) {
			err := fault.New(fault.Invalid, "view %s: %s: an expression failed for one of its rows", s.view.Name(), s.describe(g))
			if s.why != nil {
				return nil, fault.WithHint(err, "the first such failure seen was: %v", s.why)
			}
			return nil, err
		}
	}
	b := &event.Batch{N: len(order), Columns: keys}
	fields := make([]event.Field, 0, len(p.keys)+len(p.aggs))
	for i, t := range p.keys {
		fields = append(fields, event.Field{Name: fmt.Sprintf("key%d", i), Type: t, Nullable: true})
	}
	for i := range p.aggs {
		a := &p.aggs[i]
		out := event.Column{Type: a.out}
		if bad := s.slabs[i].finish(&out, order); bad >= 0 {
			return nil, fault.New(fault.Invalid, "view %s: %s: %v leaves %v", s.view.Name(), s.describe(order[bad]), a.fn, a.out)
		}
		b.Columns = append(b.Columns, out)
		fields = append(fields, event.Field{Name: fmt.Sprintf("agg%d", i), Type: a.out, Nullable: true})
	}
	b.Shape = event.NewShape(fields...)
	result, err := p.post(b)
	if err != nil {
		return nil, fmt.Errorf("result of view %s: %w", s.view.Name(), err)
	}
	return result, nil
}

// Finish returns what Groups and Result return, row by row for the same
// groups, sorted by key with nulls first: what a view file stores. When only
// the result could not be computed, groups is there beside the error.
func (s *State) Finish() (groups, result *event.Batch, err error) {
	if s.broken != nil {
		return nil, nil, s.broken
	}
	order, ranks := s.table.sorted()
	keys := s.table.columns(order, ranks)
	groups, err = s.groups(order, keys)
	if err != nil {
		return nil, nil, err
	}
	result, err = s.result(order, slices.Clip(keys))
	return groups, result, err
}

// describe names group g in messages.
func (s *State) describe(g uint32) string {
	if len(s.table.types) == 0 {
		return "its only group"
	}
	var b strings.Builder
	b.WriteString("group (")
	for k, c := range s.table.columns([]uint32{g}, nil) {
		if k > 0 {
			b.WriteString(", ")
		}
		if k < len(s.view.keys) {
			b.WriteString(s.view.output.Fields[s.view.keys[k]].Name + " = ")
		}
		switch {
		case !c.Valid.Get(0):
			b.WriteString("NULL")
		case c.Dict != nil:
			fmt.Fprintf(&b, "%.80q", c.Bytes(0))
		case c.Wide != nil:
			b.WriteString(c.Wide[0].FormatDecimal(int(c.Type.Scale)))
		case c.Floats != nil:
			fmt.Fprint(&b, c.Floats[0])
		case c.Type.Kind == event.Timestamp:
			b.WriteString(time.UnixMicro(c.Ints[0]).UTC().Format("2006-01-02 15:04:05.999999"))
		case c.Type.Kind == event.Date:
			b.WriteString(time.Unix(c.Ints[0]*86400, 0).UTC().Format(time.DateOnly))
		default:
			b.WriteString(event.Int128Of(c.Ints[0]).FormatDecimal(int(c.Type.Scale)))
		}
	}
	b.WriteByte(')')
	return b.String()
}

// String names the aggregate as SQL does.
func (f aggFunc) String() string {
	names := [...]string{
		aggCountStar: "count(*)", aggCount: "count", aggSum: "sum", aggMin: "min", aggMax: "max", aggAvg: "avg",
		aggCountDistinct: "count(DISTINCT)", aggApproxDistinct: "approx_count_distinct",
		aggApproxQuantile: "approx_quantile", aggArgMin: "arg_min", aggArgMax: "arg_max",
	}
	if int(f) < len(names) && names[f] != "" {
		return names[f]
	}
	return fmt.Sprintf("aggregate(%d)", uint8(f))
}

// columns returns the keys of the slots in order. With ranks, from sorted,
// dictionaries are written anew: the used values in their order, which depends
// on nothing but the groups; without, they are the table's own.
func (t *table) columns(order []uint32, ranks [][]uint32) []event.Column {
	out := make([]event.Column, len(t.types))
	n := len(order)
	for k, kind := range t.types {
		c := &out[k]
		c.Type = kind
		var null nulls
		for i, g := range order {
			if t.rec(int(g))[0]>>k&1 == 1 {
				null.set(i, n)
			}
		}
		c.Valid = null.valid
		p := &t.places[k]
		switch kind.Storage() {
		case event.InInts:
			c.Ints = make([]int64, n)
			for i, g := range order {
				c.Ints[i] = int64(p.get(t.rec(int(g))))
			}
		case event.InFloats:
			c.Floats = make([]float64, n)
			for i, g := range order {
				if c.Valid.Get(i) {
					c.Floats[i] = floatOfOrd(int64(p.get(t.rec(int(g)))))
				}
			}
		case event.InWide:
			c.Wide = make([]event.Int128, n)
			for i, g := range order {
				rec := t.rec(int(g))
				c.Wide[i] = event.Int128{Hi: int64(rec[p.word]), Lo: rec[p.word+1]}
			}
		case event.InCodes:
			c.Codes = make([]uint32, n)
			own := t.dicts[k].values // the header: appending later does not show
			c.Dict = &own
			for i, g := range order {
				c.Codes[i] = uint32(p.get(t.rec(int(g))))
			}
			if ranks != nil {
				recode(c, ranks[k])
			}
		}
	}
	return out
}

// recode gives c a dictionary of the values its rows use, in their order.
func recode(c *event.Column, rank []uint32) {
	codeAt := make([]uint32, len(rank)) // by rank: old code + 1 where it is used
	for i, code := range c.Codes {
		if c.Valid.Get(i) {
			codeAt[rank[code]] = code + 1
		}
	}
	dict := &event.Dict{Offsets: []uint32{0}}
	renamed := make([]uint32, len(rank))
	for _, code := range codeAt {
		if code != 0 {
			renamed[code-1] = dict.Append(c.Dict.Value(code - 1))
		}
	}
	for i, code := range c.Codes {
		if c.Codes[i] = 0; c.Valid.Get(i) {
			c.Codes[i] = renamed[code]
		}
	}
	c.Dict = dict
}

// sorted returns all slots in the order of their keys, nulls first, and for
// each string key the ranks of the codes of its dictionary.
func (t *table) sorted() (order []uint32, ranks [][]uint32) {
	ranks = make([][]uint32, len(t.types))
	for k, d := range t.dicts {
		if d != nil {
			ranks[k] = d.ranks()
		}
	}
	// Rows of words whose lexical order is the order of the keys: for each
	// key whether it is there, then its code made unsigned.
	w := 0
	for _, kind := range t.types {
		if w += 2; kind.Storage() == event.InWide {
			w++
		}
	}
	words := make([]uint64, 0, w*t.n)
	for g := 0; g < t.n && t.width > 0; g++ {
		rec := t.rec(g)
		for k, kind := range t.types {
			wide := kind.Storage() == event.InWide
			if rec[0]>>k&1 == 1 {
				if words = append(words, 0, 0); wide {
					words = append(words, 0)
				}
				continue
			}
			switch v := t.places[k].get(rec); {
			case kind.Storage() == event.InCodes:
				words = append(words, 1, uint64(ranks[k][v]))
			case wide:
				words = append(words, 1, v^1<<63, rec[t.places[k].word+1])
			default:
				words = append(words, 1, v^1<<63)
			}
		}
	}
	order = make([]uint32, t.n)
	for g := range order {
		order[g] = uint32(g)
	}
	slices.SortFunc(order, func(a, b uint32) int {
		return slices.Compare(words[int(a)*w:int(a)*w+w], words[int(b)*w:int(b)*w+w])
	})
	return order, ranks
}

// ranks returns for each code its place in the order of the values.
func (d *interner) ranks() []uint32 {
	codes := make([]uint32, d.values.Len())
	for c := range codes {
		codes[c] = uint32(c)
	}
	slices.SortFunc(codes, func(a, b uint32) int { return bytes.Compare(d.values.Value(a), d.values.Value(b)) })
	rank := make([]uint32, len(codes))
	for r, c := range codes {
		rank[c] = uint32(r)
	}
	return rank
}
