package event

import "fmt"

// Kind is what a column holds.
type Kind uint8

// The kinds of columns, with the slice of Column that holds their values and
// the DuckDB type that readers see. Kinds are written to files: add at the
// end, never renumber.
const (
	Bool      Kind = iota + 1 // Ints, 0 or 1; BOOLEAN
	Int32                     // Ints; INTEGER
	Int64                     // Ints; BIGINT
	Float64                   // Floats; DOUBLE
	Decimal                   // unscaled, Ints up to 18 digits, Wide above; DECIMAL(p,s)
	Timestamp                 // Ints, microseconds since 1970 as written, no zone; TIMESTAMP
	Date                      // Ints, days since 1970; DATE
	String                    // Codes into Dict, UTF-8; VARCHAR
	Bytes                     // Codes into Dict; BLOB
	Huge                      // Wide, 128-bit integer; HUGEINT
)

// Type is a column's kind and, for decimals, its digits.
type Type struct {
	Kind      Kind
	Precision uint8 // Decimal: 1..38 digits in all
	Scale     uint8 // Decimal: digits behind the point
}

// MaxNarrow is the largest decimal precision whose unscaled values fit Ints.
const MaxNarrow = 18

// Storage is the slice of a Column that holds the values of a type.
type Storage uint8

// The storages.
const (
	InInts Storage = iota
	InFloats
	InWide
	InCodes
)

// Storage returns where a column of type t keeps its values.
func (t Type) Storage() Storage {
	switch t.Kind {
	case Float64:
		return InFloats
	case String, Bytes:
		return InCodes
	case Huge:
		return InWide
	case Decimal:
		if t.Precision > MaxNarrow {
			return InWide
		}
	}
	return InInts
}

// SQL returns DuckDB's name of t.
func (t Type) SQL() string {
	switch t.Kind {
	case Bool:
		return "BOOLEAN"
	case Int32:
		return "INTEGER"
	case Int64:
		return "BIGINT"
	case Float64:
		return "DOUBLE"
	case Decimal:
		return fmt.Sprintf("DECIMAL(%d,%d)", t.Precision, t.Scale)
	case Timestamp:
		return "TIMESTAMP"
	case Date:
		return "DATE"
	case String:
		return "VARCHAR"
	case Bytes:
		return "BLOB"
	case Huge:
		return "HUGEINT"
	}
	return fmt.Sprintf("kind(%d)", t.Kind)
}

func (t Type) String() string { return t.SQL() }

// Field is one named column of a Shape.
type Field struct {
	Name     string
	Type     Type
	Nullable bool
	Doc      string
}

// Shape lists the columns of a batch, in order. It is immutable once made.
type Shape struct {
	Fields []Field
	index  map[string]int
}

// NewShape returns the shape of fields; names must differ.
func NewShape(fields ...Field) *Shape {
	s := &Shape{Fields: fields, index: make(map[string]int, len(fields))}
	for i, f := range fields {
		s.index[f.Name] = i
	}
	return s
}

// Index returns the place of the column called name, or -1.
func (s *Shape) Index(name string) int {
	if i, ok := s.index[name]; ok {
		return i
	}
	return -1
}

// Names returns the column names in order.
func (s *Shape) Names() []string {
	names := make([]string, len(s.Fields))
	for i, f := range s.Fields {
		names[i] = f.Name
	}
	return names
}
