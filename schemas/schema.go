package schemas

import (
	"slices"

	"anabranch/event"
	"anabranch/fault"
)

// Schema is one version of an event's shape. It is immutable and safe for
// concurrent use.
type Schema struct {
	version     uint32
	text        []byte
	fingerprint string
	shape       *event.Shape
	frames      *frameCodec
}

// Parse reads a schema from Avro text: a record of null-unions, boolean, int,
// long, float, double, string, bytes, enum and the logical types decimal,
// date, timestamp-millis, timestamp-micros and their local forms, with
// defaults, aliases and docs. The error is a *Problem (Invalid).
func Parse(version uint32, avro []byte) (*Schema, error) {
	return nil, fault.New(fault.Bug, "schemas.Parse is not built yet")
}

// Version returns the number by which frames and files name the schema.
func (s *Schema) Version() uint32 { return s.version }

// Shape returns the columns of a batch of the schema.
func (s *Schema) Shape() *event.Shape { return s.shape }

// Text returns the Avro text as it was parsed; the caller does not change it.
func (s *Schema) Text() []byte { return s.text }

// Fingerprint identifies what the schema means: equal for texts that differ
// only in docs, layout and order of attributes.
func (s *Schema) Fingerprint() string { return s.fingerprint }

// Upgrade returns b, written with the schema from, as a batch of s: fields are
// found by name or alias, new ones take their default, narrow ones are
// promoted. Columns that need no change are shared. IDs and hashes stay.
// Errors: Invalid when s cannot read from.
func (s *Schema) Upgrade(b *event.Batch, from *Schema) (*event.Batch, error) {
	return nil, fault.New(fault.Bug, "schemas.Upgrade is not built yet")
}

// Compatible reports whether new can read everything that old has written;
// the error is Invalid and names the field and the reason.
func Compatible(old, new *Schema) error {
	return fault.New(fault.Bug, "schemas.Compatible is not built yet")
}

// Set holds all versions of one pipeline's schema. It is immutable.
type Set struct{ versions []*Schema }

// NewSet returns the set of the given schemas; of two with one version the
// later one counts.
func NewSet(schemas ...*Schema) *Set {
	s := &Set{}
	for _, one := range schemas {
		at, found := slices.BinarySearchFunc(s.versions, one.version, compareVersion)
		if found {
			s.versions[at] = one
			continue
		}
		s.versions = slices.Insert(s.versions, at, one)
	}
	return s
}

func compareVersion(s *Schema, version uint32) int {
	switch {
	case s.version < version:
		return -1
	case s.version > version:
		return 1
	}
	return 0
}

// Get returns the schema of a version.
func (s *Set) Get(version uint32) (*Schema, bool) {
	at, found := slices.BinarySearchFunc(s.versions, version, compareVersion)
	if !found {
		return nil, false
	}
	return s.versions[at], true
}

// Newest returns the schema with the highest version, nil in an empty set.
func (s *Set) Newest() *Schema {
	if len(s.versions) == 0 {
		return nil
	}
	return s.versions[len(s.versions)-1]
}
