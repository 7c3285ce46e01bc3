package workflows

import (
	"context"
	"encoding/json"
	"strings"
	"testing"

	"anabranch/activities"
	"anabranch/fault"
)

func TestCompactPutsFilesTogether(t *testing.T) {
	t.Parallel()
	w := &world{}
	env := environment(t, w)
	env.ExecuteWorkflow(CompactType, json.RawMessage(`{"pipeline":"retail","reason":"too many","by":"ana"}`))
	got := result(t, env)
	if got.Outcome != OutcomePublished || got.Version != 1 || got.Units != 3 || got.Rows != 3000 || got.Report.Packed == nil || w.Count("pack") != 3 || w.Count("fold")+w.Count("review")+w.Count("estimate") != 0 {
		t.Errorf("%+v; %v", got, w.Log())
	}
	p := progress(t, env)
	if p.Kind != "compact" || p.Phase != phaseDone || p.Done != 3 || p.Total != 3 || p.RowsAll != 3000 || p.Packed == nil || p.Note != "published version 1" {
		t.Errorf("%+v", p)
	}
	if text := packedTable(p.Packed); !strings.Contains(text, "| day files | 100 | 30 | 3000 | 3 |") {
		t.Error(text)
	}

	// Another run publishes first: it plans again.
	w, lost := &world{}, false
	w.Before = func(_ context.Context, step string, _ int) error {
		if step == "publish" && !lost {
			lost = true
			w.Intrude()
		}
		return nil
	}
	env = environment(t, w)
	env.ExecuteWorkflow(CompactType, CompactInput{Pipeline: "retail"})
	if got := result(t, env); got.Attempts != 2 || got.Version != 2 || w.Count("pack") != 6 {
		t.Errorf("%+v; %v", got, w.Log())
	}
}

func TestCompactOfNothingAndDryRun(t *testing.T) {
	t.Parallel()
	w := &world{Packs: -1}
	env := environment(t, w)
	env.ExecuteWorkflow(CompactType, CompactInput{Pipeline: "retail"})
	if got := result(t, env); got.Outcome != OutcomeNothing || w.Count("publish") != 0 || got.Note != "there are no small files to put together" {
		t.Errorf("%+v; %v", got, w.Log())
	}
	w = &world{}
	env = environment(t, w)
	env.ExecuteWorkflow(CompactType, CompactInput{Pipeline: "retail", DryRun: true})
	if got := result(t, env); got.Outcome != OutcomeDryRun || w.Count("plan")+w.Count("pack")+w.Count("publish") != 0 || got.Note != "30 small files would become about 3; nothing was published" {
		t.Errorf("%+v; %v", got, w.Log())
	}
	if p := progress(t, env); p.Packed == nil || p.Phase != phaseDone {
		t.Errorf("%+v", p)
	}
	env = environment(t, &world{})
	env.ExecuteWorkflow(CompactType, CompactInput{DryRun: true})
	if err := activities.FromTemporal(env.GetWorkflowError()); !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), "pipeline is missing") {
		t.Error(err)
	}
}
