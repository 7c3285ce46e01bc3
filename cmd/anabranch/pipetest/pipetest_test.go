package pipetest_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"anabranch/cmd/anabranch/pipetest"
	"anabranch/schemas"
)

// TestExamples runs the tests of every example.
func TestExamples(t *testing.T) {
	t.Parallel()
	folders, _ := filepath.Glob(filepath.Join("..", "..", "..", "examples", "*"))
	if len(folders) == 0 {
		t.Fatal("no examples")
	}
	for _, folder := range folders {
		fsys := os.DirFS(folder)
		def, err := schemas.ReadDefinition(fsys)
		if err != nil {
			t.Fatal(err)
		}
		tests, err := schemas.ReadTests(fsys, def)
		if err != nil {
			t.Fatal(err)
		}
		if len(tests) == 0 {
			t.Errorf("%s has no tests", folder)
		}
		for _, test := range tests {
			t.Run(def.Name+"/"+filepath.Base(test.File), func(t *testing.T) {
				t.Parallel()
				out, err := pipetest.Run(t.Context(), fsys, def.Files, test)
				if err != nil {
					t.Fatal(err)
				}
				if len(out.Diff) > 0 {
					t.Error(strings.Join(out.Diff, "\n"))
				}
			})
		}
	}
}

const pipelineYAML = "pipeline: p\nevent: {id: {field: id}, time: ts}\nquality:\n  - {code: odd, reject: n < 0}\n"

const avro = `{"type": "record", "name": "e", "fields": [
  {"name": "id", "type": "string"}, {"name": "n", "type": "int"}, {"name": "x", "type": ["null", "double"]},
  {"name": "ts", "type": {"type": "long", "logicalType": "timestamp-micros"}}]}`

const given = `given:
  - ndjson: |
      {"id": "1", "n": 1, "x": 0.125, "ts": "2024-01-01T10:00:00Z"}
      {"id": "2", "n": 2, "x": null, "ts": "2024-01-02T10:00:00Z"}
      {"id": "3", "n": -2, "x": 1, "ts": "2024-01-02T10:00:00Z"}
`

// folder is a pipeline with one test.
func folder(test string) fs.FS {
	return fstest.MapFS{
		"pipeline.yaml":   {Data: []byte(pipelineYAML)},
		"schema.avsc":     {Data: []byte(avro)},
		"views/day.sql":   {Data: []byte("SELECT CAST(ts AS DATE) AS day, sum(n) AS n, avg(x) AS x, max(ts) AS latest FROM events GROUP BY ALL")},
		"tests/one.yaml":  {Data: []byte(test)},
		"tests/note.text": {Data: []byte("not a test")},
	}
}

func run(t *testing.T, test string) ([]string, error) {
	t.Helper()
	fsys := folder(test)
	def, err := schemas.ReadDefinition(fsys)
	if err != nil {
		t.Fatal(err)
	}
	tests, err := schemas.ReadTests(fsys, def)
	if err != nil {
		return nil, err
	}
	out, err := pipetest.Run(t.Context(), fsys, def.Files, tests[0])
	return out.Diff, err
}

func TestOutcome(t *testing.T) {
	t.Parallel()
	const letters = "  dead_letters: [{code: odd, line: 3}]\n"
	for name, c := range map[string]struct {
		expect string
		want   []string
	}{
		"passes": {"batch: after\nexpect:\n  views:\n    day:\n      - {day: 2024-01-02, n: 2, x: null, latest: 2024-01-02T10:00:00}\n      - {day: 2024-01-01, n: 1.0, x: 0.13, latest: 2024-01-01 10:00:00}\n" + letters, nil},
		"a wrong value": {"expect:\n  views:\n    day:\n      - {day: 2024-01-02, n: 2}\n      - {day: 2024-01-01, n: 7}\n" + letters,
			[]string{"tests/one.yaml:10: day: want {day: 2024-01-01, n: 7}", "                        got  {day: 2024-01-01, n: 1}"}},
		"null is not empty":   {"expect:\n  views:\n    day: [{n: 1, x: 0.125}, {n: 2, x: ''}]\n" + letters, []string{"tests/one.yaml:8: day: want {n: 2, x: \"\"}", "                       got  {n: 2, x: null}"}},
		"a row too much":      {"expect:\n  views:\n    day: [{day: 2024-01-02}]\n" + letters, []string{"tests/one.yaml:8: day: not expected: {day: 2024-01-01}"}},
		"a row too few":       {"expect:\n  views:\n    day: [{n: 1}, {n: 2}, {n: 2}]\n" + letters, []string{"tests/one.yaml:8: day: want {n: 2}"}},
		"more digits written": {"expect:\n  views:\n    day: [{x: null}, {x: 0.1251}]\n" + letters, []string{"tests/one.yaml:8: day: want {x: 0.1251}", "                       got  {x: 0.125}"}},
		"letters unmentioned": {"expect:\n  views:\n    day: [{n: 1}, {n: 2}]\n", []string{"tests/one.yaml: dead_letters: not expected: {code: odd, line: 3, given: 1}"}},
		"another code":        {"expect:\n  dead_letters: [{code: zero, line: 3}]\n", []string{"tests/one.yaml:7: dead_letters: want {code: zero, line: 3}", "                                got  {code: odd, line: 3}"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := run(t, given+c.expect)
			if err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(c.want, "\n"))
			}
		})
	}
}

func TestMistakes(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ test, want string }{
		"typo":            {given + "expct: {}\n", `tests/one.yaml:6:1: a test has no key "expct": did you mean "expect"?`},
		"no view":         {given + "expect:\n  views:\n    dya: []\n", `tests/one.yaml:8:5: views has no key "dya": did you mean "day"?`},
		"no column":       {given + "expect:\n  views:\n    day:\n      - {dya: 1}\n", `tests/one.yaml:8:5: the view day has no column "dya": did you mean "day"?`},
		"no events":       {"given: []\nexpect: {}\n", "tests/one.yaml:1:6: the test has no events"},
		"batch":           {given + "batch: betwen\nexpect: {}\n", `tests/one.yaml:6:8: batch is "betwen": did you mean "between"?`},
		"other columns":   {given + "expect:\n  views:\n    day:\n      - {n: 1}\n      - {m: 1}\n", `tests/one.yaml:10:10: the row has the column "m", the first row has not: list the same columns in every row`},
		"fewer columns":   {given + "expect:\n  views:\n    day:\n      - {n: 1, x: 1}\n      - {n: 1}\n", `the row has 1 columns, the first row has 2`},
		"letter column":   {given + "expect:\n  dead_letters:\n    - {cod: odd}\n", `tests/one.yaml:8:8: a dead letter has no "cod": did you mean "code"?`},
		"no file":         {"given: [{file: data/x.csv}]\nexpect: {}\n", `tests/one.yaml:1:16: the file "data/x.csv" is not there`},
		"file elsewhere":  {"given: [{file: ../x.csv}]\nexpect: {}\n", `tests/one.yaml:1:16: the file cannot be "../x.csv"`},
		"two kinds":       {"given: [{csv: a, ndjson: b}]\nexpect: {}\n", `a body of events is one of csv, ndjson, json and file`},
		"key twice":       {given + "expect: {}\nexpect: {}\n", `mapping key "expect" already defined`},
		"not yaml at all": {"given: [\n", `tests/one.yaml:`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := run(t, c.test)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got  %v\nwant %s", err, c.want)
			}
		})
	}
}
