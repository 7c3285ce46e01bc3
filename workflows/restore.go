package workflows

import (
	"context"
	"fmt"
	"time"

	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/workflow"

	"anabranch/activities"
)

// RestoreType is the name of the workflow type.
const RestoreType = "Restore"

// RestoreInput has a pipeline as of a moment put into another pipeline.
type RestoreInput struct {
	Pipeline string `json:"pipeline"`
	Into     string `json:"into"` // its name; it must not be there
	// AsOf is a time (RFC 3339, or a day, whose begin it means), a version (v12),
	// a cut (the next offsets, by comma) or the receipt of a query, as JSON.
	AsOf   string `json:"as_of"`
	Reason string `json:"reason,omitempty"`
	By     string `json:"by,omitempty"`
	// Key tells runs apart: two starts with one key are one run.
	Key string `json:"key,omitempty"`
}

const (
	phasePutBack   = "put back"
	restoreExample = `{"pipeline":"retail","into":"retail_then","as_of":"2011-09-01T00:00:00Z","reason":"what did we know","by":"ana"}`
)

// Restore puts the events of a pipeline as of a moment into another pipeline,
// and runs a batch there. The pipeline itself stays as it is. Its argument is a
// RestoreInput, taken raw as in Nightly.
func Restore(ctx workflow.Context, raw converter.RawValue) (activities.Restored, error) {
	var in RestoreInput
	var out activities.Restored
	if err := decodeJSON(raw, &in, restoreExample); err != nil {
		return out, err
	}
	if err := in.check(); err != nil {
		return out, err
	}
	began, phase := workflow.Now(ctx), phasePutBack
	if err := workflow.SetQueryHandler(ctx, ProgressQuery, func() (Progress, error) {
		p := Progress{Pipeline: in.Pipeline, Kind: "restore", Phase: phase, Rows: out.Events, Started: began, Attempt: 1, State: "running"}
		if p.Ended() {
			p.State = phase
		}
		return p, nil
	}); err != nil {
		return out, err
	}
	if err := workflow.UpsertTypedSearchAttributes(ctx, attrPipeline.ValueSet(in.Pipeline), attrKind.ValueSet("restore")); err != nil {
		return out, err
	}
	step := activities.Restore{Pipeline: in.Pipeline, Into: in.Into, AsOf: in.AsOf}
	if err := workflow.ExecuteActivity(long(ctx, "put the events into "+in.Into), steps.PutBack, step).Get(ctx, &out); err != nil {
		phase = phaseFailed
		return out, err
	}
	phase = "nightly"
	id := "nightly-" + in.Into + "-restored"
	child := workflow.WithChildOptions(ctx, workflow.ChildWorkflowOptions{WorkflowID: id, StaticSummary: "nightly of " + in.Into})
	var night Result
	if err := workflow.ExecuteChildWorkflow(child, NightlyType, NightlyInput{Pipeline: in.Into, Reason: "restored from " + in.Pipeline + " as of " + in.AsOf, By: in.By}).Get(ctx, &night); err != nil {
		phase = phaseFailed
		return out, err
	}
	out.Version, phase = night.Version, phaseDone
	workflow.SetCurrentDetails(ctx, fmt.Sprintf("**%s** has the %d events that **%s** had below %s; version %d is published.\n", cell(out.Into), out.Events, cell(out.Pipeline), cell(out.Cut), out.Version))
	return out, nil
}

func (in *RestoreInput) check() error {
	switch {
	case in.Pipeline == "":
		return invalid("pipeline is missing: give JSON like %s", restoreExample)
	case in.Into == "":
		return invalid("into is missing, the name of the pipeline to make: give JSON like %s", restoreExample)
	case in.Into == in.Pipeline:
		return invalid("into is %s itself: what came later is never deleted, so give another name", in.Into)
	case in.AsOf == "":
		return invalid("as_of is missing: give JSON like %s", restoreExample)
	}
	return nil
}

// StartRestore starts it, or joins the run with the same key.
func StartRestore(ctx context.Context, c client.Client, queue string, in RestoreInput, now time.Time) (Started, error) {
	if err := in.check(); err != nil {
		return Started{}, activities.FromTemporal(err)
	}
	return asked{in.Pipeline, &in.Key, in.Reason, in.By}.start(ctx, c, queue, "restore", RestoreType, &in, fmt.Sprintf("restore of %s into %s", in.Pipeline, in.Into), now)
}
