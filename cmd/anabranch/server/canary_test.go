package server

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.temporal.io/sdk/log"
	"go.temporal.io/sdk/testsuite"
	sdkworker "go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"anabranch/activities"
	"anabranch/archive"
	"anabranch/cmd/anabranch/api"
	"anabranch/workflows"
)

// canaryRun is a canary over a server of this process, in Temporal's simulated
// time: its hours pass at once, all that it does is real.
type canaryRun struct {
	*whole
	env *testsuite.TestWorkflowEnvironment
	in  workflows.CanaryInput
}

// canary applies files with a canary of 10 % of the queries.
func (w *whole) canary(files map[string]string) *canaryRun {
	w.Helper()
	ten := 10.0
	_, planned, err := w.putInForce(w.Context(), api.Apply{Files: files, Ways: api.Ways{Canary: &ten, Reason: "a test", By: "ana"}}, nil)
	if err != nil {
		w.Fatal(err)
	}
	suite := new(testsuite.WorkflowTestSuite)
	suite.SetLogger(log.NewStructuredLogger(slog.New(slog.DiscardHandler)))
	r := &canaryRun{whole: w, env: suite.NewTestWorkflowEnvironment()}
	r.env.SetTestTimeout(2 * time.Minute)
	r.env.SetWorkerOptions(sdkworker.Options{DeadlockDetectionTimeout: time.Minute})
	r.env.RegisterWorkflowWithOptions(workflows.Canary, workflow.RegisterOptions{Name: workflows.CanaryType})
	r.env.RegisterWorkflowWithOptions(workflows.Backfill, workflow.RegisterOptions{Name: workflows.BackfillType})
	r.env.RegisterActivity(&activities.Activities{Runners: w.runner, Judges: w.judge, Names: w.names})
	p := w.small()
	c := p.def.Canary
	r.in = workflows.CanaryInput{
		Pipeline: "small", Definition: planned.To, Share: ten, Within: c.Within, Every: c.Every.String(), For: c.For.String(), Compare: c.Comparisons, Reason: "a test", By: "ana",
	}
	for name, version := range p.entry.Held {
		r.in.Views = append(r.in.Views, workflows.CanaryView{View: name, Version: version})
	}
	return r
}

func (r *canaryRun) run() workflows.CanaryState {
	r.Helper()
	text, err := json.Marshal(r.in)
	if err != nil {
		r.Fatal(err)
	}
	r.env.ExecuteWorkflow(workflows.CanaryType, json.RawMessage(text))
	var out workflows.CanaryResult
	if err := r.env.GetWorkflowError(); err != nil {
		r.Fatal(err)
	}
	if err := r.env.GetWorkflowResult(&out); err != nil {
		r.Fatal(err)
	}
	if len(out.Views) != 1 || out.Views[0].View != "items" {
		r.Fatalf("%+v", out)
	}
	return out.Views[0]
}

// sell sends one event.
func (w *whole) sell(id, item string, amount int) {
	w.Helper()
	body := fmt.Sprintf(`{"id":%q,"item":%q,"ts":"2024-01-02T03:04:05","amount":%d}`, id, item, amount)
	resp, err := w.client.Do(w.Context(), http.MethodPost, "/v1/pipelines/small/events", http.Header{"Content-Type": {"application/x-ndjson"}}, []byte(body))
	if err != nil {
		w.Fatal(err)
	}
	resp.Body.Close()
}

// A change that is wrong is seen in the comparison and rolled back by itself,
// with answers as before; one that is right is promoted.
func TestAWrongChangeIsRolledBackByItselfAndARightOneIsPromoted(t *testing.T) {
	t.Parallel()
	var dice atomic.Int64 // percent
	dice.Store(99)
	w := startWhole(t, func(c *Config) { c.Dice = func() float64 { return float64(dice.Load()) } })
	files := func(sql string) map[string]string {
		return changedFiles(map[string]string{"views/items.sql": sql, "pipeline.yaml": smallFiles["pipeline.yaml"] + "batch: {canary: {within: 1%, every: 5m, for: 12m, comparisons: 3}}\n"})
	}
	const rightSQL = "SELECT item, count(*) AS n, sum(amount) AS total FROM events GROUP BY ALL"
	w.put(files(rightSQL))
	(&small{T: t, pipeline: w.small()}).send(rand.New(rand.NewPCG(1, 2)), 20, 200)
	w.night()
	before, v0 := w.items()

	// Wrong in every group: it never answers a query.
	versions := w.newest(t).Version
	r := w.canary(files(strings.Replace(rightSQL, "sum(amount)", "sum(-amount)", 1)))
	if len(r.in.Views) != 1 {
		t.Fatalf("%+v", r.in)
	}
	s := r.run()
	if s.State != workflows.CanaryRolledBack || s.Last.Changed == 0 || s.Last.At != "" || !strings.Contains(s.Note, "groups differ") {
		t.Errorf("%+v", s)
	}
	if rows, v := w.items(); rows != before || v != v0 {
		t.Errorf("after the rollback version %s says\n%swant %s\n%s", v, rows, v0, before)
	}
	if m := w.newest(t); m.Version != versions+1 || m.Canary["items"] != 0 || m.Serves["items"] == "" {
		t.Errorf("version %d after %d: canary %v, serves %v", m.Version, versions, m.Canary, m.Serves)
	}
	w.night() // does not have it take over either
	if rows, v := w.items(); rows != before || v != v0 {
		t.Errorf("a night later version %s says\n%s", v, rows)
	}

	// Wrong only for what comes while it is watched: the log is compared, too.
	r = w.canary(files(strings.Replace(rightSQL, "sum(amount)", "sum(CASE WHEN item = 'late' THEN 0 ELSE amount END)", 1)))
	r.env.RegisterDelayedCallback(func() {
		if m := w.newest(t); m.Canary["items"] != 10 {
			t.Errorf("it has %v of the queries", m.Canary)
		}
		dice.Store(5)
		if _, v := w.items(); v != r.in.Views[0].Version {
			t.Errorf("version %s answers a query that falls to the canary", v)
		}
		dice.Store(99)
		if rows, v := w.items(); rows != before || v != v0 {
			t.Errorf("version %s answers a query that does not fall to the canary\n%s", v, rows)
		}
		w.sell("late-1", "late", 1_000_000)
		w.items() // waits until speed has it
	}, 6*time.Minute)
	if s := r.run(); s.State != workflows.CanaryRolledBack || s.Last.At == "" || s.Last.Changed != 1 || s.Within != 2 {
		t.Errorf("%+v", s)
	}
	var p workflows.Progress
	if value, err := r.env.QueryWorkflow(workflows.ProgressQuery); err != nil || value.Get(&p) != nil || !strings.Contains(p.Canary[0].Last.Markdown, "| late | total | 1000000 | 0 |") {
		t.Errorf("%+v %v", p, err)
	}
	late, v := w.items()
	if v != v0 || !strings.Contains(late, "late 1 1000000") || w.newest(t).Canary["items"] != 0 {
		t.Errorf("after the rollback version %s says\n%s", v, late)
	}

	// Right, with a column more, and with a night in between.
	r = w.canary(files(strings.Replace(rightSQL, "sum(amount)", "max(amount) AS most, sum(amount + 0)", 1)))
	r.env.RegisterDelayedCallback(func() {
		w.sell("late-2", "late", 5)
		w.night()
		if _, v := w.items(); v != v0 {
			t.Errorf("version %s took over with a night", v)
		}
		r.env.SignalWorkflow(workflows.PublishedSignal, nil)
	}, 6*time.Minute)
	s = r.run()
	if s.State != workflows.CanaryPromoted || s.Last.Changed+s.Last.Added+s.Last.Removed != 0 || s.Within < 4 {
		t.Errorf("%+v", s)
	}
	if rows, v := w.items(); v != r.in.Views[0].Version || !strings.Contains(rows, "late 2 1000000 1000005") {
		t.Errorf("after the promotion version %s says\n%s", v, rows)
	}
	if v, err := w.verify(t.Context(), w.small()); err != nil || !v.Equal {
		t.Errorf("%+v %v", v, err)
	}
	if m := w.newest(t); m.Kind != "promote" || m.By != "canary" || !strings.Contains(m.Reason, "within 1 %") {
		t.Errorf("%s by %s: %s", m.Kind, m.By, m.Reason)
	}
}

func (w *whole) newest(t *testing.T) *archive.Manifest {
	t.Helper()
	m, err := w.small().archive.Newest(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return m
}
