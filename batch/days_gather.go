package batch

import (
	"slices"

	"anabranch/event"
	"anabranch/schemas"
)

// gatherer builds batches from rows of several batches of one shape, whose
// memory it uses again for the next.
//
// Texts go into one dictionary for all batches, so that each part's codes are
// translated by a table and whoever writes them knows most of them already.
// Where hardly two rows have one text a batch has a dictionary of its own, in
// the order of its rows.
type gatherer struct {
	parts []*event.Batch
	nulls []bool         // by column: some part may have a null
	dicts []*event.Dict  // by column: of all batches; nil: each has its own
	codes [][][]uint32   // by column and part: those of dicts by the part's own
	out   []event.Column // by column: of the batch before, whose memory is used again
	spans []span
}

// span is some neighbours of a part. Events come about as they happened, so
// that most have their neighbours also behind a sort by time.
type span struct{ part, row, n int32 }

func newGatherer(parts []*event.Batch) *gatherer {
	columns := len(parts[0].Columns)
	g := &gatherer{parts: parts, nulls: make([]bool, columns), dicts: make([]*event.Dict, columns), codes: make([][][]uint32, columns), out: make([]event.Column, columns)}
	for c := range columns {
		for _, b := range parts {
			g.nulls[c] = g.nulls[c] || b.Columns[c].Valid != nil
		}
		if parts[0].Columns[c].Type.Storage() != event.InCodes || hardlyRepeat(parts, c) {
			continue
		}
		all := schemas.NewDictionaries()
		of := map[*event.Dict][]uint32{} // parts of one row group share a dictionary
		g.codes[c] = make([][]uint32, len(parts))
		for p, b := range parts {
			d := b.Columns[c].Dict
			if _, known := of[d]; !known {
				of[d] = all.Add(d)
			}
			g.codes[c][p] = of[d]
		}
		g.dicts[c] = all.Dict()
	}
	return g
}

// hardlyRepeat reports whether the dictionaries of a column have more values
// than half the rows, as those of ids have: to look for equal ones would cost
// more than it saves.
func hardlyRepeat(parts []*event.Batch, c int) bool {
	rows, values := 0, 0
	var last *event.Dict // parts of one row group share a dictionary
	for _, b := range parts {
		rows += b.N
		if d := b.Columns[c].Dict; d != last {
			values, last = values+d.Len(), d
		}
	}
	return 2*values > rows
}

// gather returns the rows of refs. The batch is the caller's until the next call.
func (g *gatherer) gather(refs []ref) *event.Batch {
	g.cut(refs)
	first := g.parts[0]
	for c := range g.out {
		to := &g.out[c]
		to.Type = first.Columns[c].Type
		to.Valid = g.valid(c, len(refs))
		switch to.Type.Storage() {
		case event.InInts:
			to.Ints = gatherValues(to.Ints, len(refs), g.spans, func(part int32) []int64 { return g.parts[part].Columns[c].Ints })
		case event.InFloats:
			to.Floats = gatherValues(to.Floats, len(refs), g.spans, func(part int32) []float64 { return g.parts[part].Columns[c].Floats })
		case event.InWide:
			to.Wide = gatherValues(to.Wide, len(refs), g.spans, func(part int32) []event.Int128 { return g.parts[part].Columns[c].Wide })
		case event.InCodes:
			to.Codes = room(to.Codes, len(refs))
			if g.codes[c] != nil {
				g.translate(c, to)
			} else {
				g.copyTexts(c, to)
			}
		}
	}
	return &event.Batch{Shape: first.Shape, N: len(refs), Columns: slices.Clone(g.out)}
}

// cut makes spans of refs.
func (g *gatherer) cut(refs []ref) {
	g.spans = g.spans[:0]
	open := span{part: refs[0].part, row: refs[0].row}
	for i := range refs {
		r := &refs[i]
		if r.part == open.part && r.row == open.row+open.n {
			open.n++
			continue
		}
		g.spans = append(g.spans, open)
		open = span{r.part, r.row, 1}
	}
	g.spans = append(g.spans, open)
}

// gatherValues returns the n values of spans, in the memory of to where it is
// enough. The values of a part are looked up when the part changes.
func gatherValues[T any](to []T, n int, spans []span, values func(part int32) []T) []T {
	to = room(to, n)
	at := 0
	part, from := spans[0].part, values(spans[0].part)
	for _, s := range spans {
		if s.part != part {
			part, from = s.part, values(s.part)
		}
		if s.n == 1 {
			to[at] = from[s.row]
		} else {
			copy(to[at:], from[s.row:s.row+s.n])
		}
		at += int(s.n)
	}
	return to
}

// room returns a slice of length n, that of s where it is long enough.
func room[T any](s []T, n int) []T {
	if cap(s) < n {
		return make([]T, n)
	}
	return s[:n]
}

// translate gives to the texts of spans by the dictionary of all batches.
func (g *gatherer) translate(c int, to *event.Column) {
	to.Dict = g.dicts[c]
	at := 0
	for _, s := range g.spans {
		table, some := g.codes[c][s.part], to.Codes[at:at+int(s.n)]
		at += int(s.n)
		if len(table) == 0 { // all of that part is null
			clear(some)
			continue
		}
		for i, code := range g.parts[s.part].Columns[c].Codes[s.row : s.row+s.n] {
			some[i] = table[code]
		}
	}
}

// copyTexts gives to the texts of spans, each its own.
func (g *gatherer) copyTexts(c int, to *event.Column) {
	// Another dictionary, which whoever knows the one before must not take for it, in the same memory.
	dict := &event.Dict{}
	if to.Dict != nil {
		dict.Offsets, dict.Data = to.Dict.Offsets[:0], to.Dict.Data[:0]
	}
	to.Dict = dict
	at := 0
	for _, s := range g.spans {
		from := &g.parts[s.part].Columns[c]
		for row, end := int(s.row), int(s.row+s.n); row < end; {
			if !from.Valid.Get(row) {
				to.Codes[at] = 0
				at, row = at+1, row+1
				continue
			}
			first, n := from.Codes[row], 1
			for row+n < end && from.Codes[row+n] == first+uint32(n) && from.Valid.Get(row+n) {
				n++
			}
			code := dict.AppendAll(from.Dict.Data, from.Dict.Offsets[first:int(first)+n+1])
			for i := range to.Codes[at : at+n] {
				to.Codes[at+i] = code + uint32(i)
			}
			at, row = at+n, row+n
		}
	}
}

// valid returns which of n rows of spans are there, nil when all are.
func (g *gatherer) valid(c, n int) event.Bitmap {
	if !g.nulls[c] {
		return nil
	}
	var out event.Bitmap
	at := 0
	for _, s := range g.spans {
		if valid := g.parts[s.part].Columns[c].Valid; valid != nil {
			for i := range int(s.n) {
				if valid.Get(int(s.row) + i) {
					continue
				}
				if out == nil {
					out = event.NewBitmap(n)
					for j := range n {
						out.Set(j)
					}
				}
				out.Clear(at + i)
			}
		}
		at += int(s.n)
	}
	return out
}
