package schemas

import (
	"math"
	"math/bits"

	"github.com/zeebo/xxh3"

	"anabranch/event"
)

// texts are the raw texts of one field in a block.
type texts struct {
	b       *blockText
	scratch []byte // texts that had to be unescaped; empty where none had
	spans   []span
	hashes  *[blockLines]uint64
}

func (t *texts) raw(i int) []byte { return t.spans[i].of(t.b, t.scratch) }

// of returns the text of a span.
func (s span) of(b *blockText, scratch []byte) []byte {
	if s.unescaped() {
		return scratch[s.to:s.from]
	}
	return b[s.from:s.to]
}

// hashColumn hashes the texts of the column, and adds that to what their lines
// say.
func (c *builder) hashColumn(t *texts, seed uint64, sums *[blockLines]uint64) {
	if c.token != isTrue {
		hashTexts(t.b, t.spans, seed, t.hashes, sums)
		for i := 0; len(t.scratch) > 0 && i < len(t.spans); i++ {
			if t.spans[i].unescaped() {
				t.hashes[i] = xxh3.HashSeed(t.raw(i), seed)
				sums[i] += t.hashes[i]
			}
		}
		return
	}
	var hashes [8]uint64 // by the length of the text; what is neither, nor null, is refused
	hashes[len("true")], hashes[len("false")] = xxh3.HashStringSeed("true", seed), xxh3.HashStringSeed("false", seed)
	for i, s := range t.spans {
		sums[i&(blockLines-1)] += hashes[s.len()&7]
	}
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
	case c.token == number && c.wholeNumbers():
		return c.addNumbers(first, t, required)
	case c.token == number && c.Type.Kind == event.Float64:
		return c.addFloats(first, t, required)
	case c.token == isTrue && c.Type.Kind == event.Bool:
		return c.addBools(first, t, required)
	}
	for i := range t.spans {
		if !c.addSpan(first, i, t, required) {
			return i
		}
	}
	return len(t.spans)
}

// wholeNumbers reports whether numbers are kept as whole ones, of some unit.
func (c *builder) wholeNumbers() bool {
	switch c.Type.Kind {
	case event.Int32, event.Int64:
		return true
	case event.Decimal:
		return c.Type.Storage() == event.InInts
	case event.Timestamp:
		return c.field.layout == ""
	}
	return false
}

// addSpan adds a value of any type, as Decoder.event does.
func (c *builder) addSpan(first, i int, t *texts, required bool) bool {
	s := t.spans[i]
	cell := cellText{raw: t.raw(i), token: c.token, hash: t.hashes[i]}
	switch {
	case len(cell.raw) > 0:
		if !c.written(&cell) {
			return false
		}
	case required:
		return false
	case s == (span{}) && c.token != absent:
		cell.token = null
	case s != (span{}) && c.token != quotedText: // no word at all
		return false
	}
	code, _ := c.add(first+i, &cell)
	return code == ""
}

// written reports whether the text of a cell is what its token says, where that
// has not been looked at yet.
func (c *builder) written(cell *cellText) bool {
	switch c.token {
	case number:
		return isJSONNumber(cell.raw)
	case isTrue:
		if string(cell.raw) == "false" {
			cell.token = isFalse
			return true
		}
		return string(cell.raw) == "true"
	}
	return c.token == quotedText
}

// addTexts adds strings.
func (c *builder) addTexts(first int, t *texts, required bool) int {
	for i := 0; i < len(t.spans); i++ {
		end := i
		for end < len(t.spans) && t.spans[end].len() > 0 {
			end++
		}
		c.Codes = c.interner.appendCodes(c.Codes, t.b, t.spans[i:end], t.hashes[i:end])
		if c.Valid != nil {
			for ; i < end; i++ {
				c.Valid.Set(first + i)
			}
		}
		if i = end; i < len(t.spans) && !c.addSpan(first, i, t, required) {
			return i
		}
	}
	return len(t.spans)
}

// addTimes adds timestamps that are written as ISO 8601 has them.
func (c *builder) addTimes(first int, t *texts, required bool) int {
	for i, s := range t.spans {
		v, what := int64(0), notNumber
		if !s.unescaped() {
			v, what = parseTimestamp(t.b[s.from:s.to], c.field.zoned, &c.date)
		}
		if what != 0 || v < minMicros || v > maxMicros {
			if !c.addSpan(first, i, t, required) { // a null, perhaps
				return i
			}
			continue
		}
		c.addInt64(first+i, v)
	}
	return len(t.spans)
}

// addNumbers adds whole numbers, decimals of at most 18 digits, and times that are
// numbers of their unit.
func (c *builder) addNumbers(first int, t *texts, required bool) int {
	scale, limit := 0, int64(math.MaxInt32)
	switch c.Type.Kind {
	case event.Decimal:
		scale, limit = int(c.Type.Scale), powersNarrow[c.Type.Precision]-1
	case event.Timestamp:
		limit = -1 // they are long
	}
	for i, s := range t.spans {
		w, n := t.b.word(int(s.from)), s.len()
		negative := int64(0)
		if byte(w) == '-' {
			w, n, negative = t.b.word(int(s.from)+1), n-1, -1
		}
		digits, behind, ok := shortNumber(w, n)
		if up := scale - behind; !ok || uint(up) > 10 || int64(digits)*powersNarrow[up] > limit {
			if !c.addLong(first+i, t.b, s) && !c.addSpan(first, i, t, required) {
				return i
			}
			continue
		} else {
			v := int64(digits) * powersNarrow[up]
			c.addInt64(first+i, (v^negative)-negative)
		}
	}
	return len(t.spans)
}

// addLong adds a number of more than eight digits, or returns false.
func (c *builder) addLong(row int, b *blockText, s span) bool {
	scale, unit, limit := 0, uint64(1), uint64(math.MaxInt64)
	switch c.Type.Kind {
	case event.Decimal:
		scale, limit = int(c.Type.Scale), uint64(powersNarrow[c.Type.Precision]-1)
	case event.Int32:
		limit = math.MaxInt32
	case event.Timestamp:
		if limit = -minMicros; c.field.millis {
			unit, limit = 1000, limit/1000
		}
	}
	digits, behind, negative, ok := signedNumber(b, s)
	up := scale - behind
	if !ok || uint(up) > event.MaxNarrow {
		return false
	}
	over, digits := bits.Mul64(digits, powersUnsigned[up])
	if over != 0 || digits > limit {
		return false
	}
	c.addInt64(row, (int64(digits*unit)^negative)-negative)
	return true
}

// signedNumber is longNumber with a sign, 0 or -1.
func signedNumber(b *blockText, s span) (digits uint64, behind int, negative int64, ok bool) {
	from, n := int(s.from), s.len()
	if b[from] == '-' {
		from, n, negative = from+1, n-1, -1
	}
	digits, behind, ok = longNumber(b, from, n)
	return digits, behind, negative, ok
}

// addFloats adds floating-point numbers.
func (c *builder) addFloats(first int, t *texts, required bool) int {
	for i, s := range t.spans {
		digits, behind, negative, ok := signedNumber(t.b, s)
		if !ok {
			if !c.addSpan(first, i, t, required) {
				return i
			}
			continue
		}
		v := nearestFloat(digits, behind)
		c.Floats = append(c.Floats, math.Float64frombits(math.Float64bits(v)|uint64(negative)<<63))
		if c.Valid != nil {
			c.Valid.Set(first + i)
		}
	}
	return len(t.spans)
}

// addBools adds true and false, whose hashes are known.
func (c *builder) addBools(first int, t *texts, required bool) int {
	texts := [2]uint64{0x65757274, 0x65736c6166} // true, false
	for i, s := range t.spans {
		n := s.len()
		isFalse := n & 1
		if n|1 != 5 || t.b.word(int(s.from))&firstBytes(n) != texts[isFalse] {
			if !c.addSpan(first, i, t, required) {
				return i
			}
			continue
		}
		c.addInt64(first+i, int64(1-isFalse))
	}
	return len(t.spans)
}

func (c *builder) addInt64(row int, v int64) {
	c.Ints = append(c.Ints, v)
	if c.Valid != nil {
		c.Valid.Set(row)
	}
}
