package schemas

import (
	"io"
	"strings"
	"testing"
)

func TestFormatOfATime(t *testing.T) {
	t.Parallel()
	const avro = `{"type": "record", "name": "e", "fields": [
  {"name": "id", "type": "string"},
  {"name": "paid", "aliases": ["Paid Date"], "type": ["null", {"type": "int", "logicalType": "date"}], "format": "%d/%m/%Y"},
  {"name": "ts", "type": {"type": "long", "logicalType": "local-timestamp-micros"}, "format": "%Y%m%d %H:%M"}]}`
	s, err := Parse(1, []byte(avro))
	if err != nil {
		t.Fatal(err)
	}
	plain, err := Parse(1, []byte(strings.ReplaceAll(avro, `, "format": "%d/%m/%Y"`, "")))
	if err != nil || plain.Fingerprint() == s.Fingerprint() {
		t.Errorf("the format is no part of the fingerprint: %v", err)
	}
	d, err := s.NewDecoder(CSV, Identity{Fields: []string{"id"}, Time: "ts"})
	if err != nil {
		t.Fatal(err)
	}
	// The blank behind a column's name is as such files have it.
	d.Reset(strings.NewReader("id,Paid Date ,ts\n" +
		"a,29/02/2016,20160229 13:05\nb,,20160229 00:00\nc,2016-02-29,20160229 00:00\nd,29/02/2015,20160229 00:00\n" +
		"e,00:00:00,20160229 00:00\nf,01/01/20160,20160229 00:00\ng,01/01/1969,20160229\nh,31/12/1969,19691231 23:59\n"))
	rows, err := d.Next()
	if err != nil && err != io.EOF {
		t.Fatal(err)
	}
	paid, ts := rows.Batch.Columns[1], rows.Batch.Columns[2]
	if rows.Batch.N != 3 || paid.Ints[0] != 16860 || paid.Valid.Get(1) || paid.Ints[2] != -1 ||
		ts.Ints[0] != (16860*24*60+13*60+5)*60e6 || ts.Ints[2] != -60e6 {
		t.Errorf("%d rows, %v, %v", rows.Batch.N, paid.Ints, ts.Ints)
	}
	for i, line := range []int{4, 5, 6, 7, 8} {
		if i >= len(rows.Bad) || rows.Bad[i].Line != line || rows.Bad[i].Code != CodeBadDate {
			t.Fatalf("bad: %+v", rows.Bad)
		}
	}
	if m := rows.Bad[0].Message; !strings.Contains(m, "is not written %d/%m/%Y") {
		t.Error(m)
	}
	for format, want := range map[string]string{
		`"%d/%m"`: "does not give a day", `"%d/%m/%y"`: "cannot be read", `"%d/%d/%Y%m"`: "cannot be read", `"%Y%m%d%H"`: "has a time of day", `7`: "is for a date", `"%"`: "cannot be read",
	} {
		_, err := Parse(1, []byte(strings.Replace(avro, `"%d/%m/%Y"`, format, 1)))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", format, err)
		}
	}
}
