package schemas

import (
	"fmt"
	"math/big"
	"strings"

	"github.com/twmb/avro"

	"anabranch/event"
)

// field is what a schema knows of a field beyond its shape.
type field struct {
	event.Field
	aliases []string
	millis  bool     // Timestamp: epoch numbers count milliseconds, else microseconds
	zoned   bool     // Timestamp: a moment in time, kept in UTC; else a wall clock, kept as written
	symbols []string // enum: the values there are
	other   *string  // enum: stands for a symbol that is not among them
	layout  string   // Date and Timestamp: how texts are written, when not as ISO 8601
	byDef   *value   // default; nil when there is none
}

// value is one cell outside of a column.
type value struct {
	null  bool
	i     int64
	f     float64
	w     event.Int128
	bytes []byte
}

// Logical types that are understood, by the type they stand on.
var logical = map[string][]string{
	"int":   {"date"},
	"long":  {"timestamp-millis", "timestamp-micros", "local-timestamp-millis", "local-timestamp-micros"},
	"bytes": {"decimal"},
	"fixed": {"decimal"},
}

// parseAvro reads the fields of a record, or says which one is wrong.
func parseAvro(text []byte) (*avro.Schema, []field, *Problem) {
	if p := checkJSON(text); p != nil {
		return nil, nil, p
	}
	places := placeFields(text)
	at := func(i int, p *Problem) *Problem {
		if i < len(places) {
			p.Line, p.Column = lineColumn(text, places[i].offset)
		}
		return p
	}
	parsed, err := avro.Parse(string(text))
	if err != nil {
		// The parser does not tell the place: ask it for one field at a time.
		for i, place := range places {
			alone := fmt.Sprintf(`{"type":"record","name":"one","fields":[%s]}`, place.raw)
			if _, e := avro.Parse(alone); e != nil {
				return nil, nil, at(i, &Problem{Field: place.name, Message: plain(e)})
			}
		}
		return nil, nil, &Problem{Line: 1, Column: 1, Message: plain(err)}
	}
	root := parsed.Root().ExpandReferences()
	if root.Type != "record" {
		return nil, nil, &Problem{Line: 1, Column: 1, Message: fmt.Sprintf("the schema is %s", article(root.Type)), Hint: "an event is a record with fields"}
	}
	if len(root.Fields) == 0 {
		return nil, nil, &Problem{Line: 1, Column: 1, Message: "the record has no fields"}
	}
	fields := make([]field, len(root.Fields))
	seen := map[string]int{}
	for i := range root.Fields {
		f, p := readField(&root.Fields[i])
		if p == nil {
			for _, name := range append([]string{f.Name}, f.aliases...) {
				if _, twice := seen[name]; twice {
					p = &Problem{Message: fmt.Sprintf("the name %q is used twice", name)}
				}
				seen[name] = i
			}
		}
		if p != nil {
			p.Field = root.Fields[i].Name
			return nil, nil, at(i, p)
		}
		fields[i] = f
	}
	return parsed, fields, nil
}

func readField(f *avro.SchemaField) (field, *Problem) {
	out := field{Field: event.Field{Name: f.Name, Doc: f.Doc}, aliases: f.Aliases}
	if strings.HasPrefix(f.Name, "_") {
		return out, &Problem{Message: "names that begin with _ are kept for columns of the system", Hint: "give it another name"}
	}
	node := &f.Type
	if node.Type == "union" {
		var rest []*avro.SchemaNode
		for i := range node.Branches {
			if node.Branches[i].Type == "null" {
				out.Nullable = true
			} else {
				rest = append(rest, &node.Branches[i])
			}
		}
		if len(rest) != 1 {
			return out, &Problem{Message: fmt.Sprintf("a union of %d types", len(rest)), Hint: `use one type, or ["null", type]`}
		}
		node = rest[0]
	}
	if p := readType(&out, node); p != nil {
		return out, p
	}
	if format, ok := f.Props["format"]; ok {
		if p := readLayout(&out, format); p != nil {
			return out, p
		}
	}
	if f.HasDefault {
		v, p := readDefault(out.Type, f.Default)
		if p != nil {
			return out, p
		}
		out.byDef = v
	}
	return out, nil
}

func readType(out *field, node *avro.SchemaNode) *Problem {
	known := false
	for _, l := range logical[node.Type] {
		known = known || l == node.LogicalType
	}
	if node.LogicalType != "" && !known && node.Type != "string" {
		p := &Problem{Message: fmt.Sprintf("logical type %q on %s is not supported", node.LogicalType, node.Type)}
		if c := logical[node.Type]; len(c) > 0 {
			p.Hint = DidYouMean(node.LogicalType, c)
		}
		return p
	}
	switch node.Type {
	case "boolean":
		out.Type.Kind = event.Bool
	case "int":
		out.Type.Kind = event.Int32
		if node.LogicalType == "date" {
			out.Type.Kind = event.Date
		}
	case "long":
		out.Type.Kind = event.Int64
		if node.LogicalType != "" {
			out.Type.Kind = event.Timestamp
			out.millis = strings.HasSuffix(node.LogicalType, "millis")
			out.zoned = !strings.HasPrefix(node.LogicalType, "local-")
		}
	case "float", "double":
		out.Type.Kind = event.Float64
	case "string":
		out.Type.Kind = event.String
	case "enum":
		out.Type.Kind = event.String
		out.symbols = node.Symbols
		if node.HasEnumDefault {
			out.other = &node.EnumDefault
		}
	case "bytes", "fixed":
		switch {
		case node.LogicalType == "decimal":
			if node.Precision < 1 || node.Precision > 38 || node.Scale < 0 || node.Scale > node.Precision {
				return &Problem{Message: fmt.Sprintf("decimal(%d,%d)", node.Precision, node.Scale), Hint: "use a precision of 1 to 38 digits and a scale up to the precision"}
			}
			out.Type = event.Type{Kind: event.Decimal, Precision: uint8(node.Precision), Scale: uint8(node.Scale)}
		case node.Type == "fixed":
			return &Problem{Message: "fixed without a decimal is not supported", Hint: "use bytes"}
		default:
			if _, precise := node.Props["precision"]; precise {
				return &Problem{Message: "precision without a logical type", Hint: `add "logicalType": "decimal"`}
			}
			out.Type.Kind = event.Bytes
		}
	default:
		return &Problem{Message: fmt.Sprintf("%s is not supported", article(node.Type)), Hint: "an event is flat: give each inner value a field of its own, or keep it as JSON text in a string"}
	}
	return nil
}

func readDefault(t event.Type, v any) (*value, *Problem) {
	switch v := v.(type) {
	case nil:
		return &value{null: true}, nil
	case bool:
		if v {
			return &value{i: 1}, nil
		}
		return &value{}, nil
	case int32:
		return numberDefault(t, int64(v)), nil
	case int64:
		return numberDefault(t, v), nil
	case float32:
		return &value{f: float64(v)}, nil
	case float64:
		return &value{f: v}, nil
	case string:
		return &value{bytes: []byte(v)}, nil
	case []byte:
		if t.Kind != event.Decimal {
			return &value{bytes: v}, nil
		}
		n := new(big.Int).SetBytes(v)
		if len(v) > 0 && v[0]&0x80 != 0 {
			n.Sub(n, new(big.Int).Lsh(big.NewInt(1), uint(8*len(v))))
		}
		w, fits := event.Int128FromBig(n)
		if !fits || !fitsDigits(w, t.Precision) {
			return nil, &Problem{Message: fmt.Sprintf("the default has more than %d digits", t.Precision)}
		}
		return &value{i: w.Int64(), w: w}, nil
	}
	return nil, &Problem{Message: fmt.Sprintf("the default is a %T", v)}
}

func numberDefault(t event.Type, v int64) *value {
	if t.Kind == event.Float64 {
		return &value{f: float64(v)}
	}
	return &value{i: v}
}

// fitsDigits reports whether an unscaled decimal has at most n digits.
func fitsDigits(w event.Int128, n uint8) bool {
	limit := powers[n]
	minus, ok := limit.Neg()
	return ok && w.Compare(limit) < 0 && w.Compare(minus) > 0
}

// powersNarrow holds 10^0 to 10^18.
var powersNarrow = func() (p [event.MaxNarrow + 1]int64) {
	for i := range p {
		p[i] = powers[i].Int64()
	}
	return p
}()

// powers holds 10^0 to 10^38.
var powers = func() (p [39]event.Int128) {
	p[0] = event.Int128Of(1)
	for i := 1; i < len(p); i++ {
		p[i], _ = event.Int128FromBig(new(big.Int).Mul(p[i-1].Big(), big.NewInt(10)))
	}
	return p
}()

// plain takes the library's own name off its messages.
func plain(err error) string { return strings.TrimPrefix(err.Error(), "avro: ") }

func article(kind string) string {
	if kind != "" && strings.IndexByte("aeiou", kind[0]) >= 0 {
		return "an " + kind
	}
	return "a " + kind
}

// appendValue adds v to a column; a dictionary column has its code already.
func appendValue(c *event.Column, v *value) {
	switch c.Type.Storage() {
	case event.InInts:
		c.Ints = append(c.Ints, v.i)
	case event.InFloats:
		c.Floats = append(c.Floats, v.f)
	case event.InWide:
		c.Wide = append(c.Wide, v.w)
	}
}
