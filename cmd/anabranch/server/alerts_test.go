package server

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	commonpb "go.temporal.io/api/common/v1"
	workflowpb "go.temporal.io/api/workflow/v1"
	"google.golang.org/protobuf/types/known/timestamppb"

	"anabranch/cmd/anabranch/api"
	"anabranch/internal/alert"
	"anabranch/internal/outbox"
)

// recorder returns alerts, and a function that ends them and tells what their
// receiver has heard.
func recorder(t *testing.T) (*alert.Alerts, func() []alert.Notice) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "heard")
	sink, err := outbox.Parse("file:"+file, nil, os.Getenv)
	if err != nil {
		t.Fatal(err)
	}
	b := outbox.New(sink, outbox.Options{Drain: time.Minute})
	t.Cleanup(b.Stop)
	return alert.New(alert.Options{Hooks: []*outbox.Outbox{b}}), func() (heard []alert.Notice) {
		b.Stop()
		text, err := os.ReadFile(file)
		if err != nil && !os.IsNotExist(err) {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(text)) {
			var n alert.Notice
			if err := json.Unmarshal([]byte(line), &n); err != nil {
				t.Fatal(err)
			}
			heard = append(heard, n)
		}
		return heard
	}
}

func TestADriftIsAlertedUntilAVerificationFindsNone(t *testing.T) {
	t.Parallel()
	alerts, heard := recorder(t)
	s := &Server{alerts: alerts}
	found := api.Verification{Pipeline: "retail", At: "1/2", Views: []api.ViewResult{{View: "day", Rows: 10, Differ: 2}, {View: "hour", Rows: 10}}}
	s.alertDrift(found)
	s.alertDrift(found) // known
	found.Views[0].Differ = 0
	s.alertDrift(found)
	var got []string
	for _, n := range heard() {
		got = append(got, n.Status+" "+n.Name+" "+n.Pipeline+" "+n.Subject)
	}
	if want := []string{"firing drift retail day", "resolved drift retail day"}; !slices.Equal(got, want) {
		t.Errorf("heard %q, want %q", got, want)
	}
}

// TestEndingsAreToldOnceAlsoOverARestart plays a list that shows a run late,
// and again and again.
func TestEndingsAreToldOnceAlsoOverARestart(t *testing.T) {
	t.Parallel()
	dir, now := t.TempDir(), time.Date(2011, 9, 1, 3, 0, 0, 0, time.UTC)
	ended := func(id string, ago time.Duration) *workflowpb.WorkflowExecutionInfo {
		return &workflowpb.WorkflowExecutionInfo{Execution: &commonpb.WorkflowExecution{RunId: id}, CloseTime: timestamppb.New(now.Add(-ago))}
	}
	e := readEndings(dir, now)
	if !e.Since.Equal(now) {
		t.Errorf("a first look begins at %s", e.Since)
	}
	look := func(listed ...*workflowpb.WorkflowExecutionInfo) string {
		var ids []string
		for _, w := range e.next(listed, now) {
			ids = append(ids, w.Execution.RunId)
		}
		if err := e.save(len(ids) > 0); err != nil {
			t.Fatal(err)
		}
		return strings.Join(ids, " ")
	}
	now = now.Add(10 * time.Second)
	if got := look(ended("b", 0), ended("a", 5*time.Second)); got != "a b" {
		t.Errorf("first %q", got)
	}
	now = now.Add(10 * time.Second)
	if got := look(ended("late", 15*time.Second), ended("b", 10*time.Second), ended("a", 15*time.Second)); got != "late" {
		t.Errorf("then %q", got)
	}
	e = readEndings(dir, now) // a restart
	if got := look(ended("b", 10*time.Second)); got != "" {
		t.Errorf("after a restart %q again", got)
	}
	now = now.Add(48 * time.Hour) // away, and a run failed meanwhile
	e = readEndings(dir, now)
	if e.Since.After(now.Add(-48 * time.Hour)) {
		t.Errorf("it looks from %s on only", e.Since)
	}
	if got := look(ended("meanwhile", 24*time.Hour)); got != "meanwhile" || len(e.Seen) != 0 {
		t.Errorf("%q, and %d remembered", got, len(e.Seen))
	}
}
