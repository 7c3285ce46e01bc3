package schemas

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"anabranch/event"
	"anabranch/fault"
)

// everything has a field of each type, most of them nullable so that a test
// names only those it is about.
func everything(t testing.TB) *Schema {
	return mustParse(t, 1, record(
		`{"name": "id", "type": "string"}`,
		`{"name": "bool", "type": ["null", "boolean"]}`,
		`{"name": "int", "type": ["null", "int"]}`,
		`{"name": "long", "type": ["null", "long"]}`,
		`{"name": "double", "type": ["null", "double"]}`,
		`{"name": "string", "type": ["null", "string"], "aliases": ["text"]}`,
		`{"name": "bytes", "type": ["null", "bytes"]}`,
		`{"name": "enum", "type": ["null", {"type": "enum", "name": "color", "symbols": ["RED", "BLUE"]}]}`,
		`{"name": "dec", "type": ["null", {"type": "bytes", "logicalType": "decimal", "precision": 5, "scale": 2}]}`,
		`{"name": "wide", "type": ["null", {"type": "bytes", "logicalType": "decimal", "precision": 38, "scale": 10}]}`,
		`{"name": "date", "type": ["null", {"type": "int", "logicalType": "date"}]}`,
		`{"name": "ms", "type": ["null", {"type": "long", "logicalType": "timestamp-millis"}]}`,
		`{"name": "us", "type": ["null", {"type": "long", "logicalType": "timestamp-micros"}]}`,
		`{"name": "local", "type": ["null", {"type": "long", "logicalType": "local-timestamp-micros"}]}`,
		`{"name": "n", "type": "int", "default": 7}`,
		`{"name": "s", "type": "string", "default": "d"}`,
	))
}

var byID = Identity{Fields: []string{"id"}}

func decoder(t testing.TB, s *Schema, f Format, id Identity) *Decoder {
	t.Helper()
	d, err := s.NewDecoder(f, id)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// decoded is a whole body, gathered from all calls of Next.
type decoded struct {
	*event.Batch
	keys  []uint64
	lines []int
	raw   []string
	bad   []Bad
}

func decodeAll(t testing.TB, d *Decoder, r io.Reader) decoded {
	t.Helper()
	return decodeEach(t, d, r, func(b *event.Batch) *event.Batch { return b })
}

// decodeCopied is decodeAll by one who copies each batch and gives it back.
func decodeCopied(t testing.TB, d *Decoder, r io.Reader) decoded {
	t.Helper()
	return decodeEach(t, d, r, func(b *event.Batch) *event.Batch {
		defer d.GiveBack()
		return concat(d.s.shape, []*event.Batch{b})
	})
}

func decodeEach(t testing.TB, d *Decoder, r io.Reader, kept func(*event.Batch) *event.Batch) decoded {
	t.Helper()
	var out decoded
	var batches []*event.Batch
	d.Reset(r)
	for {
		rows, err := d.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if n := rows.Batch.N; n != len(rows.Keys) || n != len(rows.Lines) || n+len(rows.Bad) == 0 || n+len(rows.Bad) > MaxRows {
			t.Fatalf("%d rows, %d keys, %d lines, %d bad", n, len(rows.Keys), len(rows.Lines), len(rows.Bad))
		}
		batches = append(batches, kept(rows.Batch))
		out.keys, out.lines, out.bad = append(out.keys, rows.Keys...), append(out.lines, rows.Lines...), append(out.bad, rows.Bad...)
		for i := range rows.Batch.N {
			out.raw = append(out.raw, string(rows.Raw(i)))
		}
	}
	out.Batch = concat(d.s.shape, batches)
	return out
}

// shownCell renders a cell as a reader would see it.
func shownCell(b *event.Batch, name string, row int) string {
	c := b.Column(name)
	switch {
	case !c.Valid.Get(row):
		return "null"
	case c.Floats != nil:
		return fmt.Sprint(c.Floats[row])
	case c.Wide != nil:
		return c.Wide[row].FormatDecimal(int(c.Type.Scale))
	case c.Type.Kind == event.Decimal:
		return event.Int128Of(c.Ints[row]).FormatDecimal(int(c.Type.Scale))
	}
	return cell(c, row)
}

func TestValues(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ field, json, want string }{
		{"bool", "true", "1"},
		{"bool", "false", "0"},
		{"bool", "null", "null"},
		{"int", "2147483647", "2147483647"},
		{"int", "-2147483648", "-2147483648"},
		{"int", "-0", "0"},
		{"long", "-9223372036854775808", "-9223372036854775808"},
		{"long", "9223372036854775807", "9223372036854775807"},
		{"double", "1e3", "1000"},
		{"double", "-0.5", "-0.5"},
		{"string", `"a\"\\\/\b\f\n\r\t\u00e9\ud83d\ude00ü"`, `"a\"\\/\b\f\n\r\té😀ü"`},
		{"string", `""`, `""`},
		{"text", `"alias"`, `"alias"`},
		{"bytes", `"\u0000\u00ffA"`, `"\x00\xffA"`},
		{"enum", `"BLUE"`, `"BLUE"`},
		{"dec", "2.55", "2.55"},
		{"dec", `"2.5"`, "2.50"},
		{"dec", `"+2.5"`, "2.50"},
		{"dec", "-999.99", "-999.99"},
		{"dec", "1.50000000000000000000000000000000000000000000000", "1.50"},
		{"dec", "1.2e2", "120.00"},
		{"dec", "1200e-3", "1.20"},
		{"dec", "0e999999999999999999999", "0.00"},
		{"dec", "0", "0.00"},
		{"wide", "1234567890123456789012345678.0123456789", "1234567890123456789012345678.0123456789"},
		{"wide", "-9999999999999999999999999999.9999999999", "-9999999999999999999999999999.9999999999"},
		{"wide", "1e27", "1000000000000000000000000000.0000000000"},
		{"date", `"2011-12-09"`, "15317"},
		{"date", `"1969-12-31"`, "-1"},
		{"date", `"0001-01-01"`, "-719162"},
		{"date", `"9999-12-31"`, "2932896"},
		{"date", `"2000-02-29"`, "11016"},
		{"date", "-3", "-3"},
		{"ms", "1500", "1500000"},
		{"us", "1500", "1500"},
		{"us", `"1970-01-01T00:00:01Z"`, "1000000"},
		{"us", `"1970-01-01T02:00:01.25+02:00"`, "1250000"},
		{"us", `"1969-12-31 23:59:59.999999"`, "-1"},
		{"us", `"1970-01-01t00:00:00.123456789z"`, "123456"},
		{"local", `"1970-01-01T02:00:01+02:00"`, "7201000000"},
		{"local", `"2010-12-01 08:26:00"`, "1291191960000000"},
		{"local", `"2010-12-01T08:26:00"`, "1291191960000000"},
		{"n", "null", "7"},
		{"s", `""`, `""`},
	} {
		s := everything(t)
		got := decodeAll(t, decoder(t, s, NDJSON, byID), strings.NewReader(fmt.Sprintf(`{"id":"1","%s":%s}`, c.field, c.json)))
		if len(got.bad) > 0 {
			t.Errorf("%s %s: %+v", c.field, c.json, got.bad[0])
			continue
		}
		name := c.field
		if name == "text" {
			name = "string"
		}
		if v := shownCell(got.Batch, name, 0); v != c.want {
			t.Errorf("%s %s: %s, want %s", c.field, c.json, v, c.want)
		}
	}
}

func TestMissingFieldsTakeNullOrDefault(t *testing.T) {
	t.Parallel()
	s := everything(t)
	for _, body := range []struct {
		format Format
		text   string
		null   string // of the field string
	}{
		{NDJSON, `{"id":"1"}`, "null"},
		{NDJSON, `{"id":"1","unknown":[1,{"a":"\u0041"}],"string":null}`, "null"},
		{JSONArray, ` [ {"id":"1"} ] `, "null"},
		{CSV, "id,string,n,s\n1,,,\n", "null"},
		{CSV, "id\n1", "null"},
	} {
		got := decodeAll(t, decoder(t, s, body.format, byID), strings.NewReader(body.text))
		if len(got.bad) > 0 || got.N != 1 {
			t.Errorf("%q: %d rows, %+v", body.text, got.N, got.bad)
			continue
		}
		if v := shownCell(got.Batch, "string", 0) + shownCell(got.Batch, "n", 0) + shownCell(got.Batch, "s", 0); v != body.null+`7"d"` {
			t.Errorf("%q: %s", body.text, v)
		}
	}
	// A string that is neither nullable nor has a default is empty in CSV.
	s = mustParse(t, 1, record(`{"name":"id","type":"string"}`, `{"name":"a","type":"string"}`))
	got := decodeAll(t, decoder(t, s, CSV, byID), strings.NewReader("a,id\n,1\n\"\",2"))
	if len(got.bad) > 0 || got.N != 2 || shownCell(got.Batch, "a", 1) != `""` {
		t.Errorf("%+v", got)
	}
}

func TestBad(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", MaxEvent)
	for _, c := range []struct {
		name   string
		format Format
		body   string
		want   string // line:column field code, for each Bad
		rows   int    // that are good all the same
	}{
		{"not json", NDJSON, "{\"id\":\"1\"}\nnope\n{\"id\":\"2\"}", "2:1  malformed", 2},
		{"empty lines", NDJSON, "\n  \r\n{\"id\":\"1\"}\r\n\n", "", 1},
		{"not an object", NDJSON, "[1]\n12\n\"a\"", "1:1  wrong_type|2:1  wrong_type|3:1  wrong_type", 0},
		{"trailing bytes", NDJSON, `{"id":"1"} {"id":"2"}`, "1:12  malformed", 0},
		{"trailing comma", NDJSON, `{"id":"1",}`, "1:11  malformed", 0},
		{"no colon", NDJSON, `{"id" "1"}`, "1:7  malformed", 0},
		{"no comma", NDJSON, `{"id":"1" "n":2}`, "1:11  malformed", 0},
		{"no end", NDJSON, `{"id":"1"`, "1:10  malformed", 0},
		{"string does not end", NDJSON, `{"id":"1`, "1:9 id malformed", 0},
		{"control byte", NDJSON, "{\"id\":\"1\t\"}", "1:9 id malformed", 0},
		{"bad escape", NDJSON, `{"id":"\x"}`, "1:8 id malformed", 0},
		{"leading zero", NDJSON, `{"id":"1","n":01}`, "1:15 n malformed", 0},
		{"bare point", NDJSON, `{"id":"1","dec":1.}`, "1:17 dec malformed", 0},
		{"unknown value", NDJSON, `{"id":"1","zz":tru}`, "1:16  malformed", 0},
		{"deep", NDJSON, `{"id":"1","zz":` + strings.Repeat("[", 600) + strings.Repeat("]", 600) + "}", "1:516  malformed", 0},
		{"wrong types", NDJSON, `{"id":1}` + "\n" + `{"id":"1","n":"1"}` + "\n" + `{"id":"1","n":1.5}` + "\n" + `{"id":"1","bool":1}` + "\n" + `{"id":"1","string":{}}` + "\n" + `{"id":"1","double":"1"}` + "\n" + `{"id":"1","date":true}` + "\n" + `{"id":"1","dec":[]}`,
			"1:7 id wrong_type|2:15 n wrong_type|3:15 n wrong_type|4:18 bool wrong_type|5:20 string wrong_type|6:20 double wrong_type|7:18 date wrong_type|8:17 dec wrong_type", 0},
		{"enum", NDJSON, `{"id":"1","enum":"GREEN"}`, "1:18 enum wrong_type", 0},
		{"bytes", NDJSON, `{"id":"1","bytes":"\u0100"}`, "1:19 bytes wrong_type", 0},
		{"missing id", NDJSON, "{}\n{\"id\":\"\"}\n{\"id\":null}", "1:1 id missing_id|2:7 id missing_id|3:7 id missing_id", 0},
		{"bad dates", NDJSON, strings.Join([]string{`{"id":"1","date":"2011-02-29"}`, `{"id":"1","date":"2011-2-9"}`, `{"id":"1","us":"2011-12-09"}`, `{"id":"1","us":"2011-12-09 24:00:00"}`, `{"id":"1","us":"2011-12-09 12:50:60"}`, `{"id":"1","us":"2011-12-09 12:50:00+2"}`, `{"id":"1","us":1.5}`}, "\n"),
			"1:18 date bad_date|2:18 date bad_date|3:16 us bad_date|4:16 us bad_date|5:16 us bad_date|6:16 us bad_date|7:16 us bad_date", 0},
		{"bad decimals", NDJSON, `{"id":"1","dec":"x"}` + "\n" + `{"id":"1","dec":1.001}` + "\n" + `{"id":"1","dec":""}` + "\n" + `{"id":"1","dec":" 1"}` + "\n" + `{"id":"1","dec":"1."}` + "\n" + `{"id":"1","dec":1e-9}`,
			"1:17 dec bad_decimal|2:17 dec bad_decimal|3:17 dec bad_decimal|4:17 dec bad_decimal|5:17 dec bad_decimal|6:17 dec bad_decimal", 0},
		{"out of range", NDJSON, strings.Join([]string{`{"id":"1","int":2147483648}`, `{"id":"1","long":9223372036854775808}`, `{"id":"1","long":99999999999999999999999}`, `{"id":"1","double":1e999}`, `{"id":"1","dec":1000}`, `{"id":"1","dec":1e999999999999999999}`, `{"id":"1","wide":1e38}`, `{"id":"1","date":99999999}`, `{"id":"1","date":"0000-01-01"}`, `{"id":"1","ms":999999999999999999}`, `{"id":"1","us":9223372036854775807}`}, "\n"),
			"1:17 int out_of_range|2:18 long out_of_range|3:18 long out_of_range|4:20 double out_of_range|5:17 dec out_of_range|6:17 dec out_of_range|7:18 wide out_of_range|8:18 date out_of_range|9:18 date out_of_range|10:16 ms out_of_range|11:16 us out_of_range", 0},
		{"utf8", NDJSON, "{\"id\":\"1\",\"string\":\"a\xffb\"}\n{\"id\":\"1\",\"string\":\"\\n\xc3\"}\n{\"id\":\"1\",\"string\":\"\\ud800\"}\n{\"id\":\"1\",\"z\":\"\xff\"}",
			"1:22 string bad_utf8|2:23 string bad_utf8|3:21 string bad_utf8|4:16  bad_utf8", 0},
		{"duplicate", NDJSON, `{"id":"1","id":"2"}` + "\n" + `{"id":"1","string":"a","text":"b"}` + "\n" + `{"id":"1","z":1,"z":2}`, "1:11 id duplicate_key|2:24 string duplicate_key", 1},
		{"too long", NDJSON, `{"id":"` + long + `"}` + "\n" + `{"id":"2"}`, "1:1  too_long", 1},
		{"too long at the end", NDJSON, `{"id":"2"}` + "\n" + long + long, "2:1  too_long", 1},

		{"array", JSONArray, "[\n {\"id\":\"1\"},\n {\"id\":\"2\",\n  \"n\":\"x\"},\n 7, {\"id\":\"3\"}\n]\n", "4:7 n wrong_type|5:2  wrong_type", 2},
		{"empty array", JSONArray, " [ ] ", "", 0},
		{"no array", JSONArray, `{"id":"1"}`, "1:1  malformed", 0},
		{"empty body", JSONArray, ``, "1:1  malformed", 0},
		{"array does not end", JSONArray, `[{"id":"1"},{"id":"2"`, "1:22  malformed", 1},
		{"array without end", JSONArray, `[{"id":"1"}` + "\n", "2:1  malformed", 1},
		{"comma missing", JSONArray, `[{"id":"1"} {"id":"2"}]`, "1:13  malformed", 1},
		{"comma too many", JSONArray, `[{"id":"1"},]`, "1:12  malformed", 1},
		{"behind the array", JSONArray, "[{\"id\":\"1\"}]\n x", "2:2  malformed", 1},
		{"broken element", JSONArray, `[{"id":"1",},{"id":"2"}]`, "1:12  malformed", 1},
		{"long element", JSONArray, `[{"id":"1"},{"id":"` + long + `"}]`, "1:13  too_long", 1},

		{"csv types", CSV, "id,n,dec\n1,x,\n2,3,1.005\n3,3,1.00\n", "2:3 n wrong_type|3:5 dec bad_decimal", 1},
		{"csv missing id", CSV, "id,n\n,1\n", "2:1 id missing_id", 0},
		{"csv too few", CSV, "id,n\n1\n2,2,2\n3,3", "2:2  malformed|3:6  malformed", 1},
		{"csv quote", CSV, "id,n\n1\"2,3\n\"1\"x,3\n4,4", "2:2  malformed|3:4  malformed", 1},
		{"csv open quote", CSV, "id,s\n1,\"ab\n2,3\n", "4:1  malformed", 0},
		{"csv utf8", CSV, "id,s\n1,\xff\n", "2:3 s bad_utf8", 0},
		{"csv lines", CSV, "id,s,n\n1,\"a\nb\",x\n2,b,3\n", "3:4 n wrong_type", 1},
		{"csv header twice", CSV, "id,id\n1,2\n", "1:1  malformed", 0},
		{"csv header without id", CSV, "n,s\n1,2\n", "1:1 id missing_field", 0},
		{"csv too long", CSV, "id,s\n1," + long + "\n2,a\n", "2:1  too_long", 1},
		{"csv open and long", CSV, "id,s\n1,\"" + long + long + "\n2,a\n", "2:1  too_long", 1},
		{"csv carriage return", CSV, "id,s\r\n1,a\rb\r\n2,a\r\n\r\n3,b\r", "2:4  malformed", 2},
		{"csv times", CSV, "id,us,bool,bytes\n1,1500,true,a\n2,1970-01-01T00:00:00Z,false,b\n3,x,,\n4,,1,\n", "4:3 us bad_date|5:4 bool wrong_type", 2},
	} {
		s := everything(t)
		d := decoder(t, s, c.format, byID)
		var first []Bad
		for n, r := range []io.Reader{strings.NewReader(c.body), iotest.HalfReader(strings.NewReader(c.body)), oneByte(c.body)} {
			got := decodeAll(t, d, r)
			var all []string
			for _, b := range got.bad {
				all = append(all, fmt.Sprintf("%d:%d %s %s", b.Line, b.Column, b.Field, b.Code))
				if b.Message == "" || len(b.Raw) > MaxEvent {
					t.Errorf("%s: message %q, %d raw bytes", c.name, b.Message, len(b.Raw))
				}
			}
			if s := strings.Join(all, "|"); s != c.want || got.N != c.rows {
				t.Errorf("%s, reader %d: %s and %d rows, want %s and %d", c.name, n, s, got.N, c.want, c.rows)
			}
			if first == nil {
				first = got.bad
			}
		}
	}
}

// oneByte delivers one byte at a time, for bodies that are not too long.
func oneByte(body string) io.Reader {
	if len(body) > 4096 {
		return strings.NewReader(body)
	}
	return iotest.OneByteReader(strings.NewReader(body))
}

func TestMissingTimeAndMissingField(t *testing.T) {
	t.Parallel()
	s := everything(t)
	d := decoder(t, s, NDJSON, Identity{Fields: []string{"id"}, Time: "us"})
	got := decodeAll(t, d, strings.NewReader("{\"id\":\"1\"}\n{\"id\":\"2\",\"us\":5}"))
	if got.N != 1 || len(got.bad) != 1 || got.bad[0].Code != CodeMissingField || got.bad[0].Field != "us" {
		t.Fatalf("%+v", got)
	}
	s = mustParse(t, 1, record(`{"name":"id","type":"string"}`, `{"name":"a","type":"int"}`))
	got = decodeAll(t, decoder(t, s, NDJSON, byID), strings.NewReader("{\"id\":\"1\"}\n{\"id\":\"2\",\"a\":null}"))
	if got.N != 0 || len(got.bad) != 2 || got.bad[0].Code != CodeMissingField || got.bad[1].Column != 15 {
		t.Fatalf("%+v", got.bad)
	}
}

func TestReaderErrorsComeAfterWholeEvents(t *testing.T) {
	t.Parallel()
	broken := fault.New(fault.Transient, "connection lost")
	for f, body := range map[Format]string{NDJSON: "{\"id\":\"1\"}\n{\"id\"", JSONArray: `[{"id":"1"},{"id"`, CSV: "id\n1\n2"} {
		d := decoder(t, everything(t), f, byID)
		d.Reset(io.MultiReader(strings.NewReader(body), iotest.ErrReader(broken)))
		rows, err := d.Next()
		if err != nil || rows.Batch.N != 1 || len(rows.Bad) != 0 {
			t.Fatalf("%v: %+v %v", f, rows, err)
		}
		if _, err := d.Next(); !errors.Is(err, broken) {
			t.Fatalf("%v: %v", f, err)
		}
	}
}

func TestIdentity(t *testing.T) {
	t.Parallel()
	s := mustParse(t, 1, record(`{"name":"a","type":["null","string"]}`, `{"name":"b","type":["null","string"]}`, `{"name":"p","type":["null","double"]}`))
	id := Identity{Fields: []string{"a", "b", "p"}, Content: true, Key: []string{"a"}}
	one := func(f Format, body string) decoded {
		got := decodeAll(t, decoder(t, s, f, id), strings.NewReader(body))
		if got.N != 1 {
			t.Fatalf("%q: %+v", body, got.bad)
		}
		return got
	}
	base := one(NDJSON, `{"a":"x","b":"1","p":2.50}`)
	for _, same := range []decoded{one(NDJSON, `{"p":2.50, "b":"\u0031", "a":"x"}`), one(CSV, "p,b,a\n2.50,\"1\",x\n"), one(JSONArray, `[{"zz":1,"a":"x","b":"1","p":2.50}]`)} {
		if same.IDs[0] != base.IDs[0] || same.Hashes[0] != base.Hashes[0] || same.keys[0] != base.keys[0] {
			t.Error("one event, two identities")
		}
	}
	for _, other := range []string{`{"a":"x","b":"1","p":2.5}`, `{"a":"x","b":"1 ","p":2.50}`, `{"a":"x1","b":"","p":2.50}`, `{"a":"x","b":"","p":2.50}`} {
		if got := one(NDJSON, other); got.IDs[0] == base.IDs[0] || got.Hashes[0] == base.Hashes[0] {
			t.Errorf("%s has the same identity", other)
		}
	}
	absent, null, empty := one(NDJSON, `{"a":"x"}`), one(NDJSON, `{"a":"x","b":null}`), one(CSV, "a,b\nx,\n")
	if absent.IDs[0] != null.IDs[0] || null.IDs[0] != empty.IDs[0] {
		t.Error("absent, null and empty differ")
	}
	// A copy that comes after the schema has got a field, or another order, is
	// the same event with the same content.
	later := mustParse(t, 2, record(`{"name":"p","type":["null","double"]}`, `{"name":"new","type":"string","default":"web"}`, `{"name":"a","type":["null","string"]}`, `{"name":"b","type":["null","string"]}`))
	copied := decodeAll(t, decoder(t, later, NDJSON, id), strings.NewReader(`{"a":"x","b":"1","p":2.50}`))
	if copied.IDs[0] != base.IDs[0] || copied.Hashes[0] != base.Hashes[0] {
		t.Error("a wider schema makes another event of a copy")
	}
	// Hashes are durable: what is written today must be found in years.
	if got := fmt.Sprintf("%016x%016x %016x %016x", base.IDs[0].Hi, base.IDs[0].Lo, base.Hashes[0], base.keys[0]); got != goldenIdentity {
		t.Errorf("%s, want %s", got, goldenIdentity)
	}
}

const goldenIdentity = "4f427322ce9d7346af4c2b85176f13c2 bdecfd96ae73cae8 c67652ff64b5abca"

func TestNewDecoderNamesWhatIsWrong(t *testing.T) {
	t.Parallel()
	for want, id := range map[string]Identity{
		`the event id has no fields`:                            {},
		`the schema has no field "idd": did you mean "id"?`:     {Fields: []string{"idd"}},
		`event key: the schema has no field "strin"`:            {Fields: []string{"id"}, Key: []string{"strin"}},
		`event time: field "n" is INTEGER: use a timestamp`:     {Fields: []string{"id"}, Time: "n"},
		`event time: the schema has no field "when": use one o`: {Fields: []string{"id"}, Time: "when"},
	} {
		if _, err := everything(t).NewDecoder(NDJSON, id); !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
}

// TestJSONAgainstTheStandardLibrary: what encoding/json takes for an object is
// a row, and the other way round.
func TestJSONAgainstTheStandardLibrary(t *testing.T) {
	t.Parallel()
	r := seeded(t, 31)
	s := mustParse(t, 1, record(`{"name":"id","type":["null","string"]}`, `{"name":"x","type":["null","string"]}`))
	d := decoder(t, s, NDJSON, Identity{Fields: []string{"id"}, Content: true})
	for range 20000 {
		text := []byte(`{"id":"a\u00e9\n","x":"zzzzzzzzzzzzzz\"é","y":[1,-2.5e+3,true,{"k":null}]}`)
		for range r.IntN(4) {
			text = mutate(r, text)
		}
		if slices.Contains(text, '\n') {
			continue
		}
		var want map[string]any
		err := json.Unmarshal(text, &want)
		got := decodeAll(t, d, strings.NewReader(string(text)))
		switch {
		case err != nil && got.N > 0 && !strings.Contains(err.Error(), "cannot unmarshal"):
			t.Fatalf("%s: taken, the standard library says %v", text, err)
		case err == nil && len(got.bad) > 0 && !slices.Contains([]string{CodeDuplicateKey, CodeWrongType, CodeBadUTF8}, got.bad[0].Code) && want != nil:
			t.Fatalf("%s: %+v", text, got.bad[0])
		}
		if err != nil || got.N == 0 {
			continue
		}
		for _, name := range []string{"id", "x"} {
			if v, ok := want[name].(string); ok && string(got.Column(name).Bytes(0)) != v {
				t.Fatalf("%s: %s is %q, want %q", text, name, got.Column(name).Bytes(0), v)
			}
		}
	}
}

func mutate(r *rand.Rand, text []byte) []byte {
	at := r.IntN(len(text))
	const alphabet = "{}[]\",:\\u0123e-+.tfn \x01\xc3\xa9dD8"
	c := alphabet[r.IntN(len(alphabet))]
	switch r.IntN(3) {
	case 0:
		return slices.Delete(slices.Clone(text), at, min(at+1+r.IntN(3), len(text)))
	case 1:
		return slices.Insert(slices.Clone(text), at, c)
	}
	text = slices.Clone(text)
	text[at] = c
	if len(text) == 0 {
		return []byte{' '}
	}
	return text
}
