package workflows

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	commonpb "go.temporal.io/api/common/v1"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/log"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/testsuite"
	sdkworker "go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"anabranch/activities"
	"anabranch/activities/activitiestest"
	"anabranch/batch"
	"anabranch/fault"
)

type world = activitiestest.World

// environment returns a simulated server with one pipeline, "retail".
func environment(t *testing.T, w *world) *testsuite.TestWorkflowEnvironment {
	t.Helper()
	a := activitiestest.Activities(map[string]*world{"retail": w})
	a.Poll = time.Millisecond
	return environmentOf(a)
}

func environmentOf(a *activities.Activities) *testsuite.TestWorkflowEnvironment {
	suite := new(testsuite.WorkflowTestSuite)
	suite.SetLogger(log.NewStructuredLogger(slog.New(slog.DiscardHandler)))
	env := suite.NewTestWorkflowEnvironment()
	// A busy machine is no deadlock.
	env.SetWorkerOptions(sdkworker.Options{DeadlockDetectionTimeout: time.Minute})
	env.RegisterWorkflowWithOptions(Nightly, workflow.RegisterOptions{Name: NightlyType})
	env.RegisterWorkflowWithOptions(Backfill, workflow.RegisterOptions{Name: BackfillType})
	env.RegisterWorkflowWithOptions(Canary, workflow.RegisterOptions{Name: CanaryType})
	env.RegisterWorkflowWithOptions(ReleaseDeadLetters, workflow.RegisterOptions{Name: ReleaseType})
	env.RegisterWorkflowWithOptions(Import, workflow.RegisterOptions{Name: ImportType})
	env.RegisterWorkflowWithOptions(Audit, workflow.RegisterOptions{Name: AuditType})
	env.RegisterWorkflowWithOptions(Compact, workflow.RegisterOptions{Name: CompactType})
	env.RegisterWorkflowWithOptions(Expire, workflow.RegisterOptions{Name: ExpireType})
	env.RegisterWorkflowWithOptions(Restore, workflow.RegisterOptions{Name: RestoreType})
	env.RegisterWorkflowWithOptions(RebuildSpeed, workflow.RegisterOptions{Name: RebuildSpeedType})
	env.RegisterActivity(a)
	return env
}

func jsonPayload(text string) *commonpb.Payload {
	return &commonpb.Payload{Metadata: map[string][]byte{"encoding": []byte("json/plain")}, Data: []byte(text)}
}

func result(t *testing.T, env *testsuite.TestWorkflowEnvironment) Result {
	t.Helper()
	var got Result
	if !env.IsWorkflowCompleted() {
		t.Fatal("the workflow has not ended")
	}
	if err := env.GetWorkflowError(); err != nil {
		t.Fatal(err)
	}
	if err := env.GetWorkflowResult(&got); err != nil {
		t.Fatal(err)
	}
	return got
}

func progress(t *testing.T, env *testsuite.TestWorkflowEnvironment) Progress {
	t.Helper()
	var p Progress
	v, err := env.QueryWorkflow(ProgressQuery)
	if err == nil {
		err = v.Get(&p)
	}
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestNightlyTakesEveryStepInOrder(t *testing.T) {
	t.Parallel()
	w := &world{}
	env := environment(t, w)
	env.ExecuteWorkflow(NightlyType, NightlyInput{Pipeline: "retail", Reason: "test", By: "ana"})
	got := result(t, env)
	if got.Outcome != OutcomePublished || got.Version != 1 || got.K != 1 || got.Attempts != 1 || got.Units != 7 || got.Rows != 5000 || got.Report.Counted != 5000 {
		t.Fatalf("%+v", got)
	}
	var phases []string
	for _, l := range w.Log() {
		name, _, _ := strings.Cut(l, " ")
		if len(phases) == 0 || phases[len(phases)-1] != name {
			phases = append(phases, name)
		}
	}
	want := []string{"barrier", "append", "sealed", "plan", "compact", "spread", "fold", "gather", "finish", "verify", "publish"}
	if !slices.Equal(phases, want) {
		t.Errorf("phases %v, want %v", phases, want)
	}
	p := progress(t, env)
	if p.Phase != phaseDone || !p.Ended() || p.Done != 7 || p.Total != 7 || p.Kind != batch.Nightly || p.K != 1 || p.Note != "published version 1" || p.Started.IsZero() {
		t.Errorf("%+v", p)
	}
}

func TestBackfillTakesNoBarrierAndKeepsTheCut(t *testing.T) {
	t.Parallel()
	w := &world{}
	w.Intrude()
	env := environment(t, w)
	env.ExecuteWorkflow(BackfillType, BackfillInput{Pipeline: "retail", View: "sales", From: "2011-03-01", To: "2011-03-07", Reason: "refunds", By: "ana"})
	got := result(t, env)
	if got.Version != 2 || w.Count("barrier")+w.Count("append")+w.Count("compact") != 0 {
		t.Fatalf("%+v %v", got, w.Log())
	}
	r := w.Requests()[0]
	if r.Kind != batch.Backfill || r.View != "sales" || *r.From != 15034 || *r.To != 15040 || r.K != 0 || r.Reason != "refunds" || r.By != "ana" || r.RunID == "" {
		t.Errorf("%+v", r)
	}
	if p := progress(t, env); p.View != "sales" || p.From != "2011-03-01" || p.To != "2011-03-07" {
		t.Errorf("%+v", p)
	}
}

func TestLoserPlansAgainFromTheWinner(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{NightlyType, BackfillType} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			w := &world{}
			var intrusions int
			w.Before = func(_ context.Context, step string, _ int) error {
				if step == "publish" && intrusions < 2 {
					intrusions++
					w.Intrude()
				}
				return nil
			}
			env := environment(t, w)
			env.ExecuteWorkflow(kind, NightlyInput{Pipeline: "retail"})
			got := result(t, env)
			if got.Attempts != 3 || got.Version != 3 || got.Outcome != OutcomePublished {
				t.Fatalf("%+v", got)
			}
			requests := w.Requests()
			for i, r := range requests {
				if r.Attempt != i || r.RunID != requests[0].RunID || r.K != requests[0].K {
					t.Errorf("plan %d asked for %+v", i, r)
				}
			}
			if w.Count("barrier") > 1 || w.Count("append") > 1 {
				t.Errorf("a new barrier for the same run: %v", w.Log())
			}
			if got.Units != progress(t, env).Total {
				t.Errorf("counts units of lost attempts: %+v", got)
			}
		})
	}
}

func TestLosingAgainAndAgainEnds(t *testing.T) {
	t.Parallel()
	w := &world{}
	w.Before = func(_ context.Context, step string, _ int) error {
		if step == "verify" {
			w.Intrude()
		}
		return nil
	}
	env := environment(t, w)
	env.ExecuteWorkflow(BackfillType, BackfillInput{Pipeline: "retail"})
	err := activities.FromTemporal(env.GetWorkflowError())
	if !fault.Is(err, fault.Conflict) || !strings.Contains(err.Error(), "other runs published first 8 times in a row") {
		t.Fatal(err)
	}
	if n := len(w.Requests()); n != maxAttempts {
		t.Fatalf("%d plans", n)
	}
}

func TestBarrierThatIsPublishedEndsWell(t *testing.T) {
	t.Parallel()
	for _, at := range []string{"sealed", "plan"} {
		t.Run(at, func(t *testing.T) {
			t.Parallel()
			w := &world{}
			w.Before = func(_ context.Context, step string, _ int) error {
				if step == at {
					return batch.ErrDone
				}
				return nil
			}
			env := environment(t, w)
			env.ExecuteWorkflow(NightlyType, NightlyInput{Pipeline: "retail"})
			if got := result(t, env); got.Outcome != OutcomeNothing || got.Note != "barrier 1 has been published already" || w.Count("publish") != 0 {
				t.Fatalf("%+v", got)
			}
		})
	}
}

func TestKindsOfErrors(t *testing.T) {
	t.Parallel()
	for _, step := range []string{"barrier", "append", "sealed", "plan", "compact", "spread", "fold", "gather", "finish", "verify", "publish"} {
		for _, kind := range []fault.Kind{fault.Transient, fault.Throttled, fault.Full, fault.Unknown, fault.Poison, fault.Corrupt, fault.Denied, fault.Invalid, fault.Bug} {
			t.Run(step+" "+kind.String(), func(t *testing.T) {
				t.Parallel()
				var failed atomic.Int32
				w := &world{Before: func(_ context.Context, s string, unit int) error {
					if s == step && unit <= 0 && failed.Add(1) <= 3 {
						return fault.New(kind, "the %s is not there", step)
					}
					return nil
				}}
				env := environment(t, w)
				env.ExecuteWorkflow(NightlyType, NightlyInput{Pipeline: "retail"})
				if kind.Retryable() {
					if got := result(t, env); got.Outcome != OutcomePublished || failed.Load() < 4 {
						t.Fatalf("%+v after %d tries", got, failed.Load())
					}
					return
				}
				err := activities.FromTemporal(env.GetWorkflowError())
				if fault.KindOf(err) != kind || failed.Load() != 1 {
					t.Fatalf("%v (%v) after %d tries", err, fault.KindOf(err), failed.Load())
				}
				if text := err.Error(); !strings.HasPrefix(text, "Nightly, ") || !strings.HasSuffix(text, "the "+step+" is not there") {
					t.Errorf("text %q", text)
				}
				if v, _ := w.Version(); v != 0 {
					t.Error("published all the same")
				}
				if p := progress(t, env); p.Phase != phaseFailed || !strings.Contains(p.Note, "is not there") {
					t.Errorf("%+v", p)
				}
			})
		}
	}
}

func TestParallelIsBounded(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ asked, want int32 }{{0, 8}, {1, 1}, {3, 3}, {50, 20}} {
		t.Run(fmt.Sprint(c.asked), func(t *testing.T) {
			t.Parallel()
			var running, most atomic.Int32
			var once sync.Once
			all := make(chan struct{})
			w := &world{Folds: 20}
			w.Before = func(ctx context.Context, step string, _ int) error {
				if step != "fold" {
					return nil
				}
				n := running.Add(1)
				defer running.Add(-1)
				for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
				}
				if n == c.want {
					once.Do(func() { close(all) })
				}
				<-all // until as many run as may
				return nil
			}
			env := environment(t, w)
			env.ExecuteWorkflow(BackfillType, BackfillInput{Pipeline: "retail", Parallel: int(c.asked)})
			result(t, env)
			if most.Load() != c.want {
				t.Errorf("%d at once, want %d", most.Load(), c.want)
			}
		})
	}
}

func TestCancelLeavesNothingHalf(t *testing.T) {
	t.Parallel()
	for _, at := range []string{"sealed", "compact", "fold", "verify"} {
		t.Run(at, func(t *testing.T) {
			t.Parallel()
			var once sync.Once
			var env *testsuite.TestWorkflowEnvironment
			w := &world{}
			w.Before = func(ctx context.Context, step string, _ int) error {
				if step != at {
					return nil
				}
				once.Do(env.CancelWorkflow)
				<-ctx.Done()
				return fault.Wrap(fault.Transient, fmt.Errorf("put: %w", ctx.Err()))
			}
			env = environment(t, w)
			env.ExecuteWorkflow(NightlyType, NightlyInput{Pipeline: "retail", Parallel: 2})
			err := env.GetWorkflowError()
			if !temporal.IsCanceledError(err) || fault.CodeOf(activities.FromTemporal(err)) != "cancelled" {
				t.Fatalf("%v", err)
			}
			if v, _ := w.Version(); v != 0 || w.Count("publish") != 0 {
				t.Error("published all the same")
			}
			if p := progress(t, env); p.Phase != phaseCancelled || !p.Ended() {
				t.Errorf("%+v", p)
			}
		})
	}
}

func TestLongRunContinuesWithAFreshHistory(t *testing.T) {
	t.Parallel()
	w := &world{Folds: 25, Finishes: 9, Partitions: 5}
	var input any = NightlyInput{Pipeline: "retail", Parallel: 4, Reason: "test"}
	for histories := 1; ; histories++ {
		env := environment(t, w)
		env.SetContinueAsNewSuggested(true)
		env.ExecuteWorkflow(NightlyType, input)
		var more *workflow.ContinueAsNewError
		if !errors.As(env.GetWorkflowError(), &more) {
			got := result(t, env)
			if got.Units != 39 || got.Version != 1 || got.Attempts != 1 || histories < 5 {
				t.Fatalf("%+v after %d histories", got, histories)
			}
			break
		}
		if more.WorkflowType.Name != NightlyType {
			t.Fatalf("continues as %s", more.WorkflowType.Name)
		}
		var next NightlyInput
		if err := converter.GetDefaultDataConverter().FromPayloads(more.Input, &next); err != nil {
			t.Fatal(err)
		}
		if next.Resume == nil || next.Pipeline != "retail" || next.Reason != "test" {
			t.Fatalf("%+v", next)
		}
		input = next
	}
	log := w.Log()
	slices.Sort(log)
	for i := 1; i < len(log); i++ {
		if log[i] == log[i-1] && log[i] != "sealed" {
			t.Errorf("%s was done twice", log[i])
		}
	}
}

func TestInputsThatAreRefusedWithASentence(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ kind, input, want string }{
		{BackfillType, `{}`, `pipeline is missing`},
		{BackfillType, `{"pipelin":"retail"}`, `unknown field "pipelin"`},
		{BackfillType, `{"pipeline":"retail"`, `not what is wanted`},
		{BackfillType, `["retail"]`, `give JSON like {"pipeline":"retail","view":""`},
		{BackfillType, `{"pipeline":"retail"} {}`, `goes on behind its end`},
		{BackfillType, `{"pipeline":"retail","from":"2011/03/01"}`, `from "2011/03/01": want a day like 2011-03-01`},
		{BackfillType, `{"pipeline":"retail","to":"2011-02-30"}`, `to "2011-02-30"`},
		{BackfillType, `{"pipeline":"retail","from":"2011-03-02","to":"2011-03-01"}`, `swap them`},
		{BackfillType, `{"pipeline":"retial"}`, `no pipeline "retial": there are retail`},
		{NightlyType, ``, `no input`},
		{NightlyType, `{"pipeline":"retail","parallel":-1}`, `parallel -1`},
		{NightlyType, `{"pipeline":"retail","parallel":100000}`, `want 1 to 500`},
		{NightlyType, `{"pipeline":"retail","from":"2011-03-01"}`, `unknown field "from"`},
	} {
		t.Run(c.input, func(t *testing.T) {
			t.Parallel()
			w := &world{}
			env := environment(t, w)
			if c.input == "" {
				env.ExecuteWorkflow(c.kind)
			} else {
				env.ExecuteWorkflow(c.kind, converter.NewRawValue(jsonPayload(c.input)))
			}
			err := activities.FromTemporal(env.GetWorkflowError())
			if !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
				t.Fatalf("%v, want %q", err, c.want)
			}
			if w.Count("publish") != 0 {
				t.Error("published")
			}
		})
	}
}

func TestInputJSONIsSmall(t *testing.T) {
	t.Parallel()
	text, err := json.Marshal(BackfillInput{Pipeline: "retail", View: "", From: "2011-03-01", To: "2011-03-07", Reason: "late refunds", By: "ana"})
	if err != nil || string(text) != `{"pipeline":"retail","from":"2011-03-01","to":"2011-03-07","reason":"late refunds","by":"ana"}` {
		t.Fatal(string(text), err)
	}
}

func TestLinksIntoTheUI(t *testing.T) {
	t.Parallel()
	if got := FormLink("http://127.0.0.1:8233/", "default", TaskQueue, BackfillType, "backfill-retail-1"); got != "http://127.0.0.1:8233/namespaces/default/workflows/start-workflow?taskQueue=anabranch&workflowId=backfill-retail-1&workflowType=Backfill" {
		t.Error(got)
	}
	if got := RunLink("http://127.0.0.1:8233", "default", Started{ID: "a/b", RunID: "r"}); got != "http://127.0.0.1:8233/namespaces/default/workflows/a%2Fb/r" {
		t.Error(got)
	}
	if FormLink("", "default", "q", "W", "") != "" || RunLink("", "default", Started{}) != "" {
		t.Error("no UI, no link")
	}
}

func TestTableStaysATable(t *testing.T) {
	t.Parallel()
	r := newRun(BackfillType, activities.Request{Kind: batch.Backfill, Pipeline: "retail", From: "2011-03-01", Reason: "a|b\nc", By: "ana"}, 0, nil)
	r.s = Resume{Phase: phaseFold, Attempt: 2, Units: 3, Rows: 9000, Started: time.Unix(0, 0), Fold: &batch.Units{N: 10, Rows: 30000}, Worked: 3 * time.Second,
		Failed: []Failed{{Phase: phaseFold, Unit: 4, Label: "2011-03-04", Kind: "corrupt", Error: "checksum|of a file"}}}
	r.s.Steering = Steering{Parallel: 8, Acts: []Act{{At: time.Unix(60, 0), Do: "parallel", Instruction: Instruction{By: "ana", Reason: "night", Parallel: 8}}}}
	want := `### Backfill of retail

**fold**, waits for a retry: 1 failed

| | |
|---|---|
| view | all |
| event days | 2011-03-01 to the last |
| units | 3 of 10 (compact 0, fold 10, finish 0) |
| rows | 9000 of 30000, 3000 a second |
| reading for | 7s more at this rate |
| running | 0, at most 8 at once |
| attempt | 2: another run published first |
| started | 1970-01-01T00:00:00Z |
| asked for by | ana: a\|b c |

| failed | why | kind |
|---|---|---|
| fold, 2011-03-04 | checksum\|of a file | corrupt |

Mend it and send the update ` + "`retry`, or `cancel`" + `.

- 1970-01-01T00:01:00Z parallel 8 by ana: night
`
	if got := r.table(); got != want {
		t.Errorf("%s\nwant\n%s", got, want)
	}
}
