package workflows

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"go.temporal.io/sdk/testsuite"
	"go.temporal.io/sdk/workflow"

	"anabranch/activities"
	"anabranch/activities/activitiestest"
	"anabranch/batch"
	"anabranch/fault"
)

func audits(w *world, told *[]activities.AuditFound) *testsuite.TestWorkflowEnvironment {
	a := activitiestest.Activities(map[string]*world{"retail": w})
	a.Audited = func(f activities.AuditFound) { *told = append(*told, f) }
	return environmentOf(a)
}

func TestAuditGoesThroughAllUnits(t *testing.T) {
	t.Parallel()
	var told []activities.AuditFound
	env := audits(&world{}, &told)
	env.ExecuteWorkflow(AuditType, json.RawMessage(`{"pipeline":"retail","days":3}`))
	var got AuditResult
	if err := env.GetWorkflowResult(&got); err != nil {
		t.Fatal(err)
	}
	if got.Version != 7 || got.Days != 3 || got.Of != 30 || got.Counted != 3000 || got.Groups != 200 || got.Drifted != 0 || got.Seed == 0 || len(told) != 2 || told[1].Unit.Label != "2011-03-09" {
		t.Errorf("%+v, told %+v", got, told)
	}
}

func TestADriftFailsTheAuditAndIsInItsError(t *testing.T) {
	t.Parallel()
	var told []activities.AuditFound
	drift := batch.Drift{View: "sales", Where: "results of 2011-03", Group: []string{"UK"}, Column: "revenue", Served: "5", Recomputed: "6"}
	w := &world{Audits: func(u batch.AuditUnit) batch.Audited {
		if !u.Whole {
			return batch.Audited{Counted: 1, Views: map[string]int64{"sales": 0}}
		}
		return batch.Audited{Counted: 2, Drifted: 40, Drifts: []batch.Drift{drift}, Views: map[string]int64{"sales": 40}, Skipped: map[string]string{"old": "nobody knows it"}}
	}}
	env := audits(w, &told)
	env.ExecuteWorkflow(AuditType, json.RawMessage(`{"pipeline":"retail","seed":5}`))
	err := env.GetWorkflowError()
	var got AuditResult
	if !activities.Carried(err, &got) || got.Drifted != 40 || got.Counted != 3 || got.Seed != 5 || len(got.Drifts) != 1 || got.Drifts[0].Served != "5" || got.Skipped["old"] == "" {
		t.Errorf("%+v", got)
	}
	kinded := activities.FromTemporal(err)
	if fault.KindOf(kinded) != fault.Corrupt || fault.CodeOf(kinded) != activities.DriftCode || !strings.Contains(kinded.Error(), `40 cells of version 7 are not what the raw events give: results of 2011-03: sales[UK].revenue: served "5", recomputed "6"`) {
		t.Error(kinded)
	}
	if len(told) != 2 {
		t.Errorf("told %d times", len(told))
	}
	value, err := env.QueryWorkflow(ProgressQuery)
	var p Progress
	if err == nil {
		err = value.Get(&p)
	}
	if err != nil || p.Phase != phaseFailed || p.Done != 2 || p.Kind != "audit" {
		t.Errorf("%+v %v", p, err)
	}
}

func TestALongAuditGoesOnWithAFreshHistory(t *testing.T) {
	t.Parallel()
	in := AuditInput{Pipeline: "retail", Seed: 1, Resume: &AuditResume{Plan: batch.AuditPlan{Version: 7}}}
	for range auditsPerHistory + 1 {
		in.Resume.Plan.Units = append(in.Resume.Plan.Units, batch.AuditUnit{Label: "x", Days: []int32{1}, Rows: 1})
	}
	var told []activities.AuditFound
	env := audits(&world{}, &told)
	env.ExecuteWorkflow(AuditType, in)
	var again *workflow.ContinueAsNewError
	if err := env.GetWorkflowError(); !errors.As(err, &again) {
		t.Fatal(err)
	}
	next := audits(&world{}, &told)
	next.ExecuteWorkflow(AuditType, json.RawMessage(again.Input.Payloads[0].Data))
	var got AuditResult
	if err := next.GetWorkflowResult(&got); err != nil || got.Days != auditsPerHistory+1 || len(told) != auditsPerHistory+1 {
		t.Errorf("%+v %v", got, err)
	}
}

func TestAuditRefusesWhatItCannotDo(t *testing.T) {
	t.Parallel()
	for input, want := range map[string]string{
		`{}`: "pipeline is missing", `{"pipeline":"retail","days":-1}`: "above zero", `{"pipeline":"retail","from":"march"}`: "want a day like",
		`{"pipeline":"other"}`: "no pipeline", `{"pipeline":"retail","day":1}`: "unknown field",
	} {
		env := audits(&world{}, new([]activities.AuditFound))
		env.ExecuteWorkflow(AuditType, json.RawMessage(input))
		if err := env.GetWorkflowError(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", input, err)
		}
	}
}
