package schemas

import (
	"encoding/binary"
	"math"

	"github.com/zeebo/xxh3"

	"anabranch/event"
	"anabranch/fault"
	"anabranch/internal/planted"
)

// Identity tells how an event's id, content hash and key hash are computed.
// All of them work on raw text: the bytes of a field as received, where null,
// absent and empty are the same.
type Identity struct {
	Fields  []string // what identifies an event
	Content bool     // Fields are content, which may be empty; else each of them must be there
	Key     []string // what orders events; empty: the fields of the id
	Time    string   // the event time: a Timestamp or Date field; may be empty
}

// hasher computes the identities of rows, one after the other. What it hashes
// is durable: docs/formats/frame.md.
type hasher struct {
	id, key []int    // fields
	names   []uint64 // for each field the hash of its name
	needID  bool     // the fields of the id must not be empty
	text    []byte
	bounds  []int // field i, with its length in front, is text[bounds[i]:bounds[i+1]]
	part    []byte
}

func (s *Schema) newHasher(id Identity) (*hasher, error) {
	h := &hasher{needID: !id.Content, bounds: make([]int, 1, len(s.fields)+1)}
	if len(id.Fields) == 0 {
		return nil, fault.New(fault.Invalid, "the event id has no fields: name at least one")
	}
	for _, name := range s.shape.Names() {
		h.names = append(h.names, xxh3.HashString(name))
	}
	for _, name := range id.Fields {
		i := s.shape.Index(name)
		if i < 0 {
			return nil, fault.New(fault.Invalid, "event id: the schema has no field %q: %s", name, DidYouMean(name, s.shape.Names()))
		}
		h.id = append(h.id, i)
	}
	for _, name := range id.Key {
		i := s.shape.Index(name)
		if i < 0 {
			return nil, fault.New(fault.Invalid, "event key: the schema has no field %q: %s", name, DidYouMean(name, s.shape.Names()))
		}
		h.key = append(h.key, i)
	}
	return h, nil
}

// begin starts a new row; add takes the raw texts of its fields, in order.
func (h *hasher) begin() { h.text, h.bounds = h.text[:0], h.bounds[:1] }

func (h *hasher) add(raw []byte) {
	h.text = binary.LittleEndian.AppendUint32(h.text, uint32(len(raw)))
	h.text = append(h.text, raw...)
	h.bounds = append(h.bounds, len(h.text))
}

// content hashes what an event says: the sum over its fields that are not
// empty. So a copy stays the same event when the schema has got fields since,
// or has them in another order.
func (h *hasher) content() uint64 {
	var sum uint64
	for i, name := range h.names {
		if text := h.text[h.bounds[i]+4 : h.bounds[i+1]]; len(text) > 0 {
			sum += xxh3.HashSeed(text, name)
		}
	}
	return sum
}

// hashes returns the id, the hash of the content and that of the key.
func (h *hasher) hashes() (id event.ID, content, key uint64) {
	content = h.content()
	h.part = h.part[:0]
	for _, i := range h.key {
		h.part = append(h.part, h.text[h.bounds[i]:h.bounds[i+1]]...)
	}
	keyed := len(h.part)
	for _, i := range h.id {
		h.part = append(h.part, h.text[h.bounds[i]:h.bounds[i+1]]...)
	}
	if keyed == 0 { // the id is its own key
		key = xxh3.Hash(h.part)
	} else {
		key = xxh3.Hash(h.part[:keyed])
	}
	sum := xxh3.Hash128(h.part)
	if planted.On(planted.ShortID) {
		sum.Hi, sum.Lo = 0, sum.Lo&math.MaxUint32
	}
	return event.ID{Hi: sum.Hi, Lo: sum.Lo}, content, key
}
