package batch

import (
	"cmp"
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

// dayRows is how many rows go to a writer at once.
const dayRows = 32 << 10

// writeDays sorts refs, which come in log order, by time, and hands their
// events to write, one day after the other.
func writeDays(parts []*event.Batch, refs []ref, write func(day int32, b *event.Batch) error) error {
	slices.SortStableFunc(refs, func(a, b ref) int { return cmp.Or(cmp.Compare(a.day, b.day), cmp.Compare(a.time, b.time)) })
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
// each a dictionary of just the values that it uses.
type gatherer struct {
	parts []*event.Batch
	round uint32
	codes [][]recode // by column and part; nil for columns without a dictionary
}

// recode says which code a value of a part's dictionary has in the batch
// being built, valid where seen is the round.
type recode struct{ seen, code []uint32 }

func newGatherer(parts []*event.Batch) *gatherer {
	g := &gatherer{parts: parts, codes: make([][]recode, len(parts[0].Columns))}
	for c := range g.codes {
		if parts[0].Columns[c].Type.Storage() != event.InCodes {
			continue
		}
		g.codes[c] = make([]recode, len(parts))
		for p, b := range parts {
			n := b.Columns[c].Dict.Len()
			g.codes[c][p] = recode{make([]uint32, n), make([]uint32, n)}
		}
	}
	return g
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
			for i, r := range refs {
				to.Ints[i] = g.parts[r.part].Columns[c].Ints[r.row]
			}
		case event.InFloats:
			to.Floats = make([]float64, len(refs))
			for i, r := range refs {
				to.Floats[i] = g.parts[r.part].Columns[c].Floats[r.row]
			}
		case event.InWide:
			to.Wide = make([]event.Int128, len(refs))
			for i, r := range refs {
				to.Wide[i] = g.parts[r.part].Columns[c].Wide[r.row]
			}
		case event.InCodes:
			g.values(c, refs, to)
		}
	}
	return out
}

func (g *gatherer) valid(c int, refs []ref, to *event.Column) {
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
	known := map[string]uint32{} // asked once for each value of each part, not for each row
	for i, r := range refs {
		if !to.Valid.Get(i) {
			continue
		}
		from := &g.parts[r.part].Columns[c]
		code, re := from.Codes[r.row], g.codes[c][r.part]
		if re.seen[code] != g.round {
			v := from.Dict.Value(code)
			n, ok := known[string(v)]
			if !ok {
				n = to.Dict.Append(v)
				known[string(v)] = n
			}
			re.seen[code], re.code[code] = g.round, n
		}
		to.Codes[i] = re.code[code]
	}
}
