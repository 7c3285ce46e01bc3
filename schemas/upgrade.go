package schemas

import (
	"errors"
	"fmt"
	"slices"

	"github.com/twmb/avro"

	"anabranch/event"
	"anabranch/fault"
	"anabranch/internal/planted"
)

// Compatible reports whether new can read everything that old has written;
// the error is Invalid and names the field and the reason.
func Compatible(old, new *Schema) error {
	for i := range new.fields {
		f := &new.fields[i]
		from := f.source(old)
		if from < 0 {
			if f.byDef == nil {
				return incompatible(f.Name, "it is new and has no default", `add a "default"`)
			}
			continue
		}
		if what, hint := f.reads(&old.fields[from]); what != "" {
			return incompatible(f.Name, what, hint)
		}
	}
	// Avro's own rule has the last word, so that files of ours can become
	// files of Avro without surprise.
	if err := avro.CheckCompatibility(old.avro, new.avro); err != nil {
		var c *avro.CompatibilityError
		if errors.As(err, &c) {
			return incompatible(c.Path, c.Detail, "")
		}
		return fault.Wrap(fault.Invalid, err)
	}
	return nil
}

func incompatible(field, what, hint string) error {
	return &Problem{Field: field, Message: what, Hint: hint}
}

// source returns which field of old f continues, or -1.
func (f *field) source(old *Schema) int {
	if i := old.shape.Index(f.Name); i >= 0 {
		return i
	}
	for _, a := range f.aliases {
		if i := old.shape.Index(a); i >= 0 {
			return i
		}
	}
	return -1
}

// reads says why f cannot read values of old, and what to do; "" when it can.
func (f *field) reads(old *field) (what, hint string) {
	a, b := old.Type, f.Type
	switch {
	case a == b:
	case a.Kind == event.Int32 && (b.Kind == event.Int64 || b.Kind == event.Float64), a.Kind == event.Int64 && b.Kind == event.Float64:
	case a.Kind == event.Decimal && b.Kind == event.Decimal:
		return fmt.Sprintf("decimal(%d,%d) cannot become decimal(%d,%d)", a.Precision, a.Scale, b.Precision, b.Scale), "add a new field for the new precision"
	default:
		return fmt.Sprintf("%s cannot become %s", a, b), "int may become long or double, long may become double; add a new field for anything else"
	}
	switch {
	case old.Nullable && !f.Nullable:
		return "it was nullable: there may be nulls in what was written", `keep ["null", type]`
	case a.Kind == event.Timestamp && old.zoned != f.zoned:
		return "a timestamp in UTC and a local-timestamp mean different moments", "add a new field"
	case f.symbols != nil && old.symbols == nil:
		return "a string cannot become an enum: any text may have been written", "keep the string"
	case f.symbols == nil && old.symbols != nil:
		return "an enum cannot become a string", "Avro has no such rule; keep the enum and add symbols to it"
	case f.symbols != nil && f.other == nil:
		for _, s := range old.symbols {
			if !slices.Contains(f.symbols, s) {
				return fmt.Sprintf("the symbol %q is gone", s), `keep it, or give the enum a "default"`
			}
		}
	}
	return "", ""
}

// Upgrade returns b, written with the schema from, as a batch of s: fields are
// found by name or alias, new ones take their default, narrow ones are
// promoted. Columns that need no change are shared. IDs and hashes stay.
// Errors: Invalid when s cannot read from.
func (s *Schema) Upgrade(b *event.Batch, from *Schema) (*event.Batch, error) {
	if s == from || s.version == from.version && s.fingerprint == from.fingerprint {
		return b, nil
	}
	out := &event.Batch{Shape: s.shape, N: b.N, Columns: make([]event.Column, len(s.fields)), IDs: b.IDs, Hashes: b.Hashes}
	for i := range s.fields {
		f := &s.fields[i]
		at := f.source(from)
		if at < 0 {
			if f.byDef == nil {
				return nil, fmt.Errorf("read schema version %d with version %d: %w", from.version, s.version, incompatible(f.Name, "it is new and has no default", `add a "default"`))
			}
			out.Columns[i] = f.constant(b.N)
			continue
		}
		if what, hint := f.reads(&from.fields[at]); what != "" {
			return nil, fmt.Errorf("read schema version %d with version %d: %w", from.version, s.version, incompatible(f.Name, what, hint))
		}
		out.Columns[i] = f.promote(&b.Columns[at], b.N)
	}
	return out, nil
}

// constant returns n rows of the default.
func (f *field) constant(n int) event.Column {
	c := event.Column{Type: f.Type}
	if f.byDef.null || planted.On(planted.DefaultLost) {
		c.Valid = event.NewBitmap(n)
	}
	if f.Type.Storage() == event.InCodes {
		c.Dict = &event.Dict{}
		c.Dict.Append(f.byDef.bytes)
		c.Codes = make([]uint32, n)
		return c
	}
	for range n {
		appendValue(&c, f.byDef)
	}
	return c
}

// promote returns c as a column of f's type; reads has said that it can be.
func (f *field) promote(c *event.Column, n int) event.Column {
	out := *c
	out.Type = f.Type
	switch {
	case f.Type.Kind == event.Float64 && c.Type.Kind != event.Float64:
		out.Ints, out.Floats = nil, make([]float64, n)
		for i, v := range c.Ints[:n] {
			out.Floats[i] = float64(v)
		}
	case f.symbols != nil && f.other != nil:
		out.Dict, out.Codes = f.knownSymbols(c, n)
	}
	return out
}

// knownSymbols puts the enum's default in the place of symbols that are gone.
func (f *field) knownSymbols(c *event.Column, n int) (*event.Dict, []uint32) {
	gone := false
	for code := range uint32(c.Dict.Len()) {
		gone = gone || !slices.Contains(f.symbols, string(c.Dict.Value(code)))
	}
	if !gone {
		return c.Dict, c.Codes
	}
	var t interner
	t.reset()
	codes := make([]uint32, n)
	for i := range n {
		if !c.Valid.Get(i) {
			continue
		}
		v := c.Dict.Value(c.Codes[i])
		if !slices.Contains(f.symbols, string(v)) {
			v = []byte(*f.other)
		}
		codes[i] = t.code(v)
	}
	return t.dict, codes
}
