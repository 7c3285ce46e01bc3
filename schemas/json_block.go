package schemas

import (
	"slices"

	"github.com/zeebo/xxh3"

	"anabranch/event"
)

// blockLines is how many lines are read together before their values become
// columns: their text and their spans fit the fastest cache, and each column
// is filled in a loop of its own.
const blockLines = 64

// jsonBlock is what is known of the lines that are read together.
type jsonBlock struct {
	limit  int                 // how many lines; fewer where values had to be refused
	spans  []span              // of field f and line n: f*blockLines+n
	starts [blockLines + 1]int // where each line begins
	sums   [blockLines]uint64  // what each says
}

func newBlock(fields int) jsonBlock {
	return jsonBlock{limit: blockLines, spans: make([]span, fields*blockLines)}
}

// nextBlock decodes lines that are written as the layout says, as far as they are,
// and returns how many.
func (d *Decoder) nextBlock() int {
	if len(d.layout.end.text) == 0 {
		return 0
	}
	k, b, first := &d.block, d.in.rest(), len(d.ids)
	limit := min(k.limit, MaxRows-first-len(d.rows.Bad))
	n, at := 0, 0
	for ; n < limit; n++ {
		next, ok := d.scanLine(b, at, n)
		if !ok || next-at > MaxEvent {
			break
		}
		k.starts[n], at = at, next
	}
	if n == 0 {
		return 0
	}
	k.starts[n] = at
	scanned := n
	clear(k.sums[:n])
	for i := range d.columns {
		t := texts{b: b, spans: k.spans[i*blockLines:][:n], sums: k.sums[:n], seed: d.hasher.names[i]}
		if n = d.columns[i].addBlock(first, &t, d.required(i)); n == 0 {
			break
		}
	}
	if n < scanned { // a value that Decoder.event has to refuse
		for i := range d.columns {
			d.columns[i].cut(first + n)
		}
		k.limit = max(n, 1)
	} else {
		k.limit = min(2*k.limit, blockLines)
	}
	d.identify(b, n)
	d.in.from += k.starts[n]
	d.in.line += n
	return n
}

// required reports whether a row without field i is refused whatever the
// schema says.
func (d *Decoder) required(i int) bool {
	return i == d.time || d.hasher.needID && d.hasher.kept[i] && slices.Contains(d.hasher.id, i)
}

// identify takes down what the first n lines of a block are known by.
func (d *Decoder) identify(b []byte, n int) {
	k := &d.block
	for row := range n {
		for i, kept := range d.hasher.kept {
			if kept {
				s := k.spans[i*blockLines+row]
				d.hasher.texts[i] = b[s.from:s.to]
			}
		}
		d.hasher.content = k.sums[row]
		id, content, key := d.hasher.hashes()
		d.ids, d.hashes = append(d.ids, id), append(d.hashes, content)
		d.rows.Keys = append(d.rows.Keys, key)
		d.rows.Lines = append(d.rows.Lines, d.in.line+row)
		d.rows.bounds = append(d.rows.bounds, d.in.from+k.starts[row], d.in.from+k.starts[row+1]-d.layout.lineEnd)
	}
}

// texts are the raw texts of one field in a block.
type texts struct {
	b     []byte // with slack behind each text
	spans []span
	sums  []uint64 // the hash of each text is added here
	seed  uint64   // of those hashes
}

// addBlock adds rows, the first of them row first, as add would one by one, and
// returns how many it took: it stops at one that add has to refuse, or that is
// empty where something is required.
func (c *builder) addBlock(first int, t *texts, required bool) int {
	switch {
	case c.texts && c.token == quotedText:
		return c.addTexts(first, t, required)
	case c.token == quotedText && c.Type.Kind == event.Timestamp && c.field.layout == "":
		return c.addTimes(first, t, required)
	case c.token == number && c.Type.Kind == event.Decimal && c.Type.Storage() == event.InInts:
		return c.addDecimals(first, t, required)
	}
	for i := range t.spans {
		if !c.addSpan(first, i, t, required) {
			return i
		}
	}
	return len(t.spans)
}

// addSpan adds a value of any type, as Decoder.event does.
func (c *builder) addSpan(first, i int, t *texts, required bool) bool {
	s := t.spans[i]
	cell := cellText{raw: t.b[s.from:s.to], token: c.token}
	switch {
	case len(cell.raw) > 0:
		cell.hash = xxh3.HashSeed(cell.raw, t.seed)
		t.sums[i] += cell.hash
		if c.token == isTrue && cell.raw[0] == 'f' {
			cell.token = isFalse
		}
	case required:
		return false
	case s == (span{}) && c.token != absent:
		cell.token = null
	}
	code, _ := c.add(first+i, &cell)
	return code == ""
}

// addTexts adds strings.
func (c *builder) addTexts(first int, t *texts, required bool) int {
	for i, s := range t.spans {
		raw := t.b[s.from:s.to]
		var code uint32
		var hash uint64
		switch {
		case len(raw) == 0:
			if !c.addSpan(first, i, t, required) {
				return i
			}
			continue
		case len(raw) <= shortText && !c.interner.varied:
			code, hash = c.interner.shortCode(t.b, s)
		default:
			hash = xxh3.HashSeed(raw, t.seed)
			code = c.interner.codeOf(raw, hash)
		}
		t.sums[i] += hash
		c.Codes = append(c.Codes, code)
		if c.Valid != nil {
			c.Valid.Set(first + i)
		}
	}
	return len(t.spans)
}

// addTimes adds timestamps that are written as ISO 8601 has them.
func (c *builder) addTimes(first int, t *texts, required bool) int {
	for i, s := range t.spans {
		raw := t.b[s.from:s.to]
		v, what := parseTimestamp(raw, c.field.zoned, &c.date)
		if what != 0 || v < minMicros || v > maxMicros {
			if !c.addSpan(first, i, t, required) { // a null, perhaps
				return i
			}
			continue
		}
		c.addInt64(first+i, v)
		t.sums[i] += xxh3.HashSeed(raw, t.seed)
	}
	return len(t.spans)
}

// addDecimals adds numbers as decimals of at most 18 digits.
func (c *builder) addDecimals(first int, t *texts, required bool) int {
	limit := powersNarrow[c.Type.Precision]
	for i, s := range t.spans {
		raw := t.b[s.from:s.to]
		v, ok := parseNarrow(raw, int(c.Type.Scale))
		if !ok || v >= limit || -v >= limit {
			if !c.addSpan(first, i, t, required) {
				return i
			}
			continue
		}
		c.addInt64(first+i, v)
		t.sums[i] += xxh3.HashSeed(raw, t.seed)
	}
	return len(t.spans)
}

func (c *builder) addInt64(row int, v int64) {
	c.Ints = append(c.Ints, v)
	if c.Valid != nil {
		c.Valid.Set(row)
	}
}
