package workflows

import (
	"strings"
	"testing"

	"anabranch/activities"
	"anabranch/fault"
)

func TestDryRunPublishesNothingAndWaitsForNobody(t *testing.T) {
	t.Parallel()
	w := &world{Reviews: differs(digest)}
	env := environment(t, w)
	env.ExecuteWorkflow(BackfillType, BackfillInput{Pipeline: "retail", DryRun: true, Sample: 2, Approve: true})
	got := result(t, env)
	if got.Outcome != OutcomeDryRun || got.Version != 0 || w.Count("publish") != 0 || w.Count("review") != 1 || !strings.HasPrefix(got.Note, "a dry run of 3 days, nothing was published") {
		t.Fatalf("%+v", got)
	}
	if r := w.Requests()[0]; r.Sample != 2 {
		t.Errorf("%+v", r)
	}
	p := progress(t, env)
	if p.Phase != phaseDone || p.Review.Digest != digest || p.Estimate == nil || p.Estimate.Days != 3 || p.Note != got.Note {
		t.Errorf("%+v", p)
	}
}

func TestBackfillBeginsWithAnEstimate(t *testing.T) {
	t.Parallel()
	w := &world{}
	env := environment(t, w)
	env.ExecuteWorkflow(BackfillType, BackfillInput{Pipeline: "retail"})
	result(t, env)
	if log := w.Log(); log[0] != "estimate" || w.Count("estimate") != 1 {
		t.Errorf("%v", log)
	}
	w = &world{}
	env = environment(t, w)
	env.ExecuteWorkflow(NightlyType, NightlyInput{Pipeline: "retail"})
	result(t, env)
	if w.Count("estimate") != 0 {
		t.Errorf("%v", w.Log())
	}
}

func TestSampleIsForADryRun(t *testing.T) {
	t.Parallel()
	env := environment(t, &world{})
	env.ExecuteWorkflow(BackfillType, BackfillInput{Pipeline: "retail", Sample: 2})
	if err := activities.FromTemporal(env.GetWorkflowError()); !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), "for a dry run") {
		t.Fatal(err)
	}
}
