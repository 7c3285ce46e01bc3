package workflows

import (
	"context"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"go.temporal.io/sdk/testsuite"

	"anabranch/fault"
)

const importAll = `{"pipeline":"retail","from":"file:///data","by":"eva"}`

func TestImportTakesFileAfterFile(t *testing.T) {
	t.Parallel()
	failed := false
	w := &world{Before: func(_ context.Context, step string, unit int) error {
		if step == "file" && unit == 1 && !failed {
			failed = true
			return fault.New(fault.Throttled, "no room")
		}
		return nil
	}}
	env := environment(t, w)
	env.ExecuteWorkflow(ImportType, json.RawMessage(importAll))
	var got ImportResult
	if err := env.GetWorkflowError(); err != nil {
		t.Fatal(err)
	}
	if err := env.GetWorkflowResult(&got); err != nil {
		t.Fatal(err)
	}
	if got.Files != 3 || got.Rows != 33 || got.Accepted != 30 || got.DeadLettered != 3 || len(got.Refused) != 3 || got.Refused[2].File != "2010-03.parquet" || got.Positions[0] != "0/3/0" {
		t.Errorf("%+v", got)
	}
	if log := strings.Join(w.Log(), ", "); log != "list, file 0, file 1, file 2" {
		t.Error(log)
	}
}

// TestImportOfADamagedFile: the others come in, and the run says which did not.
func TestImportOfADamagedFile(t *testing.T) {
	t.Parallel()
	w := &world{Before: func(_ context.Context, step string, unit int) error {
		if step == "file" && unit == 1 {
			return fault.New(fault.Corrupt, "2010-02.parquet is no Parquet")
		}
		return nil
	}}
	env := environment(t, w)
	env.ExecuteWorkflow(ImportType, json.RawMessage(importAll))
	err := env.GetWorkflowError()
	if err == nil || !strings.Contains(err.Error(), "1 of 3 files") || !strings.Contains(err.Error(), "2010-02.parquet") || w.Count("file") != 2 {
		t.Errorf("%v after %v", err, w.Log())
	}
}

// TestImportIsPausedAndCancelled: between two files.
func TestImportIsPausedAndCancelled(t *testing.T) {
	t.Parallel()
	w := &world{}
	env := environment(t, w)
	told := map[string]error{}
	tell := func(name, text string) {
		env.UpdateWorkflow(name, "", &testsuite.TestUpdateCallback{
			OnReject: func(e error) { told[text] = e }, OnAccept: func() {}, OnComplete: func(_ any, e error) { told[text] = e },
		}, json.RawMessage(text))
	}
	env.RegisterDelayedCallback(func() {
		tell(PauseUpdate, `{"by":"eva"}`)
		tell(PauseUpdate, `{"by":"eva","reason":"load"}`)
	}, 0)
	env.RegisterDelayedCallback(func() {
		v, err := env.QueryWorkflow(ProgressQuery)
		var p Progress
		if err != nil || v.Get(&p) != nil || p.Waits != waitsResume || p.Done == p.Total {
			t.Errorf("%+v, %v", p, err)
		}
		tell(CancelUpdate, `{"by":"eva","reason":"wrong folder"}`)
	}, time.Hour)
	env.ExecuteWorkflow(ImportType, json.RawMessage(importAll))
	if err := env.GetWorkflowError(); err == nil || w.Count("file") == 3 {
		t.Errorf("%v after %v", err, w.Log())
	}
	if told[`{"by":"eva"}`] == nil || told[`{"by":"eva","reason":"load"}`] != nil || told[`{"by":"eva","reason":"wrong folder"}`] != nil {
		t.Error(told)
	}
}

// TestALongImportContinues: with a fresh history, where it was.
func TestALongImportContinues(t *testing.T) {
	t.Parallel()
	w := &world{}
	env := environment(t, w)
	in := ImportInput{Pipeline: "retail", From: "file:///data", Resume: &ImportResume{Next: 1, Result: ImportResult{Files: 1, Rows: 11}}}
	in.Resume.List.Files = 3
	env.ExecuteWorkflow(ImportType, in)
	var got ImportResult
	if err := env.GetWorkflowResult(&got); err != nil || got.Files != 3 || got.Rows != 33 || w.Count("list") != 0 {
		t.Errorf("%+v, %v, %v", got, err, w.Log())
	}
}
