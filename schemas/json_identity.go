package schemas

import (
	"encoding/binary"
	"slices"

	"anabranch/event"
)

// partRoom is how many bytes what the key and the id of a line are hashes of
// may have, to be put together for a whole block.
const partRoom = 128

// partSlot is how many bytes there are for them.
const partSlot = partRoom + 36

// identify takes down what the first n lines of a block are known by.
func (d *Decoder) identify(b *blockText, n int) {
	k, h, first := &d.block, d.hasher, len(d.ids)
	d.hashes = append(d.hashes, k.sums[:n]...)
	d.ids, d.rows.Keys = slices.Grow(d.ids, n)[:first+n], slices.Grow(d.rows.Keys, n)[:first+n]
	ids, keys := d.ids[first:], d.rows.Keys[first:]
	if !k.hash(b, h, ids, keys) {
		for row := range ids {
			for i, kept := range h.kept {
				if kept {
					h.texts[i] = k.spans[i*blockLines+row].of(b, d.scratch)
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
// false where there is no room for what is hashed, or a part of it was unescaped. All of that is put together
// before the first hash: to read in eights what has only just been written in other
// pieces makes the processor wait.
func (k *jsonBlock) hash(b *blockText, h *hasher, ids []event.ID, keys []uint64) bool {
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
func (k *jsonBlock) part(row int) []byte { return k.parts[row*partSlot:][:k.ends[row]] }

// pack does for n lines of a block what hasher.appendParts does for one, or returns
// false. Of a text it copies 32 bytes at once, whatever stands behind it.
func (k *jsonBlock) pack(b *blockText, fields []int, n int) bool {
	for _, i := range fields {
		for row, s := range k.spans[i*blockLines:][:n] {
			at, length := k.ends[row], int(s.to-s.from)
			k.ends[row] = at + 4 + length
			switch {
			case at+4+length > partRoom, length < 0:
				return false
			case length <= 32:
				part := k.parts[row*partSlot+at:][:36:36]
				binary.LittleEndian.PutUint32(part, uint32(length))
				for i := 0; i < 32; i += 8 {
					binary.LittleEndian.PutUint64(part[4+i:], b.word(int(s.from)+i))
				}
			default:
				part := k.parts[row*partSlot+at:]
				binary.LittleEndian.PutUint32(part, uint32(length))
				copy(part[4:], b[s.from:s.to])
			}
		}
	}
	return true
}
