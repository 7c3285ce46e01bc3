package schemas

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"anabranch/event"
	"anabranch/fault"
)

// record wraps fields in a record called event.
func record(fields ...string) string {
	return `{"type": "record", "name": "event", "fields": [` + "\n" + strings.Join(fields, ",\n") + `]}`
}

func mustParse(t testing.TB, version uint32, text string) *Schema {
	t.Helper()
	s, err := Parse(version, []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestParseTypes(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		avro string
		want string
	}{
		{`"boolean"`, "BOOLEAN"},
		{`"int"`, "INTEGER"},
		{`"long"`, "BIGINT"},
		{`"float"`, "DOUBLE"},
		{`"double"`, "DOUBLE"},
		{`"string"`, "VARCHAR"},
		{`{"type": "string", "logicalType": "uuid"}`, "VARCHAR"},
		{`"bytes"`, "BLOB"},
		{`{"type": "enum", "name": "e", "symbols": ["A", "B"]}`, "VARCHAR"},
		{`{"type": "bytes", "logicalType": "decimal", "precision": 10, "scale": 3}`, "DECIMAL(10,3)"},
		{`{"type": "fixed", "name": "d", "size": 16, "logicalType": "decimal", "precision": 38, "scale": 0}`, "DECIMAL(38,0)"},
		{`{"type": "int", "logicalType": "date"}`, "DATE"},
		{`{"type": "long", "logicalType": "timestamp-millis"}`, "TIMESTAMP"},
		{`{"type": "long", "logicalType": "timestamp-micros"}`, "TIMESTAMP"},
		{`{"type": "long", "logicalType": "local-timestamp-millis"}`, "TIMESTAMP"},
		{`{"type": "long", "logicalType": "local-timestamp-micros"}`, "TIMESTAMP"},
		{`["null", "long"]`, "BIGINT null"},
		{`["string", "null"]`, "VARCHAR null"},
	} {
		s, err := Parse(7, []byte(record(`{"name": "a", "doc": "what", "type": `+c.avro+`}`)))
		if err != nil {
			t.Errorf("%s: %v", c.avro, err)
			continue
		}
		f := s.Shape().Fields[0]
		got := f.Type.SQL()
		if f.Nullable {
			got += " null"
		}
		if got != c.want || f.Doc != "what" || s.Version() != 7 {
			t.Errorf("%s: %s, want %s", c.avro, got, c.want)
		}
	}
}

func TestParseProblems(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, text, want string }{
		{"empty", "", `1:1: not JSON: EOF`},
		{"syntax", "{\n \"type\": record}", `2:10: not JSON: invalid character 'r' looking for beginning of value`},
		{"more", `{"type":"record","name":"e","fields":[{"name":"a","type":"int"}]} x`, `more text behind the schema`},
		{"no record", `"string"`, `1:1: the schema is a string: an event is a record with fields`},
		{"no fields", record(), `1:1: the record has no fields`},
		{"no type", record(`{"name": "a", "type": "int"}`, `{"name": "b"}`), `3:1: field "b": `},
		{"unknown type", record(`{"name": "a", "type": "int"}`, ` {"name": "b", "type": "strng"}`), `3:2: field "b": `},
		{"record inside", record(`{"name": "a", "type": {"type": "record", "name": "r", "fields": []}}`), `2:1: field "a": a record is not supported: an event is flat`},
		{"array", record(`{"name": "a", "type": {"type": "array", "items": "int"}}`), `2:1: field "a": an array is not supported`},
		{"union", record(`{"name": "a", "type": ["int", "string"]}`), `2:1: field "a": a union of 2 types: use one type, or ["null", type]`},
		{"logical typo", record(`{"name": "a", "type": {"type": "long", "logicalType": "timestamp-milis"}}`), `2:1: field "a": logical type "timestamp-milis" on long is not supported: did you mean "timestamp-millis"?`},
		{"nanos", record(`{"name": "a", "type": {"type": "long", "logicalType": "timestamp-nanos"}}`), `logical type "timestamp-nanos" on long is not supported`},
		{"digits", record(`{"name": "a", "type": {"type": "bytes", "logicalType": "decimal", "precision": 39}}`), `2:1: field "a": decimal(39,0): use a precision of 1 to 38`},
		{"system name", record(`{"name": "_id", "type": "int"}`), `2:1: field "_id": names that begin with _ are kept`},
		{"twice", record(`{"name": "a", "type": "int"}`, `{"name": "b", "type": "int", "aliases": ["a"]}`), `"a"`},
		{"default", record(`{"name": "a", "type": "int", "default": "x"}`), `2:1: field "a": `},
		{"fixed", record(`{"name": "a", "type": {"type": "fixed", "name": "f", "size": 4}}`), `fixed without a decimal is not supported: use bytes`},
	} {
		_, err := Parse(1, []byte(c.text))
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %s", c.name, err, c.want)
		}
		var p *Problem
		if !errors.As(err, &p) || !fault.Is(err, fault.Invalid) {
			t.Errorf("%s: %T is not a Problem", c.name, err)
		}
	}
}

func TestFingerprintIsOfTheMeaning(t *testing.T) {
	t.Parallel()
	base := mustParse(t, 1, record(`{"name": "a", "type": "int"}`))
	same := mustParse(t, 2, `{"name":"event","doc":"x","fields":[{"type":{"type":"int"},"doc":"y","name":"a"}],"type":"record"}`)
	if base.Fingerprint() != same.Fingerprint() || len(base.Fingerprint()) != 32 {
		t.Error("docs and layout change the fingerprint")
	}
	for _, other := range []string{`{"name": "b", "type": "int"}`, `{"name": "a", "type": "long"}`, `{"name": "a", "type": "int", "default": 1}`, `{"name": "a", "type": ["null", "int"]}`} {
		if mustParse(t, 1, record(other)).Fingerprint() == base.Fingerprint() {
			t.Errorf("%s has the same fingerprint", other)
		}
	}
}

// TestEvolution is the table of schema changes: how a reader with the new
// field sees what the old field has written. A change that is not in it is
// refused.
func TestEvolution(t *testing.T) {
	t.Parallel()
	null := event.Bitmap{2}
	ints := func(k event.Kind) event.Column {
		return event.Column{Type: event.Type{Kind: k}, Ints: []int64{-5, 7}}
	}
	text := event.Column{Type: event.Type{Kind: event.String}, Codes: []uint32{1, 0}, Dict: &event.Dict{Offsets: []uint32{0, 1, 2}, Data: []byte("AB")}}
	nullable := ints(event.Int32)
	nullable.Valid = null
	for _, c := range []struct {
		name, old, new string
		write          event.Column
		want           string // both rows, or the problem
	}{
		{"same", `{"name":"x","type":"int"}`, `{"name":"x","type":"int"}`, ints(event.Int32), "-5 7"},
		{"int to long", `{"name":"x","type":"int"}`, `{"name":"x","type":"long"}`, ints(event.Int32), "-5 7"},
		{"int to double", `{"name":"x","type":"int"}`, `{"name":"x","type":"double"}`, ints(event.Int32), "-5.0 7.0"},
		{"long to double", `{"name":"x","type":"long"}`, `{"name":"x","type":"double"}`, ints(event.Int64), "-5.0 7.0"},
		{"long to int", `{"name":"x","type":"long"}`, `{"name":"x","type":"int"}`, ints(event.Int64), `field "x": BIGINT cannot become INTEGER`},
		{"string to bytes", `{"name":"x","type":"string"}`, `{"name":"x","type":"bytes"}`, text, `VARCHAR cannot become BLOB`},
		{"string to int", `{"name":"x","type":"string"}`, `{"name":"x","type":"int"}`, text, `VARCHAR cannot become INTEGER`},
		{"becomes nullable", `{"name":"x","type":"int"}`, `{"name":"x","type":["null","int"]}`, ints(event.Int32), "-5 7"},
		{"stays nullable, wider", `{"name":"x","type":["null","int"]}`, `{"name":"x","type":["null","long"]}`, nullable, "null 7"},
		{"loses null", `{"name":"x","type":["null","int"]}`, `{"name":"x","type":"int"}`, nullable, "it was nullable"},
		{"renamed", `{"name":"x","type":"int"}`, `{"name":"y","type":"int","aliases":["x"]}`, ints(event.Int32), "-5 7"},
		{"new without default", `{"name":"x","type":"int"}`, `{"name":"y","type":"int"}`, ints(event.Int32), "it is new and has no default"},
		{"new int", `{"name":"x","type":"int"}`, `{"name":"y","type":"int","default":3}`, ints(event.Int32), "3 3"},
		{"new null", `{"name":"x","type":"int"}`, `{"name":"y","type":["null","string"],"default":null}`, ints(event.Int32), "null null"},
		{"new string", `{"name":"x","type":"int"}`, `{"name":"y","type":"string","default":"d"}`, ints(event.Int32), `"d" "d"`},
		{"new decimal", `{"name":"x","type":"int"}`, `{"name":"y","type":{"type":"bytes","logicalType":"decimal","precision":5,"scale":2},"default":"\u00ff"}`, ints(event.Int32), "-1 -1"},
		{"new wide decimal", `{"name":"x","type":"int"}`, `{"name":"y","type":{"type":"bytes","logicalType":"decimal","precision":30,"scale":2},"default":"\u0001\u0000"}`, ints(event.Int32), "256 256"},
		{"decimal wider", `{"name":"x","type":{"type":"bytes","logicalType":"decimal","precision":5,"scale":2}}`, `{"name":"x","type":{"type":"bytes","logicalType":"decimal","precision":6,"scale":2}}`, event.Column{Type: event.Type{Kind: event.Decimal, Precision: 5, Scale: 2}, Ints: []int64{1, 2}}, "decimal(5,2) cannot become decimal(6,2)"},
		{"millis to micros", `{"name":"x","type":{"type":"long","logicalType":"timestamp-millis"}}`, `{"name":"x","type":{"type":"long","logicalType":"timestamp-micros"}}`, ints(event.Timestamp), "-5 7"},
		{"utc to local", `{"name":"x","type":{"type":"long","logicalType":"timestamp-millis"}}`, `{"name":"x","type":{"type":"long","logicalType":"local-timestamp-millis"}}`, ints(event.Timestamp), "different moments"},
		{"long to time", `{"name":"x","type":"long"}`, `{"name":"x","type":{"type":"long","logicalType":"timestamp-millis"}}`, ints(event.Int64), "BIGINT cannot become TIMESTAMP"},
		{"symbol added", `{"name":"x","type":{"type":"enum","name":"e","symbols":["A","B"]}}`, `{"name":"x","type":{"type":"enum","name":"e","symbols":["B","A","C"]}}`, text, `"B" "A"`},
		{"symbol gone", `{"name":"x","type":{"type":"enum","name":"e","symbols":["A","B"]}}`, `{"name":"x","type":{"type":"enum","name":"e","symbols":["A"]}}`, text, `the symbol "B" is gone`},
		{"symbol gone, default", `{"name":"x","type":{"type":"enum","name":"e","symbols":["A","B"]}}`, `{"name":"x","type":{"type":"enum","name":"e","symbols":["A","O"],"default":"O"}}`, text, `"O" "A"`},
		{"enum to string", `{"name":"x","type":{"type":"enum","name":"e","symbols":["A","B"]}}`, `{"name":"x","type":"string"}`, text, "an enum cannot become a string"},
		{"string to enum", `{"name":"x","type":"string"}`, `{"name":"x","type":{"type":"enum","name":"e","symbols":["A","B"]}}`, text, "a string cannot become an enum"},
		{"removed", `{"name":"x","type":"int"}`, `{"name":"z","type":"int","default":0}`, ints(event.Int32), "0 0"},
	} {
		old, upgraded := mustParse(t, 1, record(c.old)), mustParse(t, 2, record(c.new))
		b := &event.Batch{Shape: old.Shape(), N: 2, Columns: []event.Column{c.write}, IDs: []event.ID{{Hi: 1}, {Hi: 2}}, Hashes: []uint64{3, 4}}
		got := ""
		out, err := upgraded.Upgrade(b, old)
		if compatible := Compatible(old, upgraded); (compatible == nil) != (err == nil) {
			t.Errorf("%s: compatible says %v, upgrade %v", c.name, compatible, err)
		}
		if err != nil {
			if got = err.Error(); !fault.Is(err, fault.Invalid) || !strings.Contains(got, c.want) {
				t.Errorf("%s: %v, want %s", c.name, err, c.want)
			}
			continue
		}
		for row := range 2 {
			v := cell(&out.Columns[0], row)
			if out.Columns[0].Floats != nil {
				v = fmt.Sprintf("%.1f", out.Columns[0].Floats[row])
			}
			if out.Columns[0].Wide != nil {
				v = out.Columns[0].Wide[row].String()
			}
			got += " " + v
		}
		if got != " "+c.want || out.IDs[1].Hi != 2 || out.Hashes[1] != 4 || out.Columns[0].Type != upgraded.Shape().Fields[0].Type {
			t.Errorf("%s:%s, want %s", c.name, got, c.want)
		}
	}
}

func TestSet(t *testing.T) {
	t.Parallel()
	text := record(`{"name": "a", "type": "int"}`)
	one, three := mustParse(t, 1, text), mustParse(t, 3, text)
	s := NewSet(three, one)
	if got, ok := s.Get(1); !ok || got != one || s.Newest() != three {
		t.Error("wrong versions")
	}
	if _, ok := s.Get(2); ok || NewSet().Newest() != nil {
		t.Error("a version that is not there")
	}
}
