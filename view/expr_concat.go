package view

import (
	"math/bits"

	"anabranch/event"
)

// concatClosure makes || (null when a part is) and concat (which skips nulls).
func (b *builder) concatClosure(e *expr) closure {
	args := b.buildAll(e.args)
	vs := make([]*vec, len(args))
	r := &result{}
	skip := e.op == "concat"
	j := &joiner{parts: make([]joined, len(args))}
	return func(f *frame) *vec {
		for i, a := range args {
			vs[i] = a(f)
		}
		out := r.codes(typeString, f.n)
		r.inherit(f.n, vs...)
		if skip {
			r.Valid = nil
		}
		j.join(out, vs)
		r.Dict = j.dict
		return &r.vec
	}
}

// joiner makes texts of the texts of some columns. It remembers the code of each
// combination of their codes, so that a text is put together once, and is found by its
// code by whoever asks for it again.
type joiner struct {
	parts []joined
	dict  *event.Dict

	// The codes of combinations, plus one, by their number where they are few, else
	// in a table with open addressing; 0 is empty.
	few   []uint32
	table []combination
	used  int // of table

	numbers []uint64 // scratch: the combination of each row
	loaded  uint32   // what was seen of table, so that it is not left out
}

// joined is one of the columns.
type joined struct {
	dict  *event.Dict
	width int // bits of a combination: 0 for null, else code+1

	// Where a dictionary has few texts they have codes of our own, and what is remembered outlives
	// it; otherwise only is set and the codes are its own.
	own  interner
	only bool
}

type combination struct {
	number uint64
	code   uint32 // plus one
}

const (
	fewTexts   = 1 << 12 // of a dictionary
	mostJoined = 8 << 20 // bytes of texts, from which on all is forgotten
)

// join writes the codes of the rows of vs in j.dict to out.
func (j *joiner) join(out []uint32, vs []*vec) {
	if !j.fits(vs) {
		j.forget(vs)
	}
	total := 0
	for k := range j.parts {
		total += j.parts[k].width
	}
	if total > 64 {
		for i := range out {
			out[i] = j.put(vs, i)
		}
		return
	}
	j.number(vs, len(out))
	if total <= bits.Len(uint(16*len(out))) {
		j.few = extend(j.few, max(1<<total-len(j.few), 0))
	}
	if len(j.few) > 0 {
		for i, n := range j.numbers {
			code := &j.few[n]
			if *code == 0 {
				*code = j.put(vs, i) + 1
			}
			out[i] = *code - 1
		}
		return
	}
	for 2*(j.used+len(out)) >= len(j.table) {
		j.enlarge()
	}
	mask, sum := uint64(len(j.table)-1), uint32(0)
	for _, n := range j.numbers { // which loads all places before the first is waited for
		sum += j.table[fold64(n, 0)&mask].code
	}
	j.loaded = sum
	for i, n := range j.numbers {
		at := j.place(n)
		if at.code == 0 {
			j.used++
			*at = combination{n, j.put(vs, i) + 1}
		}
		out[i] = at.code - 1
	}
}

// fits reports whether what is remembered holds for these columns, and has room for their
// codes.
func (j *joiner) fits(vs []*vec) bool {
	if j.dict == nil || len(j.dict.Data) > mostJoined {
		return false
	}
	for k := range j.parts {
		p, d := &j.parts[k], vs[k].Dict
		if p.only {
			if p.dict != d || bits.Len(uint(d.Len())) > p.width {
				return false
			}
		} else if d.Len() > fewTexts || !p.translate(d) || bits.Len(uint(p.own.values.Len())) > p.width || len(p.own.values.Data) > mostJoined {
			return false
		}
	}
	return true
}

// translate finds codes of our own for the texts of d. False: there is no room for them.
func (p *joined) translate(d *event.Dict) bool {
	if p.own.last == d && len(p.own.known) == d.Len() {
		return true
	}
	known := p.own.translation(d)
	var asked []uint32
	for c := range d.Len() {
		if known[c] == 0 {
			asked = append(asked, uint32(c))
		}
	}
	return p.own.internAll(d, asked, known) == nil
}

// forget begins anew with these columns.
func (j *joiner) forget(vs []*vec) {
	texts, bytes := 0, 0
	if j.dict != nil {
		texts, bytes = len(j.dict.Offsets), len(j.dict.Data)
	}
	j.dict = &event.Dict{Offsets: make([]uint32, 1, texts+1), Data: make([]byte, 0, bytes)}
	j.few, j.used = j.few[:0], 0
	clear(j.table)
	for k := range j.parts {
		p, d := &j.parts[k], vs[k].Dict
		*p = joined{dict: d, width: bits.Len(uint(d.Len()))}
		if p.only = d.Len() > fewTexts || !p.translate(d); !p.only {
			p.width++ // for what comes later
		}
	}
}

// number finds the combinations of n rows.
func (j *joiner) number(vs []*vec, n int) {
	j.numbers = sized(j.numbers, n)
	clear(j.numbers)
	shift := 0
	for k, v := range vs {
		p := &j.parts[k]
		switch known := p.own.known; {
		case v.Dict.Len() == 0: // nulls
		case v.Valid != nil || v.failed != nil:
			for i, code := range v.Codes[:n] {
				if !v.has(i) {
					continue
				}
				if code++; !p.only {
					code = known[code-1]
				}
				j.numbers[i] |= uint64(code) << shift
			}
		case p.only:
			for i, code := range v.Codes[:n] {
				j.numbers[i] |= uint64(code+1) << shift
			}
		default:
			for i, code := range v.Codes[:n] {
				j.numbers[i] |= uint64(known[code]) << shift
			}
		}
		shift += p.width
	}
}

// put makes a text of row i and returns its code.
func (j *joiner) put(vs []*vec, i int) uint32 {
	d := j.dict
	for _, v := range vs {
		if v.has(i) {
			d.Data = append(d.Data, v.Dict.Value(v.Codes[i])...)
		}
	}
	d.Offsets = append(d.Offsets, uint32(len(d.Data)))
	return uint32(d.Len() - 1)
}

// place is where a combination is in the table, or where it goes.
func (j *joiner) place(number uint64) *combination {
	mask := uint64(len(j.table) - 1)
	p := fold64(number, 0) & mask
	for j.table[p].code != 0 && j.table[p].number != number {
		p = (p + 1) & mask
	}
	return &j.table[p]
}

func (j *joiner) enlarge() {
	old := j.table
	j.table = make([]combination, max(1<<10, 2*len(old)))
	for _, c := range old {
		if c.code != 0 {
			*j.place(c.number) = c
		}
	}
}
