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

// CompactType is the name of the workflow type.
const CompactType = "Compact"

// CompactInput has a pipeline's small files put together.
type CompactInput struct {
	Pipeline string `json:"pipeline"`
	DryRun   bool   `json:"dry_run,omitempty"` // only say which
	Reason   string `json:"reason,omitempty"`
	By       string `json:"by,omitempty"`
	// Key tells runs apart: two starts with one key are one run.
	Key      string `json:"key,omitempty"`
	Parallel int    `json:"parallel,omitempty"`
	// OnFailure is as of a nightly run. Default: fail.
	OnFailure string `json:"on_failure,omitempty"`
	// Resume is filled in when a long run continues with a fresh history.
	Resume *Resume `json:"resume,omitempty"`
}

// Compact puts small files of a pipeline together. No answer changes by it. Its
// argument is a CompactInput, taken raw as in Nightly.
func Compact(ctx workflow.Context, raw converter.RawValue) (Result, error) {
	var in CompactInput
	if err := decode(raw, &in); err != nil {
		return Result{}, err
	}
	r := newRun(CompactType, activities.Request{Kind: batch.Compaction, Pipeline: in.Pipeline, Reason: in.Reason, By: in.By}, in.Parallel, in.Resume)
	r.patient, r.dry = in.OnFailure == OnFailureWait, in.DryRun
	return r.do(ctx, func(s *Resume) any { in.Resume = s; return in })
}

// compactable says what there is to do.
func (r *run) compactable(ctx workflow.Context) (Result, error) {
	r.enter(ctx, phasePlan)
	target := activities.Target{Pipeline: r.request.Pipeline}
	if err := r.step(ctx, long, "which files are small", steps.Compactable, target, &r.small); err != nil {
		return Result{}, err
	}
	files, into := r.small.Files()
	return Result{Outcome: OutcomeDryRun, Note: fmt.Sprintf("%d small files would become about %d; nothing was published", files, into), Report: batch.Report{Packed: r.small}}, nil
}

// nothingSmall is what a compaction comes to that has nothing to do.
func (r *run) nothingSmall() Result {
	return Result{Outcome: OutcomeNothing, Note: "there are no small files to put together", K: r.s.Plan.K, Report: batch.Report{Packed: r.s.Plan.Packed}}
}

// pack puts files together, a unit for each that comes of it.
func (r *run) pack(ctx workflow.Context) error {
	n := r.s.Plan.Packs
	return r.work(ctx, phase{phasePack, n, func(i int) (any, int, string) { return steps.Pack, i, fmt.Sprintf("unit %d of %d", i+1, n) }})
}

// packedTable shows what is put together, as Markdown.
func packedTable(p *batch.Packed) string {
	var b strings.Builder
	b.WriteString("| files | there are | to put together | bytes | become |\n|---|---|---|---|---|\n")
	for _, k := range p.Kinds {
		fmt.Fprintf(&b, "| %s | %d | %d | %d | %d |\n", cell(k.Kind), k.Of, k.Files, k.Bytes, k.Into)
	}
	return b.String()
}

// StartCompact starts it, or joins the run with the same key.
func StartCompact(ctx context.Context, c client.Client, queue string, in CompactInput, now time.Time) (Started, error) {
	return asked{in.Pipeline, &in.Key, in.Reason, in.By}.start(ctx, c, queue, "compact", CompactType, &in, fmt.Sprintf("compaction of %s", in.Pipeline), now)
}
