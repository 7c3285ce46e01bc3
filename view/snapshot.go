package view

import (
	"encoding/binary"
	"fmt"
	"unicode/utf8"

	"anabranch/event"
	"anabranch/fault"
)

// A snapshot is the whole state by columns: magic and version, the layout's
// hash, the number of groups; for each key the dictionary, if it is a string;
// the null words; each key's codes; which groups failed; each aggregate of all
// groups. Unlike Groups it keeps the groups in order of appearance, so equal
// states may have different snapshots. docs/formats/state.md describes it.
const snapshotMagic = "ABV\x01"

// AppendBinary appends a snapshot of the whole state to dst. It carries a
// version but no checksum.
func (s *State) AppendBinary(dst []byte) ([]byte, error) {
	if s.broken != nil {
		return dst, s.broken
	}
	t := s.table
	dst = append(dst, snapshotMagic...)
	dst = binary.LittleEndian.AppendUint64(dst, s.layout)
	dst = binary.AppendUvarint(dst, uint64(t.n))
	for _, d := range t.dicts {
		if d == nil {
			continue
		}
		n := d.values.Len()
		dst = binary.AppendUvarint(dst, uint64(n))
		for c := range n {
			dst = binary.AppendUvarint(dst, uint64(d.values.Offsets[c+1]-d.values.Offsets[c]))
		}
		dst = append(dst, d.values.Data...)
	}
	if t.width > 0 {
		for g := range t.n {
			dst = binary.AppendUvarint(dst, t.nulls(t.rec(g)))
		}
	}
	for k, kind := range t.types {
		p, last := &t.places[k], int64(0)
		for g := range t.n {
			v := p.get(t.rec(g))
			switch kind.Storage() {
			case event.InInts:
				dst = appendVarint(dst, int64(v)-last)
				last = int64(v)
			case event.InCodes:
				dst = binary.AppendUvarint(dst, v)
			case event.InFloats:
				dst = binary.LittleEndian.AppendUint64(dst, v)
			case event.InWide:
				dst = binary.LittleEndian.AppendUint64(dst, v)
				dst = binary.LittleEndian.AppendUint64(dst, t.rec(g)[p.word+1])
			}
		}
	}
	failed := make([]byte, (t.n+7)/8)
	for g := range t.n {
		if s.hasFailed(uint32(g)) {
			failed[g/8] |= 1 << (g % 8)
		}
	}
	dst = append(dst, failed...)
	for _, a := range s.slabs {
		encode := a.encoder(nil)
		for g := range t.n {
			dst = encode(dst, uint32(g))
		}
	}
	return dst, nil
}

// UnmarshalBinary replaces the state by the one AppendBinary wrote. For damaged
// bytes, or those of another view, the error is Corrupt and the state is as it
// was.
func (s *State) UnmarshalBinary(data []byte) error {
	fresh := s.view.New()
	if fresh.broken != nil {
		return fresh.broken
	}
	if err := fresh.restore(&reader{b: data}); err != nil {
		return fmt.Errorf("read snapshot of view %s: %w", s.view.Name(), err)
	}
	*s = *fresh
	return nil
}

// restore fills s, which is new.
func (s *State) restore(r *reader) error {
	if string(r.take(len(snapshotMagic))) != snapshotMagic {
		return fault.New(fault.Corrupt, "it does not begin with %q", snapshotMagic)
	}
	if got := r.uint64(); got != s.layout {
		return fault.New(fault.Corrupt, "it is of another view or version: layout %016x, want %016x", got, s.layout)
	}
	if err := s.table.restore(r, len(s.slabs)); err != nil {
		return err
	}
	s.grow()
	failed := r.take((s.table.n + 7) / 8)
	for g := 0; g < s.table.n && !r.bad; g++ {
		if failed[g/8]>>(g%8)&1 == 1 {
			s.setFailed(uint32(g))
		}
	}
	for i, a := range s.slabs {
		for g := 0; g < s.table.n && !r.bad; g++ {
			a.decode(r, uint32(g))
		}
		if r.bad {
			return fault.New(fault.Corrupt, "aggregate %d is not what was written", i)
		}
	}
	if r.bad || len(r.b) > 0 {
		return fault.New(fault.Corrupt, "%d bytes too many or too few", len(r.b))
	}
	return nil
}

// restore fills t, which is new, with what AppendBinary wrote of it.
func (t *table) restore(r *reader, slabs int) error {
	bad := func(what string) error {
		return fault.New(fault.Corrupt, "the keys are not what was written: %s", what)
	}
	if len(t.types)+slabs == 0 {
		// SELECT without anything to keep.
		if r.uvarint() != uint64(t.n) {
			return bad("number of groups")
		}
		return nil
	}
	n := r.count(len(t.types) + slabs)
	if r.bad || t.width == 0 && n != 1 {
		return bad("number of groups")
	}
	for k, d := range t.dicts {
		if d == nil {
			continue
		}
		lengths := make([]int, r.count(1))
		for i := range lengths {
			lengths[i] = r.count(1)
		}
		for i, size := range lengths {
			v := r.take(size)
			if r.bad || t.types[k].Kind == event.String && !utf8.Valid(v) {
				return bad("a string")
			}
			if c, err := d.intern(v); err != nil || c != uint32(i) {
				return bad("a string is there twice")
			}
		}
	}
	if t.width == 0 {
		return nil
	}
	t.rows = make([]uint64, n*t.width)
	w := t.width
	for g := range n {
		v := r.uvarint()
		if v>>len(t.types) != 0 {
			return bad("null bits")
		}
		t.rows[g*w] = v
	}
	for k, kind := range t.types {
		p, last := &t.places[k], int64(0)
		for g := range n {
			var v, low uint64
			ok := true
			switch kind.Storage() {
			case event.InInts:
				last += r.varint()
				v = uint64(last)
				ok = fits(last, kind)
			case event.InCodes:
				v = r.uvarint()
				ok = v < uint64(t.dicts[k].values.Len()) || v == 0
			case event.InFloats:
				v = r.uint64()
				ok = ordFloat(floatOfOrd(int64(v))) == int64(v) || v == 0
			case event.InWide:
				v, low = r.uint64(), r.uint64()
				t.rows[g*w+p.word+1] = low
			}
			null := t.rows[g*w]>>k&1 == 1
			if r.bad || !ok || null && v|low != 0 || !null && kind.Storage() == event.InCodes && t.dicts[k].values.Len() == 0 {
				return bad("a code")
			}
			p.set(t.rows[g*w:(g+1)*w], v)
		}
	}
	if _, err := t.place(n); err != nil || t.n != n {
		return bad("a group is there twice")
	}
	t.rows = nil
	return nil
}

// fits reports whether v is a value of a type kept in Ints.
func fits(v int64, t event.Type) bool {
	switch t.Kind {
	case event.Bool:
		return uint64(v) <= 1
	case event.Int32, event.Date:
		return v == int64(int32(v))
	}
	return true
}
