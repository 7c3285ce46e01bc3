package schemas

import (
	"math/bits"
	"slices"

	"anabranch/internal/jsonbits"
)

// blockLines is how many lines are read together before their values become
// columns: their text and their spans fit the fastest cache, and each column
// is filled in a loop of its own.
const blockLines = 64

// blockBytes is how long they may be.
const blockBytes = 32 << 10

// markedAtOnce is how many bytes are marked before it is seen how many lines they
// are.
const markedAtOnce = 1 << 10

// jsonBlock is what is known of the lines that are read together.
type jsonBlock struct {
	limit       int                 // how many lines; fewer where one was not as the layout says
	quotes, odd []byte              // which bytes of the text are quotes, and which are odd in a string: a bit for each
	oddLines    uint64              // which lines have odd bytes other than their end
	spans       []span              // of field f and line n: f*blockLines+n
	starts      [blockLines + 1]int // where each line begins
	at          [blockLines]int     // how far each has been read
	sums        [blockLines]uint64  // what each says
	parts       []byte              // what keys and ids are hashes of, partSlot bytes for each line
	ends        [blockLines]int     // how many of them are taken
}

// span is where the raw text of a value is; the zero span is a null.
type span struct{ from, to int32 }

func newBlock(fields int) jsonBlock {
	k := jsonBlock{limit: blockLines, spans: make([]span, fields*blockLines), parts: make([]byte, blockLines*partSlot), quotes: make([]byte, blockBytes/8+8), odd: make([]byte, blockBytes/8)}
	k.quotes[blockBytes/8] = 1
	return k
}

// cut finds the lines that b begins with, up to limit, with their ends and
// with slack behind them.
func (k *jsonBlock) cut(b []byte, limit int) int {
	n, marked := 0, 0
	k.starts[0], k.at[0], k.oddLines = 0, 0, 0
	for at := 0; at < blockBytes; at += 64 {
		if at == marked {
			size := min(len(b)-at, markedAtOnce) &^ 63
			if size == 0 {
				break
			}
			jsonbits.Mark(b[at:at+size], k.quotes[at/8:], k.odd[at/8:])
			marked += size
		}
		for odd := word(k.odd, at/8); odd != 0; odd &= odd - 1 {
			i := at + bits.TrailingZeros64(odd)
			if b[i] != '\n' {
				k.oddLines |= 1 << n
				continue
			}
			if i+1+slack > len(b) {
				return n
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

// quote returns where the first quote from i on is. There is always one, if only
// behind all that is marked.
func (k *jsonBlock) quote(i int) int {
	for ; ; i = (i + 64) &^ 7 {
		if w := word(k.quotes, i/8) >> (i & 7); w != 0 {
			return i + bits.TrailingZeros64(w)
		}
	}
}

// nextBlock decodes lines that are written as the layout says, as far as they are,
// and returns how many.
func (d *Decoder) nextBlock() int {
	if len(d.layout.end.text) == 0 {
		return 0
	}
	k, b, first := &d.block, d.in.rest(), len(d.ids)
	lines := k.cut(b, min(k.limit, MaxRows-first-len(d.rows.Bad)))
	n := d.scanBlock(b, lines)
	clear(k.sums[:n])
	scanned := n
	for i := 0; i < len(d.columns) && n > 0; i++ {
		t := texts{b: b, spans: k.spans[i*blockLines:][:n], sums: k.sums[:n], seed: d.hasher.names[i]}
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
