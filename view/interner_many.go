package view

import "anabranch/event"

// together is how many texts are looked up at once: as many misses of the
// cache as may overlap, and few enough that what they loaded is still there.
const together = 256

// internAll writes code+1 of the texts of from that have the given codes to known, by
// their codes there. A text that was met before is found in three places, each at random in
// megabytes: its entry in the index, where it begins, its bytes. Each is loaded
// for many texts at once, in loops that wait for nothing in between. The
// error is Full.
func (d *interner) internAll(from *event.Dict, codes, known []uint32) error {
	var hashes, found [together]uint32
	for len(codes) > 0 {
		n := min(len(codes), together)
		asked := codes[:n]
		codes = codes[n:]
		d.reserve(n)
		for i, code := range asked {
			hashes[i] = textHash(from.Value(code))
		}
		d.load(hashes[:n], found[:n])
		for i, code := range asked {
			v := from.Value(code)
			if c := found[i]; c != 0 && equalTexts(d.text(c-1), v) {
				known[code] = c
				continue
			}
			c, err := d.put(v, hashes[i])
			if err != nil {
				return err
			}
			known[code] = c + 1
		}
	}
	return nil
}

// load finds for each hash code+1 of the first text that may have it, or 0, and loads what
// that text is compared by.
func (d *interner) load(hashes, found []uint32) {
	index, mask := d.index, len(d.index)-1
	sum := uint64(0)
	for _, h := range hashes {
		sum += index[h>>d.shift]
	}
	for i, h := range hashes {
		p := int(h >> d.shift)
		for index[p] != 0 && uint32(index[p]>>32) != h {
			p = (p + 1) & mask
		}
		found[i] = uint32(index[p])
	}
	offsets, data := d.values.Offsets, d.values.Data
	switch n := uint64(d.each); {
	case len(data) == 0:
	case n > 0:
		for _, c := range found {
			sum += uint64(data[uint64(max(c, 1)-1)*n])
		}
	default:
		for _, c := range found {
			sum += uint64(offsets[max(c, 1)-1])
		}
		for _, c := range found {
			sum += uint64(data[min(int(offsets[max(c, 1)-1]), len(data)-1)])
		}
	}
	d.loaded = sum
}
