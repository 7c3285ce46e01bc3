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
	kept    []bool   // for each field whether it is part of the id or the key
	texts   [][]byte // of those, of the row at hand
	content uint64   // the hash of what the row at hand says
	part    []byte
}

func (s *Schema) newHasher(id Identity) (*hasher, error) {
	h := &hasher{needID: !id.Content, kept: make([]bool, len(s.fields)), texts: make([][]byte, len(s.fields))}
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
		h.id, h.kept[i] = append(h.id, i), true
	}
	for _, name := range id.Key {
		i := s.shape.Index(name)
		if i < 0 {
			return nil, fault.New(fault.Invalid, "event key: the schema has no field %q: %s", name, DidYouMean(name, s.shape.Names()))
		}
		h.key, h.kept[i] = append(h.key, i), true
	}
	return h, nil
}

// begin starts a new row.
func (h *hasher) begin() { h.content = 0 }

// add takes the raw text of a field and returns its hash, 0 when it is empty.
//
// The content hash, what an event says, is the sum over its fields that are not
// empty. So a copy stays the same event when the schema has got fields since,
// or has them in another order.
func (h *hasher) add(field int, raw []byte) uint64 {
	if h.kept[field] { // a pointer that is written costs while the collector runs
		h.texts[field] = raw
	}
	if len(raw) == 0 {
		return 0
	}
	hash := xxh3.HashSeed(raw, h.names[field])
	h.content += hash
	return hash
}

// appendParts appends fields, each with its length in front.
func (h *hasher) appendParts(part []byte, fields []int) []byte {
	for _, i := range fields {
		part = binary.LittleEndian.AppendUint32(part, uint32(len(h.texts[i])))
		part = append(part, h.texts[i]...)
	}
	return part
}

// hashes returns the id, the hash of the content and that of the key.
func (h *hasher) hashes() (id event.ID, content, key uint64) {
	part := h.appendParts(h.part[:0], h.key)
	keyed := len(part)
	part = h.appendParts(part, h.id)
	h.part = part
	if keyed == 0 {
		keyed = len(part) // the id is its own key
	}
	return hashID(part), h.content, hashKey(part[:keyed])
}

func hashKey(part []byte) uint64 { return xxh3.Hash(part) }

func hashID(part []byte) event.ID {
	sum := xxh3.Hash128(part)
	if planted.On(planted.ShortID) {
		sum.Hi, sum.Lo = 0, sum.Lo&math.MaxUint32
	}
	return event.ID{Hi: sum.Hi, Lo: sum.Lo}
}
