package server

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	commonpb "go.temporal.io/api/common/v1"
	"go.temporal.io/api/enums/v1"
	workflowpb "go.temporal.io/api/workflow/v1"
	"go.temporal.io/sdk/converter"
	"google.golang.org/protobuf/types/known/timestamppb"

	"anabranch/internal/openlineage"
)

const aRun = "01a1fd35-8d8b-7cff-a8e8-9fec1b59bfe6"

// execution is a run as Temporal lists it.
func execution(t *testing.T, kind string, status enums.WorkflowExecutionStatus) *workflowpb.WorkflowExecutionInfo {
	t.Helper()
	name, err := converter.GetDefaultDataConverter().ToPayload("small")
	if err != nil {
		t.Fatal(err)
	}
	w := &workflowpb.WorkflowExecutionInfo{
		Execution: &commonpb.WorkflowExecution{WorkflowId: "nightly-small-x", RunId: aRun}, Type: &commonpb.WorkflowType{Name: kind}, Status: status,
		StartTime:        timestamppb.New(time.Date(2011, 9, 1, 3, 0, 0, 0, time.UTC)),
		SearchAttributes: &commonpb.SearchAttributes{IndexedFields: map[string]*commonpb.Payload{"Pipeline": name}},
	}
	if status != enums.WORKFLOW_EXECUTION_STATUS_RUNNING {
		w.CloseTime = timestamppb.New(time.Now())
	}
	return w
}

// checkEvent checks what the specification requires of a run event, and of
// every facet that is sent.
func checkEvent(t *testing.T, line string) map[string]any {
	t.Helper()
	var e map[string]any
	if err := json.Unmarshal([]byte(line), &e); err != nil {
		t.Fatal(err)
	}
	text := func(of map[string]any, key string) string {
		s, ok := of[key].(string)
		if !ok || s == "" {
			t.Errorf("%s is missing in %v", key, of)
		}
		return s
	}
	uri := func(s string) {
		if u, err := url.Parse(s); err != nil || u.Scheme == "" {
			t.Errorf("%q is no URI", s)
		}
	}
	facets := func(of map[string]any, key string) {
		for name, f := range of[key].(map[string]any) {
			facet := f.(map[string]any)
			uri(text(facet, "_producer"))
			uri(text(facet, "_schemaURL"))
			for _, want := range map[string][]string{
				"errorMessage": {"message", "programmingLanguage"}, "processing_engine": {"version"}, "jobType": {"processingType", "integration"},
				"version": {"datasetVersion"},
			}[name] {
				text(facet, want)
			}
			switch name {
			case "schema":
				for _, field := range facet["fields"].([]any) {
					text(field.(map[string]any), "name")
				}
			case "columnLineage":
				for column, c := range facet["fields"].(map[string]any) {
					inputs, ok := c.(map[string]any)["inputFields"].([]any)
					if !ok {
						t.Errorf("column %s has no inputFields", column)
					}
					for _, in := range inputs {
						for _, want := range []string{"namespace", "name", "field"} {
							text(in.(map[string]any), want)
						}
					}
				}
			}
		}
	}
	if !regexp.MustCompile("^(START|RUNNING|COMPLETE|ABORT|FAIL|OTHER)$").MatchString(text(e, "eventType")) {
		t.Error(e["eventType"])
	}
	if _, err := time.Parse(time.RFC3339Nano, text(e, "eventTime")); err != nil {
		t.Error(err)
	}
	uri(text(e, "producer"))
	uri(text(e, "schemaURL"))
	run, job := e["run"].(map[string]any), e["job"].(map[string]any)
	if !regexp.MustCompile("^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$").MatchString(text(run, "runId")) {
		t.Error(run["runId"])
	}
	text(job, "namespace")
	text(job, "name")
	facets(run, "facets")
	facets(job, "facets")
	for _, key := range []string{"inputs", "outputs"} {
		for _, d := range e[key].([]any) {
			set := d.(map[string]any)
			text(set, "namespace")
			text(set, "name")
			facets(set, "facets")
			if set["outputFacets"] != nil {
				facets(set, "outputFacets")
			}
		}
	}
	return e
}

// A run is told of when it begins and when it ends, each once, over a restart
// too; what is told is what OpenLineage specifies.
func TestLineageIsToldOnce(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "events")
	w := startWhole(t, func(c *Config) { c.Lineage = []string{"file:" + file} })
	w.put(smallFiles)
	(&small{T: t, pipeline: w.small()}).send(rand.New(rand.NewPCG(1, 2)), 5, 100)
	w.night()
	open := func() *lineage {
		l, err := w.openLineage()
		if err != nil {
			t.Fatal(err)
		}
		return l
	}
	lines := func(l *lineage) []string {
		for _, b := range l.boxes {
			b.Stop()
		}
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		return strings.Split(strings.TrimSpace(string(text)), "\n")
	}
	began := []*workflowpb.WorkflowExecutionInfo{execution(t, "Nightly", enums.WORKFLOW_EXECUTION_STATUS_RUNNING)}
	l := open()
	for range 2 {
		if err := l.tell(t.Context(), began, time.Now()); err != nil {
			t.Fatal(err)
		}
	}
	if got := lines(l); len(got) != 1 {
		t.Fatalf("%q", got)
	}
	l = open() // the next process
	ended := []*workflowpb.WorkflowExecutionInfo{execution(t, "Nightly", enums.WORKFLOW_EXECUTION_STATUS_FAILED)}
	for range 2 {
		if err := l.tell(t.Context(), ended, time.Now()); err != nil {
			t.Fatal(err)
		}
	}
	got := lines(l)
	if len(got) != 2 {
		t.Fatalf("%q", got)
	}
	start, fail := checkEvent(t, got[0]), checkEvent(t, got[1])
	if start["eventType"] != "START" || fail["eventType"] != "FAIL" || fmt.Sprint(start["job"].(map[string]any)["name"], start["eventTime"]) != "small.nightly2011-09-01T03:00:00Z" || start["run"].(map[string]any)["runId"] != aRun {
		t.Errorf("%v\n%v", start, fail)
	}
	if in := start["inputs"].([]any); len(in) != 1 || in[0].(map[string]any)["name"] != "small.events" || len(start["outputs"].([]any)) != 2 {
		t.Errorf("%v", start)
	}

	// What was published, with the columns that every column comes from.
	e := openlineage.Event{Type: openlineage.Complete, Time: time.Now(), Run: aRun, Job: openlineage.Name{Namespace: "n", Name: "j"}, Outputs: outputs("n", w.small(), w.newest(t))}
	text, err := e.JSON(producer)
	if err != nil {
		t.Fatal(err)
	}
	set := checkEvent(t, string(text))["outputs"].([]any)[1].(map[string]any)
	facets := set["facets"].(map[string]any)
	if set["name"] != "small.items" || facets["version"].(map[string]any)["datasetVersion"] != "1" || set["outputFacets"].(map[string]any)["outputStatistics"].(map[string]any)["rowCount"].(float64) < 1 {
		t.Errorf("%v", set)
	}
	lineage, err := json.Marshal(facets["columnLineage"].(map[string]any)["fields"])
	if err != nil {
		t.Fatal(err)
	}
	const item = `"name":"small.events","namespace":"n","transformations":[{"subtype":"IDENTITY","type":"DIRECT"}]`
	if s := string(lineage); !strings.Contains(s, `"item":{"inputFields":[{"field":"item",`+item) || !strings.Contains(s, `"n":{"inputFields":[]}`) || !strings.Contains(s, `"field":"amount"`) || !strings.Contains(s, "AGGREGATION") {
		t.Errorf("%s", s)
	}
}

// A receiver that is away fails no start and slows nothing; what it is to hear
// waits on disk.
func TestLineageOutlivesAReceiverThatIsAway(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	w := startWhole(t, func(c *Config) { c.Dir, c.Lineage = dir, []string{"http://127.0.0.1:9/lineage"} })
	l, err := w.openLineage()
	if err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	if err := l.tell(t.Context(), []*workflowpb.WorkflowExecutionInfo{execution(t, "Nightly", enums.WORKFLOW_EXECUTION_STATUS_RUNNING)}, time.Now()); err != nil || time.Since(began) > 5*time.Minute {
		t.Errorf("%v after %s", err, time.Since(began))
	}
	if waiting, err := filepath.Glob(filepath.Join(dir, "outbox", "lineage-*", "*.json")); err != nil || len(waiting) != 1 {
		t.Errorf("%q %v", waiting, err)
	}
	if _, err := Start(t.Context(), Config{Dir: t.TempDir(), Listen: "127.0.0.1:0", NATSListen: "127.0.0.1:0", Temporal: "none", Lineage: []string{"mailto:x"}, Logger: slog.New(slog.DiscardHandler)}); err == nil || !strings.Contains(err.Error(), "--lineage") {
		t.Error(err)
	}
}
