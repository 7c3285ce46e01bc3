package workflows

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"go.temporal.io/sdk/testsuite"
	"go.temporal.io/sdk/workflow"

	"anabranch/activities/activitiestest"
	"anabranch/batch"
	"anabranch/fault"
)

const canaryOfDay = `{"pipeline":"retail","views":[{"view":"day","version":"1f8be302"}],"share":10,"within":0.01,"every":"5m","for":"12m","comparisons":3,"by":"ana"}`

func canaries(w *world) *testsuite.TestWorkflowEnvironment {
	return environmentOf(activitiestest.Activities(map[string]*world{"retail": w}))
}

func beyond(n int) func(int) batch.Judgement {
	return func(i int) batch.Judgement {
		j := batch.Judgement{State: batch.Held, Groups: 100, Same: 100}
		if i >= n {
			j.Changed, j.Same, j.Beyond = 50, 50, "view day: 50 of 100 groups differ, 50 %; the bound is 1 %"
		}
		return j
	}
}

// pointed returns who was made to answer, in order.
func pointed(w *world) (out []string) {
	for _, l := range w.Log() {
		if strings.HasPrefix(l, "share") || strings.HasPrefix(l, "serve") {
			out = append(out, l)
		}
	}
	return out
}

func canaryResult(t *testing.T, env *testsuite.TestWorkflowEnvironment) CanaryResult {
	t.Helper()
	var got CanaryResult
	if err := env.GetWorkflowError(); err != nil {
		t.Fatal(err)
	}
	if err := env.GetWorkflowResult(&got); err != nil {
		t.Fatal(err)
	}
	return got
}

func TestACanaryIsComputedSharedComparedAndPromoted(t *testing.T) {
	t.Parallel()
	w := &world{}
	env := canaries(w)
	began := env.Now()
	env.ExecuteWorkflow(CanaryType, json.RawMessage(canaryOfDay))
	got := canaryResult(t, env)
	v := got.Views[0]
	// At 0, 5, 10 and 15 minutes.
	if v.State != CanaryPromoted || v.Within != 4 || got.Looks != 4 || env.Now().Sub(began) < 15*time.Minute || v.Last.Markdown != "" {
		t.Errorf("%+v after %s", got, env.Now().Sub(began))
	}
	if want := []string{"share day 10 by ana", "serve day by canary"}; !slices.Equal(pointed(w), want) {
		t.Errorf("%q, want %q", pointed(w), want)
	}
	if r := w.Requests(); len(r) != 1 || !r[0].Build || !r[0].Hold || r[0].From != nil {
		t.Errorf("computed by %+v", r)
	}
}

func TestACanaryBeyondItsBoundIsRolledBack(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		first int // comparison that is beyond
		want  []string
	}{
		"before any query": {1, nil},
		"later":            {3, []string{"share day 10 by ana", "share day 0 by canary"}},
	} {
		w := &world{Verdicts: beyond(c.first)}
		env := canaries(w)
		env.ExecuteWorkflow(CanaryType, json.RawMessage(canaryOfDay))
		got := canaryResult(t, env)
		if v := got.Views[0]; v.State != CanaryRolledBack || !slices.Equal(got.RolledBack, []string{"day"}) || !strings.Contains(v.Note, "50 of 100") || v.Share != 0 {
			t.Errorf("%s: %+v", name, got)
		}
		if !slices.Equal(pointed(w), c.want) {
			t.Errorf("%s: %q, want %q", name, pointed(w), c.want)
		}
	}
}

func TestACanaryIsDecidedByHand(t *testing.T) {
	t.Parallel()
	for _, update := range []string{PromoteUpdate, RollBackUpdate} {
		w := &world{}
		env := canaries(w)
		var why, which, done *said
		env.RegisterDelayedCallback(func() {
			why = tell(t, env, update, Instruction{By: "eva"})
			which = tell(t, env, update, Instruction{By: "eva", Reason: "x", View: "hour"})
			done = tell(t, env, update, Instruction{By: "eva", Reason: "as asked for"})
		}, 6*time.Minute)
		env.ExecuteWorkflow(CanaryType, json.RawMessage(canaryOfDay))
		why.refusedWith(fault.Invalid, "why?")
		which.refusedWith(fault.Invalid, "no view")
		got := canaryResult(t, env)
		state, by := CanaryPromoted, "serve day by eva"
		if update == RollBackUpdate {
			state, by = CanaryRolledBack, "share day 0 by eva"
		}
		if v := got.Views[0]; v.State != state || got.Looks != 3 || pointed(w)[1] != by || done.err != nil || !strings.HasPrefix(done.state, "is being") {
			t.Errorf("%s: %+v %q %+v", update, got, pointed(w), done)
		}
	}
}

func TestACanaryComparesAfterAPublication(t *testing.T) {
	t.Parallel()
	w := &world{Verdicts: beyond(3)}
	env := canaries(w)
	began := env.Now()
	env.RegisterDelayedCallback(func() { env.SignalWorkflow(PublishedSignal, nil) }, time.Minute)
	env.RegisterDelayedCallback(func() { env.SignalWorkflow(PublishedSignal, nil) }, 2*time.Minute)
	env.ExecuteWorkflow(CanaryType, json.RawMessage(canaryOfDay))
	if got := canaryResult(t, env); got.Views[0].State != CanaryRolledBack || env.Now().Sub(began) > 3*time.Minute {
		t.Errorf("%+v after %s", got, env.Now().Sub(began))
	}
}

// However it ends, no view keeps a share of the queries.
func TestACanaryThatEndsLeavesNothing(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(w *world, env *testsuite.TestWorkflowEnvironment){
		"cancelled": func(_ *world, env *testsuite.TestWorkflowEnvironment) {
			env.RegisterDelayedCallback(env.CancelWorkflow, 6*time.Minute)
		},
		"damage": func(w *world, _ *testsuite.TestWorkflowEnvironment) {
			w.Before = func(_ context.Context, step string, _ int) error {
				if step == "judge" && w.Count("judge") == 4 {
					return fault.New(fault.Corrupt, "result file has another checksum")
				}
				return nil
			}
		},
	} {
		w := &world{}
		env := canaries(w)
		end(w, env)
		env.ExecuteWorkflow(CanaryType, json.RawMessage(canaryOfDay))
		if env.GetWorkflowError() == nil {
			t.Errorf("%s: it ended well", name)
		}
		if want := []string{"share day 10 by ana", "share day 0 by canary"}; !slices.Equal(pointed(w), want) {
			t.Errorf("%s: %q, want %q", name, pointed(w), want)
		}
	}
}

func TestALongCanaryGoesOnWithAFreshHistory(t *testing.T) {
	t.Parallel()
	long := strings.Replace(canaryOfDay, `"12m"`, `"10h"`, 1)
	w := &world{}
	env := canaries(w)
	env.ExecuteWorkflow(CanaryType, json.RawMessage(long))
	var again *workflow.ContinueAsNewError
	if err := env.GetWorkflowError(); !errors.As(err, &again) {
		t.Fatal(err)
	}
	next := canaries(w)
	next.SetStartTime(env.Now())
	next.ExecuteWorkflow(CanaryType, json.RawMessage(again.Input.Payloads[0].Data))
	if got := canaryResult(t, next); got.Views[0].State != CanaryPromoted || got.Looks < looksPerHistory || len(pointed(w)) != 2 {
		t.Errorf("%+v %q", got, pointed(w))
	}
}

func TestACanaryRefusesWhatItCannotDo(t *testing.T) {
	t.Parallel()
	for input, want := range map[string]string{
		`{}`: "missing", `{"pipline":"retail"}`: "unknown field", strings.Replace(canaryOfDay, `"share":10`, `"share":0`, 1): "share 0",
		strings.Replace(canaryOfDay, "0.01", "2", 1): "within 2", strings.Replace(canaryOfDay, "5m", "soon", 1): "every",
	} {
		env := canaries(&world{})
		env.ExecuteWorkflow(CanaryType, json.RawMessage(input))
		if err := env.GetWorkflowError(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", input, err)
		}
	}
}
