package schemas

import (
	"encoding/binary"
	"slices"
)

// shortText is how long a text is that two words hold together with its length.
const shortText = 15

// shortWords are a text of 1 to 15 bytes and, in the highest byte, its length; zero
// for any other.
type shortWords struct{ head, tail uint64 }

// shortMasks are of what counts in two words of a text, by its length.
var shortMasks = func() (m [shortText + 1]shortWords) {
	for n := range m {
		m[n] = shortWords{firstBytes(n), firstBytes(max(n-8, 0))}
	}
	return m
}()

// appendCodes appends to codes those of texts of a block, none of them empty, whose
// hashes with the interner's seed are known.
func (t *interner) appendCodes(codes []uint32, b *blockText, spans []span, hashes []uint64) []uint32 {
	if t.distinct > 0 {
		return t.appendDistinct(codes, b, spans)
	}
	t.knowShort()
	slots, short := t.slots, t.short
	codes = slices.Grow(codes, len(spans))[:len(codes)+len(spans)]
	out := codes[len(codes)-len(spans):]
	hashes = hashes[:len(spans)]
	for i, s := range spans {
		from, n := int(s.from), s.len()
		if n > shortText {
			out[i] = t.codeOf(b[s.from:s.to], hashes[i])
			t.knowShort()
			slots, short = t.slots, t.short
			continue
		}
		masks := &shortMasks[n&shortText]
		head, tail := b.word(from)&masks.head, b.word(from+8)&masks.tail|uint64(n)<<56
		hash := uint32(hashes[i])
		at := int(hash) & (len(slots) - 1)
		for {
			s := slots[at]
			if s.code == 0 {
				t.addShort(shortWords{head, tail}, n, at, hash)
				slots, short = t.slots, t.short
				out[i] = uint32(len(short) - 1)
				break
			}
			if s.hash == hash && short[s.code-1].head == head && short[s.code-1].tail == tail {
				out[i] = s.code - 1
				break
			}
			at = (at + 1) & (len(slots) - 1)
		}
	}
	return codes
}

// knowShort takes up values that were added in another way.
func (t *interner) knowShort() {
	for code := len(t.short); code < t.dict.Len(); code++ {
		var w [16]byte
		if v := t.dict.Value(uint32(code)); len(v) > 0 && len(v) <= shortText {
			copy(w[:], v)
			w[shortText] = byte(len(v))
		}
		t.short = append(t.short, shortWords{binary.LittleEndian.Uint64(w[:]), binary.LittleEndian.Uint64(w[8:])})
	}
}

// addShort adds a text of n bytes, whose slot is free.
func (t *interner) addShort(w shortWords, n, at int, hash uint32) {
	d := t.dict
	from := len(d.Data)
	d.Data = slices.Grow(d.Data, 16)
	text := d.Data[from:][:16]
	binary.LittleEndian.PutUint64(text, w.head)
	binary.LittleEndian.PutUint64(text[8:], w.tail)
	d.Data = d.Data[:from+n]
	d.Offsets = append(d.Offsets, uint32(from+n))
	t.short = append(t.short, w)
	t.slots[at] = slot{hash, uint32(len(t.short))}
	if 2*len(t.short) > len(t.slots) {
		t.grow()
	}
}

// appendDistinct is appendCodes for texts that are not looked for.
func (t *interner) appendDistinct(codes []uint32, b *blockText, spans []span) []uint32 {
	const atOnce = 32
	size := atOnce
	for _, s := range spans {
		size += s.len()
	}
	d := t.dict
	d.Data = slices.Grow(d.Data, size)
	data, to := d.Data[:cap(d.Data)], len(d.Data)
	code := uint32(d.Len())
	for _, s := range spans {
		n, from := s.len(), int(s.from)
		if value := data[to:][:atOnce]; n <= atOnce {
			binary.LittleEndian.PutUint64(value, b.word(from))
			binary.LittleEndian.PutUint64(value[8:], b.word(from+8))
			binary.LittleEndian.PutUint64(value[16:], b.word(from+16))
			binary.LittleEndian.PutUint64(value[24:], b.word(from+24))
		} else {
			copy(data[to:], b[from:from+n])
		}
		to += n
		d.Offsets = append(d.Offsets, uint32(to))
		codes = append(codes, code)
		code++
	}
	d.Data = d.Data[:to]
	return codes
}
