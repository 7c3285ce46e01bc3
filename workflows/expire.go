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
	"anabranch/batch"
)

// ExpireType is the name of the workflow type.
const ExpireType = "Expire"

// ExpireInput has a pipeline forget what its retention no longer wants.
type ExpireInput struct {
	Pipeline string `json:"pipeline"`
	DryRun   bool   `json:"dry_run,omitempty"` // only say what would go
	Reason   string `json:"reason,omitempty"`
	By       string `json:"by,omitempty"`
	// Key tells runs apart: two starts with one key are one run.
	Key string `json:"key,omitempty"`
}

const (
	phaseExpire   = "expire"
	expireExample = `{"pipeline":"retail","dry_run":true,"reason":"what would go","by":"ana"}`
)

// Expire forgets what a pipeline's retention no longer wants. Its argument is
// an ExpireInput, taken raw as in Nightly.
func Expire(ctx workflow.Context, raw converter.RawValue) (batch.Expired, error) {
	var in ExpireInput
	var out batch.Expired
	if err := decodeJSON(raw, &in, expireExample); err != nil {
		return out, err
	}
	if in.Pipeline == "" {
		return out, invalid("pipeline is missing: give JSON like %s", expireExample)
	}
	began, phase := workflow.Now(ctx), phaseExpire
	if err := workflow.SetQueryHandler(ctx, ProgressQuery, func() (Progress, error) {
		p := Progress{Pipeline: in.Pipeline, Kind: "expire", Phase: phase, Done: out.Objects, Total: out.Objects, Bytes: out.Bytes, Started: began, Attempt: 1, State: "running"}
		if p.Ended() {
			p.State = phase
		}
		return p, nil
	}); err != nil {
		return out, err
	}
	if err := workflow.UpsertTypedSearchAttributes(ctx, attrPipeline.ValueSet(in.Pipeline), attrKind.ValueSet("expire")); err != nil {
		return out, err
	}
	step := activities.Expire{Pipeline: in.Pipeline, Dry: in.DryRun, Reason: in.Reason, By: in.By}
	if err := workflow.ExecuteActivity(long(ctx, "forget what is no longer wanted"), steps.Expire, step).Get(ctx, &out); err != nil {
		phase = phaseFailed
		return out, err
	}
	phase = phaseDone
	workflow.SetCurrentDetails(ctx, in.table(out))
	return out, nil
}

// table shows what went, as Markdown.
func (in *ExpireInput) table(e batch.Expired) string {
	var b strings.Builder
	what := "have expired"
	if e.Dry {
		what = "would expire"
	}
	fmt.Fprintf(&b, "%d objects of **%s** %s, %d bytes.\n", e.Objects, cell(in.Pipeline), what, e.Bytes)
	if len(e.Kinds) > 0 {
		b.WriteString("\n| kind | objects | bytes | why | such as |\n| --- | --- | --- | --- | --- |\n")
	}
	for _, k := range e.Kinds {
		fmt.Fprintf(&b, "| %s | %d | %d | %s | %s |\n", cell(k.Kind), k.Objects, k.Bytes, cell(k.Why), cell(strings.Join(k.Names[:min(len(k.Names), 2)], ", ")))
	}
	for _, why := range e.Kept {
		fmt.Fprintf(&b, "\nKept though it is old: %s\n", cell(why))
	}
	return b.String()
}

// StartExpire starts it, or joins the run with the same key.
func StartExpire(ctx context.Context, c client.Client, queue string, in ExpireInput, now time.Time) (Started, error) {
	return asked{in.Pipeline, &in.Key, in.Reason, in.By}.start(ctx, c, queue, "expire", ExpireType, &in, fmt.Sprintf("expire of %s", in.Pipeline), now)
}
