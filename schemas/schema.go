package schemas

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"

	"github.com/twmb/avro"

	"anabranch/event"
)

// Schema is one version of an event's shape. It is immutable and safe for
// concurrent use.
type Schema struct {
	version     uint32
	text        []byte
	fingerprint string
	avro        *avro.Schema
	fields      []field
	shape       *event.Shape
	frames      *frameCodec
}

// Parse reads a schema from Avro text: a record of null-unions, boolean, int,
// long, float, double, string, bytes, enum and the logical types decimal,
// date, timestamp-millis, timestamp-micros and their local forms, with
// defaults, aliases and docs. Float and double both become DOUBLE. The error
// is a *Problem (Invalid).
func Parse(version uint32, text []byte) (*Schema, error) {
	parsed, fields, p := parseAvro(text)
	if p != nil {
		return nil, p
	}
	shape := make([]event.Field, len(fields))
	for i := range fields {
		shape[i] = fields[i].Field
	}
	s := &Schema{version: version, text: slices.Clone(text), avro: parsed, fields: fields, shape: event.NewShape(shape...)}
	var err error
	if s.frames, err = newFrameCodec(s.shape); err != nil {
		return nil, err
	}
	s.fingerprint = fingerprint(fields)
	return s, nil
}

// fingerprint hashes what fields mean.
func fingerprint(fields []field) string {
	h := sha256.New()
	for i := range fields {
		f := &fields[i]
		fmt.Fprintf(h, "%q %v %t %q %t %t %q", f.Name, f.Type, f.Nullable, f.aliases, f.millis, f.zoned, f.symbols)
		if f.other != nil {
			fmt.Fprintf(h, " other %q", *f.other)
		}
		if f.layout != "" {
			fmt.Fprintf(h, " format %q", f.layout)
		}
		if v := f.byDef; v != nil {
			fmt.Fprintf(h, " default %t %d %v %v %q", v.null, v.i, v.f, v.w, v.bytes)
		}
		fmt.Fprintln(h)
	}
	return hex.EncodeToString(h.Sum(nil)[:16])
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
