package schemas

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"

	"anabranch/event"
	"anabranch/fault"
)

const countries = "\xef\xbb\xbfcode,name,population,rate,eu,since,changed,zip\r\n" +
	"DE,Germany,83000000,1.5,true,1957-03-25,2024-01-01 10:00:00,01067\r\n" +
	"\"GB\",\"United \"\"K\"\", all\",67000000,2,false,,2024-01-01T10:00:00.5,\r\n" +
	"XX,,,,,,,2\n"

// readReference reads a file as a definition declares it.
func readReference(t *testing.T, name string, file []byte, columns string) (shape *event.Shape, rows []string, err error) {
	t.Helper()
	files := small()
	files["pipeline.yaml"] += "references:\n  - name: countries\n    file: references/" + name + "\n    version: \"1\"\n"
	if columns != "" {
		files["pipeline.yaml"] += "    columns: " + columns + "\n"
	}
	files["references/"+name] = string(file)
	d, err := ReadDefinition(folder(files))
	if err != nil {
		return nil, nil, err
	}
	r, err := OpenReference(t.Context(), d.Reference("countries"), bytes.NewReader(file))
	if err != nil {
		return nil, nil, err
	}
	err = r.Read(t.Context(), func(b *event.Batch) error {
		for i := range b.N {
			var row []byte
			for c := range b.Columns {
				row = append(b.Columns[c].AppendText(row, i), '|')
			}
			rows = append(rows, string(row))
		}
		return nil
	})
	return r.Shape(), rows, err
}

func TestKeysOfReferences(t *testing.T) {
	t.Parallel()
	for want, c := range map[string]struct{ file, key string }{
		"": {"a,b\n1,x\n2,x\n1,y\n", "[A, b]"},
		"countries.csv:4:1: the key (a) is that of line 2: ": {"a,b\n1,x\n2,x\n1,y\n", "a"},
		"countries.csv:5:1: the key (a) is that of line 2: ": {"a,b\n1.5,\"x\n1.5\"\n2,x\n1.50,y\n", "[a]"}, // the same value in another text
		"countries.csv:3:1: field \"b\": it is part of":      {"a,b\n1,x\n2,\n", "[a, b]"},
		"pipeline.yaml:23:11: references/countries.csv has":  {"a,b\n1,x\n", "[c]"},
	} {
		_, _, err := readReference(t, "countries.csv", []byte(c.file), "{}\n    key: "+c.key)
		if want == "" && err != nil || want != "" && (!fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), want)) {
			t.Errorf("want %q: %v", want, err)
		}
	}
	a, b := Reference{Sum: "x"}, Reference{Sum: "x", Key: []string{"k"}}
	if a.Rows() != b.Rows() || a.Made() == b.Made() || a.Made() != a.Rows() {
		t.Error("a key is looked at anew, and makes no other rows")
	}
}

func types(s *event.Shape) string {
	var all []string
	for _, f := range s.Fields {
		all = append(all, f.Name+" "+f.Type.SQL())
	}
	return strings.Join(all, ", ")
}

func TestReferenceOfCSV(t *testing.T) {
	t.Parallel()
	shape, rows, err := readReference(t, "countries.csv", []byte(countries), "{CODE: {comment: of ISO 3166}, population: INTEGER, rate: 'DECIMAL(5, 2)'}")
	if err != nil {
		t.Fatal(err)
	}
	if got := types(shape); got != "code VARCHAR, name VARCHAR, population INTEGER, rate DECIMAL(5,2), eu BOOLEAN, since DATE, changed TIMESTAMP, zip VARCHAR" {
		t.Error(got)
	}
	if shape.Fields[0].Doc != "of ISO 3166" {
		t.Error(shape.Fields[0].Doc)
	}
	want := []string{
		"DE|Germany|83000000|1.50|true|1957-03-25|2024-01-01 10:00:00|01067|",
		`GB|United "K", all|67000000|2.00|false|NULL|2024-01-01 10:00:00.5|NULL|`,
		"XX|NULL|NULL|NULL|NULL|NULL|NULL|2|",
	}
	if strings.Join(rows, "\n") != strings.Join(want, "\n") {
		t.Errorf("%q", rows)
	}
	if shape, _, err = readReference(t, "countries.csv", []byte(countries), ""); err != nil || shape.Fields[2].Type.Kind != event.Int64 || shape.Fields[3].Type.Kind != event.Float64 {
		t.Error(types(shape), err)
	}
}

// A Parquet file has the types it says, and the same rows as text.
func TestReferenceOfParquet(t *testing.T) {
	t.Parallel()
	shape := event.NewShape(
		event.Field{Name: "code", Type: event.Type{Kind: event.String}},
		event.Field{Name: "price", Type: event.Type{Kind: event.Decimal, Precision: 20, Scale: 2}, Nullable: true},
		event.Field{Name: "since", Type: event.Type{Kind: event.Date}},
		event.Field{Name: "at", Type: event.Type{Kind: event.Timestamp}},
		event.Field{Name: "n", Type: event.Type{Kind: event.Int32}},
	)
	valid := event.NewBitmap(2)
	valid.Set(1)
	dict := &event.Dict{Offsets: []uint32{0}}
	codes := []uint32{dict.Append([]byte(`a "quoted"`)), dict.Append([]byte("b"))}
	var file bytes.Buffer
	w := NewParquetWriter(&file, shape)
	if err := w.Write(&event.Batch{Shape: shape, N: 2, Columns: []event.Column{
		{Type: shape.Fields[0].Type, Codes: codes, Dict: dict},
		{Type: shape.Fields[1].Type, Wide: []event.Int128{{}, event.Int128Of(-1250)}, Valid: valid},
		{Type: shape.Fields[2].Type, Ints: []int64{0, -1}},
		{Type: shape.Fields[3].Type, Ints: []int64{0, 1500000}},
		{Type: shape.Fields[4].Type, Ints: []int64{-7, 7}},
	}}); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(nil); err != nil {
		t.Fatal(err)
	}
	got, rows, err := readReference(t, "countries.parquet", file.Bytes(), "{n: BIGINT}")
	if err != nil {
		t.Fatal(err)
	}
	if types(got) != "code VARCHAR, price DECIMAL(20,2), since DATE, at TIMESTAMP, n BIGINT" {
		t.Error(types(got))
	}
	if want := "a \"quoted\"|NULL|1970-01-01|1970-01-01 00:00:00|-7|\nb|-12.50|1969-12-31|1970-01-01 00:00:01.5|7|"; strings.Join(rows, "\n") != want {
		t.Errorf("%q", rows)
	}
	// Every flipped or missing part is an error, and not a crash.
	for cut := 0; cut < file.Len(); cut += 37 {
		damaged := bytes.Clone(file.Bytes())
		damaged[cut] ^= 0x55
		_, _, _ = readReference(t, "countries.parquet", damaged, "")
		if _, _, err := readReference(t, "countries.parquet", damaged[:cut], ""); err == nil {
			t.Errorf("%d bytes of %d were read", cut, file.Len())
		}
	}
	if _, _, err := readReference(t, "countries.parquet", file.Bytes(), "{code: BIGINT}"); err == nil || !strings.Contains(err.Error(), "countries.parquet:1:1: field \"code\"") {
		t.Error(err)
	}
}

func TestMistakesInReferences(t *testing.T) {
	t.Parallel()
	for want, c := range map[string]struct{ file, columns string }{
		"countries.csv:3:3: field \"n\": \"x\" is not":             {"k,n\na,1\nb,x\n", "{n: BIGINT}"},
		"countries.csv:2:3: field \"n\"":                           {"k,n\na,300000000000\n", "{n: INTEGER}"},
		"countries.csv:3:4: a record of 1 fields":                  {"k,n\na,1\nabc\n", ""},
		"countries.csv:1:1: column 2 is called \"a b\"":            {"k,a b\na,1\n", ""},
		"countries.csv:1:1: two columns are called \"K\"":          {"k,K\na,1\n", ""},
		"countries.csv:1:1: the file is empty":                     {"", ""},
		"countries.csv:2:1: field \"k\"":                           {"k,n\n\xff\xfe,1\n", ""},
		"pipeline.yaml:26:15: references/countries.csv has no col": {"k,n\na,1\n", "{m: BIGINT}"},
		"pipeline.yaml:26:18: a reference table has no column of":  {"k,n\na,1\n", "{m: BLOB}"},
		"and 5 more bad rows":                                      {"k\n" + strings.Repeat("x\n", maxBad+5), "{k: DATE}"},
	} {
		_, _, err := readReference(t, "countries.csv", []byte(c.file), c.columns)
		if !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), want) {
			t.Errorf("want %s: %v", want, err)
		}
	}
	for want, yaml := range map[string]string{
		"is a view and a reference table": "[{name: day, file: references/a.csv}]",
		"there twice":                     "[{name: a, file: references/a.csv}, {name: a, file: references/a.csv}]",
		"are called references/NAME.csv":  "[{name: a, file: ../a.csv}]",
		"is not there":                    "[{name: a, file: references/b.csv}]",
		"has no name":                     "[{file: references/a.csv}]",
		"has no file":                     "[{name: a}]",
	} {
		files := small()
		files["pipeline.yaml"] += "references: " + yaml + "\n"
		files["references/a.csv"] = "k\n1\n"
		if _, err := ReadDefinition(folder(files)); !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), want) {
			t.Errorf("want %s: %v", want, err)
		}
	}
}

// A definition holds which file it is and not the file; what stands for it
// means the same.
func TestADefinitionPointsAtItsReferences(t *testing.T) {
	t.Parallel()
	files := small()
	read := func(version, file string) *Definition {
		files["pipeline.yaml"] = smallPipeline + fmt.Sprintf("references: [{name: a, file: references/a.csv%s}]\n", version)
		files["references/a.csv"] = file
		d, err := ReadDefinition(folder(files))
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	whole := read(", version: '1'", "k\n1\n")
	pointer := whole.Files["references/a.csv"]
	if again := read(", version: '1'", pointer); again.Version() != whole.Version() || again.References[0].Sum != whole.References[0].Sum || again.References[0].Size != 4 {
		t.Errorf("%+v", again.References)
	}
	other := read(", version: '1'", "k\n2\n")
	if other.Version() == whole.Version() {
		t.Error("other rows are the same definition")
	}
	var p *Problem
	if err := Settled(whole, other); !errors.As(err, &p) || !strings.Contains(p.Message, "has other rows") {
		t.Error(err)
	}
	next := read(", version: '2'", "k\n2\n")
	if err := Settled(whole, next); err != nil {
		t.Error(err)
	}
	if c := ReferenceChanges(whole, next); len(c) != 1 || c[0] != (Change{Name: "a", Change: Changed, From: "1", To: "2"}) {
		t.Errorf("%+v", c)
	}
	if unnamed := read("", "k\n2\n"); unnamed.References[0].Version != unnamed.References[0].Sum[:12] {
		t.Errorf("%+v", unnamed.References)
	}
}
