package schemas

import (
	"encoding/binary"
	"slices"

	"anabranch/event"
)

// partRoom is how many bytes what the key and the id of a line are hashes of
// may have, to be put together for a whole block.
const partRoom = 128

// identify takes down what the first n lines of a block are known by.
func (d *Decoder) identify(b []byte, n int) {
	k, h, first := &d.block, d.hasher, len(d.ids)
	d.hashes = append(d.hashes, k.sums[:n]...)
	d.ids, d.rows.Keys = slices.Grow(d.ids, n)[:first+n], slices.Grow(d.rows.Keys, n)[:first+n]
	ids, keys := d.ids[first:], d.rows.Keys[first:]
	if !k.hash(b, h, ids, keys) {
		for row := range ids {
			for i, kept := range h.kept {
				if kept {
					s := k.spans[i*blockLines+row]
					h.texts[i] = b[s.from:s.to]
				}
			}
			ids[row], _, keys[row] = h.hashes()
		}
	}
	for row := range n {
		d.rows.Lines = append(d.rows.Lines, d.in.line+row)
		d.rows.bounds = append(d.rows.bounds, d.in.from+k.starts[row], d.in.from+k.starts[row+1]-d.layout.lineEnd)
	}
}

// hash does for lines of a block what hasher.hashes does for one, or returns
// false where there is no room for what is hashed. All of that is put together
// before the first hash: to read in eights what has only just been written in other
// pieces makes the processor wait.
func (k *jsonBlock) hash(b []byte, h *hasher, ids []event.ID, keys []uint64) bool {
	clear(k.ends[:len(ids)])
	if !k.pack(b, h.key, len(ids)) {
		return false
	}
	if len(h.key) > 0 {
		for row := range keys {
			keys[row] = hashKey(k.part(row))
		}
	}
	if !k.pack(b, h.id, len(ids)) {
		return false
	}
	for row := range ids {
		ids[row] = hashID(k.part(row))
	}
	if len(h.key) == 0 {
		for row := range keys {
			keys[row] = hashKey(k.part(row))
		}
	}
	return true
}

// part is what the id, or the key, of a line is the hash of.
func (k *jsonBlock) part(row int) []byte { return k.parts[row*partRoom:][:k.ends[row]] }

// pack does for n lines of a block what hasher.appendParts does for one, or returns
// false. It copies words, and so some bytes behind a text.
func (k *jsonBlock) pack(b []byte, fields []int, n int) bool {
	for _, i := range fields {
		for row, s := range k.spans[i*blockLines:][:n] {
			at, length := k.ends[row], int(s.to-s.from)
			if at+length > partRoom-12 {
				return false
			}
			part := k.parts[row*partRoom+at:][:length+12]
			text := b[s.from:][:length+8]
			binary.LittleEndian.PutUint32(part, uint32(length))
			part = part[4:]
			for len(part) >= 16 && len(text) >= 16 {
				binary.LittleEndian.PutUint64(part, binary.LittleEndian.Uint64(text))
				binary.LittleEndian.PutUint64(part[8:], binary.LittleEndian.Uint64(text[8:]))
				part, text = part[16:], text[16:]
			}
			if len(part) >= 8 && len(text) >= 8 {
				binary.LittleEndian.PutUint64(part, binary.LittleEndian.Uint64(text))
			}
			k.ends[row] = at + 4 + length
		}
	}
	return true
}
