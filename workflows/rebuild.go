package workflows

import (
	"context"
	"fmt"
	"strings"
	"time"

	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/workflow"

	"anabranch/activities"
)

// RebuildSpeedType is the name of the workflow type.
const RebuildSpeedType = "RebuildSpeed"

// RebuildSpeedInput has a pipeline's speed layer built anew.
type RebuildSpeedInput struct {
	Pipeline string `json:"pipeline"`
	Reason   string `json:"reason,omitempty"`
	By       string `json:"by,omitempty"`
	// Key tells runs apart: two starts with one key are one run.
	Key string `json:"key,omitempty"`
}

const (
	phaseRebuild   = "rebuild"
	rebuildExample = `{"pipeline":"retail","reason":"the disk was replaced","by":"ana"}`
)

// RebuildSpeed throws the states and snapshots of a pipeline's speed layer
// away, folds them again from archive and log, and compares what comes out
// with the raw events. It fails when something differs. Its argument is a
// RebuildSpeedInput, taken raw as in Nightly.
func RebuildSpeed(ctx workflow.Context, raw converter.RawValue) (activities.SpeedRebuilt, error) {
	var in RebuildSpeedInput
	var out activities.SpeedRebuilt
	if err := decodeJSON(raw, &in, rebuildExample); err != nil {
		return out, err
	}
	if in.Pipeline == "" {
		return out, invalid("pipeline is missing: give JSON like %s", rebuildExample)
	}
	began, phase := workflow.Now(ctx), phaseRebuild
	if err := workflow.SetQueryHandler(ctx, ProgressQuery, func() (Progress, error) {
		p := Progress{Pipeline: in.Pipeline, Kind: "rebuild-speed", Phase: phase, Rows: out.Events, Started: began, Attempt: 1, State: "running"}
		if p.Ended() {
			p.State = phase
		}
		return p, nil
	}); err != nil {
		return out, err
	}
	if err := workflow.UpsertTypedSearchAttributes(ctx, attrPipeline.ValueSet(in.Pipeline), attrKind.ValueSet("rebuild-speed")); err != nil {
		return out, err
	}
	err := workflow.ExecuteActivity(long(ctx, "fold again from archive and log, and compare"), steps.BuildSpeed, activities.SpeedRebuild{Pipeline: in.Pipeline}).Get(ctx, &out)
	if err != nil {
		phase = phaseFailed
		return out, err
	}
	workflow.SetCurrentDetails(ctx, in.table(out))
	if !out.Equal {
		phase = phaseFailed
		return out, activities.Drifted(fmt.Sprintf("after a rebuild the speed layer of %s is not what the raw events give: %s", in.Pipeline, differing(out.Views)), out)
	}
	phase = phaseDone
	return out, nil
}

func differing(views map[string]int64) string {
	var said []string
	for _, v := range sortedKeys(views) {
		if views[v] > 0 {
			said = append(said, fmt.Sprintf("%s in %d rows", v, views[v]))
		}
	}
	return orElse(strings.Join(said, ", "), "the ledger")
}

// table shows what came out, as Markdown.
func (in *RebuildSpeedInput) table(r activities.SpeedRebuilt) string {
	var b strings.Builder
	fmt.Fprintf(&b, "The speed layer of **%s** was folded again from %s to %s.\n\n%s: %d events.\n", cell(in.Pipeline), cell(r.From), cell(r.To), cell(r.Checked), r.Events)
	if len(r.Views) > 0 {
		b.WriteString("\n| view | rows that differ |\n| --- | --- |\n")
	}
	for _, v := range sortedKeys(r.Views) {
		fmt.Fprintf(&b, "| %s | %d |\n", cell(v), r.Views[v])
	}
	return b.String()
}

// StartRebuildSpeed starts it, or joins the run with the same key.
func StartRebuildSpeed(ctx context.Context, c client.Client, queue string, in RebuildSpeedInput, now time.Time) (Started, error) {
	return asked{in.Pipeline, &in.Key, in.Reason, in.By}.start(ctx, c, queue, "rebuild-speed", RebuildSpeedType, &in, fmt.Sprintf("rebuild of the speed layer of %s", in.Pipeline), now)
}
