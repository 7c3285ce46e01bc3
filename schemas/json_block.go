package schemas

import (
	"encoding/binary"
	"math/bits"
	"slices"

	"anabranch/internal/jsonbits"
)

// blockLines is how many lines are read together before their values become
// columns: their text and their spans fit the fastest cache, and each column
// is filled in a loop of its own.
const blockLines = 64

// blockBytes is how long they may be, a power of two.
const blockBytes = 32 << 10

// markedAtOnce is how many bytes are marked before it is seen how many lines they
// are.
const markedAtOnce = 1 << 10

// blockText is the text of a block, and what happens to stand behind it: words
// may be read from each place in the block.
type blockText [blockBytes + blockSlack]byte

const blockSlack = 64

// word returns the eight bytes at i, a place in the block. No such place is changed
// by the mask, which spares a check of bounds.
func (b *blockText) word(i int) uint64 {
	i &= blockBytes - 1
	return binary.LittleEndian.Uint64(b[i : i+8])
}

// jsonBlock is what is known of the lines that are read together.
type jsonBlock struct {
	limit       int                 // how many lines; fewer where one was not as the layout says
	quotes, odd marks               // which bytes of the text are quotes, and which are odd in a string
	oddLines    uint64              // which lines have odd bytes other than their end
	spans       []span              // of field f and line n: f*blockLines+n
	starts      [blockLines + 1]int // where each line begins
	at          [blockLines]int     // how far each has been read
	hashes      [blockLines]uint64  // of the texts of the column at hand
	sums        [blockLines]uint64  // what each says
	parts       []byte              // what keys and ids are hashes of, partSlot bytes for each line
	ends        [blockLines]int     // how many of them are taken
}

// span is where the raw text of a value is; the zero span is a null. One that ends
// before it begins is where Decoder.scratch has the text, from the end on, as it had to
// be unescaped; its length is negative.
type span struct{ from, to int32 }

func (s span) len() int { return int(s.to - s.from) }

func (s span) unescaped() bool { return s.to < s.from }

func newBlock(fields int) jsonBlock {
	return jsonBlock{limit: blockLines, spans: make([]span, fields*blockLines), parts: make([]byte, blockLines*partSlot)}
}

// cut finds the lines, up to limit, that the first size bytes of b begin with,
// with their ends, and unmarks quotes that are escaped.
func (k *jsonBlock) cut(b *blockText, size, limit int) int {
	n, marked, escaped := 0, 0, -1
	k.starts[0], k.at[0], k.oddLines = 0, 0, 0
	size = min(size, blockBytes)
	for at := 0; at < size; at += 64 {
		if at == marked {
			marked += min((size-at+63)&^63, markedAtOnce)
			jsonbits.Mark(b[at:marked], k.quotes[at/8:], k.odd[at/8:])
			if escaped == at {
				k.quotes[at/8] &^= 1
			}
		}
		for odd := binary.LittleEndian.Uint64(k.odd[at/8:]); odd != 0; odd &= odd - 1 {
			i := at + bits.TrailingZeros64(odd)
			if i >= size {
				return n
			}
			if b[i] != '\n' {
				k.oddLines |= 1 << n
				if b[i] == '\\' && i != escaped {
					escaped = i + 1
					k.quotes[escaped/8] &^= 1 << (escaped % 8)
				}
				continue
			}
			if n++; n == limit {
				k.starts[n] = i + 1
				return n
			}
			k.starts[n], k.at[n] = i+1, i+1
		}
	}
	return n
}

// marks say something of each byte of a block: bit i%8 of byte i/8 stands for place i.
type marks [blockBytes/8 + 8]byte

// from returns the marks from place i on, 57 of them at least.
func (m *marks) from(i int) uint64 {
	i &= blockBytes - 1
	return binary.LittleEndian.Uint64(m[i/8:i/8+8]) >> (i & 7)
}

// next returns the first place from i on that is marked, before end, or end.
func (m *marks) next(i, end int) int {
	for ; i < end; i = (i + 64) &^ 7 {
		if w := m.from(i); w != 0 {
			return min(i+bits.TrailingZeros64(w), end)
		}
	}
	return end
}

// nextBlock decodes lines that are written as the layout says, as far as they are,
// and returns how many.
func (d *Decoder) nextBlock() int {
	size := len(d.in.rest())
	if size == 0 {
		return 0
	}
	k, b, first := &d.block, d.in.block(), len(d.ids)
	lines := k.cut(b, size, min(k.limit, MaxRows-first-len(d.rows.Bad)))
	n := d.scanBlock(b, lines)
	clear(k.sums[:n])
	scanned := n
	for i := 0; i < len(d.columns) && n > 0; i++ {
		t := texts{b: b, scratch: d.scratch, spans: k.spans[i*blockLines:][:n], hashes: &k.hashes}
		d.columns[i].hashColumn(&t, d.hasher.names[i], &k.sums)
		n = d.columns[i].addBlock(first, &t, d.required(i))
	}
	if n < scanned { // a value that Decoder.event has to refuse
		for i := range d.columns {
			d.columns[i].cut(first + n)
		}
	}
	if n < lines {
		k.limit = max(n, 1)
	} else {
		k.limit = min(2*k.limit, blockLines)
	}
	if lines > 0 {
		d.layout.tried(n)
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
