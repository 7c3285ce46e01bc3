package schemas

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"anabranch/fault"
)

const smallPipeline = `pipeline: shop
description: Orders
source: {format: json}
event:
  id: {field: id}
  time: at
  key: [city, id]
partitions: 8
lateness: 2d
quality:
  - {code: test_city, filter: "city = 'Test'"}
  - code: free
    reject: price = 0
    message: a gift
  - code: odd
    reject: |
      price <
      0
batch: {schedule: "0 3 * * *"}
ingest: {linger: 20ms, frame_bytes: 512KiB}
lanes: [{name: live, priority: 10}, {name: history, priority: 1}]
`

const smallAvro = `{"type": "record", "name": "order", "fields": [
  {"name": "id", "type": "string"},
  {"name": "at", "type": {"type": "long", "logicalType": "timestamp-millis"}},
  {"name": "city", "type": ["null", "string"]},
  {"name": "price", "type": "int"}]}`

func folder(files map[string]string) fstest.MapFS {
	fsys := fstest.MapFS{}
	for name, text := range files {
		fsys[name] = &fstest.MapFile{Data: []byte(text)}
	}
	return fsys
}

func small() map[string]string {
	return map[string]string{"pipeline.yaml": smallPipeline, "schema.avsc": smallAvro, "views/day.sql": "SELECT 1", "views/city.sql": "SELECT 2", "tests/one.yaml": "given: []", "README.md": "x"}
}

func TestReadDefinition(t *testing.T) {
	t.Parallel()
	d, err := ReadDefinition(folder(small()))
	if err != nil {
		t.Fatal(err)
	}
	if d.Schema == nil || d.Schema.Version() != 1 {
		t.Fatal("no schema")
	}
	got := *d
	got.Schema, got.Files = nil, nil
	want := Definition{
		Name: "shop", Description: "Orders", Format: JSONArray, Partitions: 8, Lateness: 48 * time.Hour,
		Identity: Identity{Fields: []string{"id"}, Time: "at", Key: []string{"city", "id"}},
		Views:    []ViewText{{"city", "SELECT 2", "views/city.sql"}, {"day", "SELECT 1", "views/day.sql"}},
		Rules: []Rule{
			{Code: "test_city", SQL: "city = 'Test'", Action: ActionFilter, File: "pipeline.yaml", Line: 11, Column: 32},
			{Code: "free", SQL: "price = 0", Action: ActionDeadLetter, Message: "a gift", File: "pipeline.yaml", Line: 13, Column: 13},
			{Code: "odd", SQL: "price <\n0\n", Action: ActionDeadLetter, File: "pipeline.yaml", Line: 17, Column: 7},
		},
		Schedule: Schedule{Cron: "0 3 * * *", Timezone: "UTC", Overlap: OverlapSkip, CatchUp: 12 * time.Hour}, Canary: DefaultCanary, Linger: 20 * time.Millisecond, FrameBytes: 512 << 10,
		Lanes: []Lane{{"live", 10}, {"history", 1}},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	if len(d.Files) != 5 || d.Files["README.md"] != "" {
		t.Errorf("files %v", d.Files)
	}
	version := func(change string, text string) string {
		files := small()
		files[change] = text
		d, err := ReadDefinition(folder(files))
		if err != nil {
			t.Fatal(err)
		}
		return d.Version()
	}
	if v := d.Version(); len(v) != 32 || v == version("views/day.sql", "SELECT 3") || v != version("tests/one.yaml", "given: [1]") {
		t.Error("the version is not that of what runs")
	}
}

func TestDefinitionDefaults(t *testing.T) {
	t.Parallel()
	d, err := ReadDefinition(folder(map[string]string{
		"pipeline.yaml": "pipeline: p\nschema: {file: order.avsc, version: 3}\nevent: {id: {content_hash: [id, city]}, time: at}\n",
		"order.avsc":    smallAvro,
	}))
	if err != nil {
		t.Fatal(err)
	}
	if d.Partitions != 4 || d.Format != NDJSON || d.Linger != 5*time.Millisecond || d.FrameBytes != 1<<20 || d.Schedule != (Schedule{}) ||
		!d.Identity.Content || d.Identity.Key != nil || len(d.Lanes) != 1 || d.Schema.Version() != 3 {
		t.Errorf("%+v", d)
	}
}

func TestPublishPolicies(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]Publish{
		"auto": {}, "approval": {Mode: PublishApproval}, "within 1%": {Mode: PublishWithin, Bound: 0.01}, "within 0.5 %": {Mode: PublishWithin, Bound: 0.005},
	} {
		files := small()
		files["pipeline.yaml"] = strings.Replace(smallPipeline, `"0 3 * * *"`, `"0 3 * * *", publish: `+text, 1)
		d, err := ReadDefinition(folder(files))
		if err != nil || d.Publish != want || d.Publish.String() != strings.Replace(text, " %", "%", 1) {
			t.Errorf("%s: %+v %v", text, d, err)
		}
	}
}

func TestCanaryPolicy(t *testing.T) {
	t.Parallel()
	files := small()
	files["pipeline.yaml"] = strings.Replace(smallPipeline, `"0 3 * * *"`, `"0 3 * * *", canary: {within: 0.5%, every: 30s, for: 2d, comparisons: 7}`, 1)
	d, err := ReadDefinition(folder(files))
	if want := (Canary{Within: 0.005, Every: 30 * time.Second, For: 48 * time.Hour, Comparisons: 7}); err != nil || d.Canary != want {
		t.Errorf("%+v %v", d, err)
	}
}

func TestDefinitionProblems(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, old, new string // replaced in pipeline.yaml
		want           string // all problems, joined by |
	}{
		{"typo in a key", "partitions:", "partitons:", `pipeline.yaml:8:1: pipeline.yaml has no key "partitons": did you mean "partitions"?`},
		{"typo inside", "linger:", "lingr:", `pipeline.yaml:20:10: ingest has no key "lingr": did you mean "linger"?`},
		{"typo in a field", "time: at", "time: att", `pipeline.yaml:6:9: the schema has no field "att": did you mean "at"?`},
		{"no time", "time: at", "time: price", `pipeline.yaml:6:9: the event time "price" is INTEGER: use a field that is a timestamp or a date`},
		{"two mistakes", "partitions: 8\nlateness: 2d", "partitions: 0\nlateness: soon", `pipeline.yaml:8:13: the number of partitions is "0": use a number from 1 to 256|pipeline.yaml:9:11: lateness is "soon": write a time like 5ms, 48h or 7d`},
		{"format", "format: json", "format: jsn", `pipeline.yaml:3:18: there is no format "jsn": did you mean "json"?`},
		{"name", "pipeline: shop", "pipeline: My Shop", `pipeline.yaml:1:11: a pipeline cannot be called "My Shop": use lower-case letters, digits and _, beginning with a letter`},
		{"taken name", "pipeline: shop", "pipeline: main", `pipeline.yaml:1:11: a pipeline cannot be called "main": in SQL that is something else, and queries name pipelines as schemas`},
		{"no name", "pipeline: shop\n", "", `pipeline.yaml:1:12: the key "pipeline" is missing: it names the pipeline`},
		{"two ids", "{field: id}", "{field: id, fields: [id]}", `pipeline.yaml:5:3: an id is one of content_hash, field and fields: keep one of them`},
		{"no id", "  id: {field: id}\n", "", `pipeline.yaml:4:1: the key "id" is missing: write id: {field: name}, or id: {content_hash: [names]} when events have no id of their own`},
		{"two rules in one", `filter: "city = 'Test'"`, `filter: "a", reject: "b"`, `pipeline.yaml:11:5: a rule has one of reject and filter: reject: makes dead letters, filter: leaves events out of the views`},
		{"code twice", "code: odd", "code: free", `pipeline.yaml:15:11: the code "free" is used twice`},
		{"own code", "code: odd", "code: malformed", `pipeline.yaml:15:11: the code "malformed" is one of the system's own: choose another`},
		{"schedule", `"0 3 * * *"`, `nightly`, `pipeline.yaml:19:19: the schedule is "nightly": write five fields of cron, like "0 3 * * *" for every night at three, or @daily`},
		{"publish", `"0 3 * * *"`, `"0 3 * * *", publish: never`, `pipeline.yaml:19:41: publish is "never": write auto, approval, or "within 1%"`},
		{"no share", `"0 3 * * *"`, `"0 3 * * *", publish: within 1`, `pipeline.yaml:19:41: publish is "within 1": write a share like "within 1%", from 0% to 100%`},
		{"too large a share", `"0 3 * * *"`, `"0 3 * * *", publish: within 101%`, `pipeline.yaml:19:41: publish is "within 101%": write a share like "within 1%", from 0% to 100%`},
		{"canary", `"0 3 * * *"`, `"0 3 * * *", canary: {within: 1}`, `pipeline.yaml:19:49: within is "1": write a share like 1%, from 0% to 100%`},
		{"canary's pace", `"0 3 * * *"`, `"0 3 * * *", canary: {every: 1ms}`, `pipeline.yaml:19:48: every is 1ms: write a time of at least 1s, like 5m`},
		{"size", "512KiB", "1GB", `pipeline.yaml:20:37: frame_bytes is "1GB": write a size from 4KiB to 4096KiB, like 1MiB`},
		{"lane twice", "name: history", "name: live", `pipeline.yaml:21:44: the lane "live" is there twice`},
		{"not a mapping", "source: {format: json}", "source: json", `pipeline.yaml:3:9: source is a list of keys and values: it has format`},
		{"key twice", "description: Orders", "pipeline: Orders", `pipeline.yaml:2:1: mapping key "pipeline" already defined at [1:1]`},
	} {
		files := small()
		files["pipeline.yaml"] = strings.Replace(smallPipeline, c.old, c.new, 1)
		checkProblems(t, c.name, files, c.want)
	}
	for _, c := range []struct{ name, file, text, want string }{
		{"schema", "schema.avsc", strings.Replace(smallAvro, `"int"`, `"integer"`, 1), `schema.avsc:5:3: field "price": `},
		{"view name", "views/By Day.sql", "SELECT 1", `views/By Day.sql: a view cannot be called "By Day": ` + nameHint},
		{"empty view", "views/day.sql", " \n", `views/day.sql: the file is empty: a view is one SELECT`},
		{"empty pipeline", "pipeline.yaml", "# nothing\n", `pipeline.yaml:1:1: the file is empty`},
		{"list", "pipeline.yaml", "- a\n", `pipeline.yaml:1:1: pipeline.yaml is a list of keys and values: it has pipeline, `},
	} {
		files := small()
		files[c.file] = c.text
		checkProblems(t, c.name, files, c.want)
	}
	checkProblems(t, "nothing", nil, `pipeline.yaml: the file is not there`)
	files := small()
	delete(files, "schema.avsc")
	checkProblems(t, "no schema", files, `schema.avsc: the file is not there`)
}

func checkProblems(t *testing.T, name string, files map[string]string, want string) {
	t.Helper()
	d, err := ReadDefinition(folder(files))
	var problems Problems
	if !errors.As(err, &problems) || !fault.Is(err, fault.Invalid) || d != nil {
		t.Errorf("%s: %v", name, err)
		return
	}
	if got := strings.ReplaceAll(err.Error(), "\n", "|"); !strings.HasPrefix(got, want) || strings.Count(got, "|") != strings.Count(want, "|") {
		t.Errorf("%s:\ngot  %s\nwant %s", name, got, want)
	}
}

// TestExamples: every example in the repository reads.
func TestExamples(t *testing.T) {
	t.Parallel()
	all, _ := filepath.Glob(filepath.Join("..", "examples", "*", pipelineFile))
	for _, file := range all {
		d, err := ReadDefinition(os.DirFS(filepath.Dir(file)))
		if err != nil {
			t.Errorf("%s:\n%v", file, err)
			continue
		}
		if _, err := d.Schema.NewDecoder(d.Format, d.Identity); err != nil {
			t.Errorf("%s: %v", file, err)
		}
		if len(d.Views) == 0 || len(d.Files) < 3 {
			t.Errorf("%s: %d views", file, len(d.Views))
		}
	}
}
