package batch

import (
	"cmp"
	"math"
	"slices"

	"anabranch/event"
)

// ref is one event of a chunk that counts.
type ref struct {
	time int64 // microseconds since the begin of day
	day  int32
	part int32 // batch of the chunk
	row  int32 // of that batch
}

// sortRefs sorts refs by time, those of one time by part and row.
func sortRefs(refs []ref) {
	first, last := int32(math.MaxInt32), int32(math.MinInt32)
	for i := range refs {
		first, last = min(first, refs[i].day), max(last, refs[i].day)
	}
	if int64(last)-int64(first) > math.MaxInt64/microsPerDay { // a key does not hold the microseconds of so many days
		slices.SortFunc(refs, compareRefs)
		return
	}
	sortSpread(refs, make([]ref, len(refs)), func(r *ref) uint64 {
		return uint64(int64(r.day)-int64(first))*uint64(microsPerDay) + uint64(r.time)
	}, compareRefs)
}

func compareRefs(a, b ref) int {
	switch {
	case a.day != b.day:
		return cmp.Compare(a.day, b.day)
	case a.time != b.time:
		return cmp.Compare(a.time, b.time)
	case a.part != b.part:
		return cmp.Compare(a.part, b.part)
	}
	return cmp.Compare(a.row, b.row)
}

// dayRows is how many rows go to a writer at once.
const dayRows = 32 << 10

// writeDays sorts refs by time, those of one time by part and row, and hands their
// events to write, one day after the other.
func writeDays(parts []*event.Batch, refs []ref, write func(day int32, b *event.Batch) error) error {
	sortRefs(refs)
	g := newGatherer(parts)
	for len(refs) > 0 {
		n := 1
		for n < len(refs) && n < dayRows && refs[n].day == refs[0].day {
			n++
		}
		if err := write(refs[0].day, g.gather(refs[:n])); err != nil {
			return err
		}
		refs = refs[n:]
	}
	return nil
}

// gatherer builds batches from rows of several batches of one shape, giving
// each a dictionary of just the values that it uses. A value that was in two
// dictionaries is twice in it: who writes it looks at values anyway.
type gatherer struct {
	parts []*event.Batch
	round uint32
	codes [][]recode    // by column and part; nil for columns without a dictionary
	apart []bool        // by column: hardly two rows have one value, so each gets a code of its own
	nulls []bool        // by column: some part may have a null
	last  []*event.Dict // by column: of the batch before, whose size says about what the next will have
}

// recode says which code a value of a dictionary has in the batch
// being built, valid where seen is the round.
type recode struct{ seen, code []uint32 }

func newGatherer(parts []*event.Batch) *gatherer {
	columns := len(parts[0].Columns)
	g := &gatherer{parts: parts, codes: make([][]recode, columns), apart: make([]bool, columns), nulls: make([]bool, columns), last: make([]*event.Dict, columns)}
	for c := range g.codes {
		for _, b := range parts {
			g.nulls[c] = g.nulls[c] || b.Columns[c].Valid != nil
		}
		if parts[0].Columns[c].Type.Storage() != event.InCodes {
			continue
		}
		if g.apart[c] = hardlyRepeat(parts, c); g.apart[c] {
			continue
		}
		g.codes[c] = make([]recode, len(parts))
		of := map[*event.Dict]recode{} // parts of one row group share a dictionary
		for p, b := range parts {
			d := b.Columns[c].Dict
			if _, known := of[d]; !known {
				of[d] = recode{make([]uint32, d.Len()), make([]uint32, d.Len())}
			}
			g.codes[c][p] = of[d]
		}
	}
	return g
}

// hardlyRepeat reports whether the dictionaries of a column have about as many
// values as there are rows, as those of ids have.
func hardlyRepeat(parts []*event.Batch, c int) bool {
	rows, values := 0, 0
	var last *event.Dict // parts of one row group share a dictionary
	for _, b := range parts {
		rows += b.N
		if d := b.Columns[c].Dict; d != last {
			values, last = values+d.Len(), d
		}
	}
	return 8*values > 7*rows
}

func (g *gatherer) gather(refs []ref) *event.Batch {
	g.round++
	first := g.parts[0]
	out := &event.Batch{Shape: first.Shape, N: len(refs), Columns: make([]event.Column, len(first.Columns))}
	for c := range out.Columns {
		to := &out.Columns[c]
		to.Type = first.Columns[c].Type
		g.valid(c, refs, to)
		switch to.Type.Storage() {
		case event.InInts:
			to.Ints = make([]int64, len(refs))
			gatherValues(to.Ints, refs, func(part int32) []int64 { return g.parts[part].Columns[c].Ints })
		case event.InFloats:
			to.Floats = make([]float64, len(refs))
			gatherValues(to.Floats, refs, func(part int32) []float64 { return g.parts[part].Columns[c].Floats })
		case event.InWide:
			to.Wide = make([]event.Int128, len(refs))
			gatherValues(to.Wide, refs, func(part int32) []event.Int128 { return g.parts[part].Columns[c].Wide })
		case event.InCodes:
			g.values(c, refs, to)
		}
	}
	return out
}

// gatherValues fills to with the values of refs. Neighbours are mostly of one
// part, since events come about as they happened: its values are looked up when
// the part changes.
func gatherValues[T any](to []T, refs []ref, values func(part int32) []T) {
	part, from := refs[0].part, values(refs[0].part)
	for i, r := range refs {
		if r.part != part {
			part, from = r.part, values(r.part)
		}
		to[i] = from[r.row]
	}
}

func (g *gatherer) valid(c int, refs []ref, to *event.Column) {
	if !g.nulls[c] {
		return
	}
	for i, r := range refs {
		if g.parts[r.part].Columns[c].Valid.Get(int(r.row)) {
			continue
		}
		if to.Valid == nil {
			to.Valid = event.NewBitmap(len(refs))
			for j := range refs {
				to.Valid.Set(j)
			}
		}
		to.Valid.Clear(i)
	}
}

func (g *gatherer) values(c int, refs []ref, to *event.Column) {
	to.Codes, to.Dict = make([]uint32, len(refs)), &event.Dict{}
	if g.apart[c] {
		size := 0
		for _, r := range refs {
			if from := &g.parts[r.part].Columns[c]; from.Dict.Len() > 0 { // else all of that part is null
				size += len(from.Dict.Value(from.Codes[r.row]))
			}
		}
		to.Dict.Offsets, to.Dict.Data = make([]uint32, 1, len(refs)+1), make([]byte, 0, size)
		for i, r := range refs {
			if to.Valid.Get(i) {
				from := &g.parts[r.part].Columns[c]
				to.Codes[i] = to.Dict.Append(from.Dict.Value(from.Codes[r.row]))
			}
		}
		return
	}
	if d := g.last[c]; d != nil {
		to.Dict.Offsets, to.Dict.Data = make([]uint32, 1, 1+len(d.Offsets)+len(d.Offsets)/8), make([]byte, 0, len(d.Data)+len(d.Data)/8)
	}
	g.last[c] = to.Dict
	for i, r := range refs {
		if !to.Valid.Get(i) {
			continue
		}
		from := &g.parts[r.part].Columns[c]
		code, re := from.Codes[r.row], g.codes[c][r.part]
		if re.seen[code] != g.round {
			re.seen[code], re.code[code] = g.round, to.Dict.Append(from.Dict.Value(code))
		}
		to.Codes[i] = re.code[code]
	}
}
