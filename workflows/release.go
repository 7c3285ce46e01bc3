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
	"anabranch/deadletter"
	"anabranch/ingest"
)

// ReleaseType is the name of the workflow type.
const ReleaseType = "ReleaseDeadLetters"

// ReleaseInput starts a release: dead letters are changed, checked by the
// rules of today, and sent back to where events come in, each once.
type ReleaseInput struct {
	Pipeline string   `json:"pipeline"`
	Codes    []string `json:"codes,omitempty"` // letters of these codes; none: of all but conflict
	IDs      []string `json:"ids,omitempty"`   // or these letters alone
	Since    string   `json:"since,omitempty"` // received on this day (2006-01-02, UTC) or later
	// Set is what changes: "field=SQL expression over the fields, all VARCHAR".
	Set    []string `json:"set,omitempty"`
	Reason string   `json:"reason,omitempty"`
	By     string   `json:"by,omitempty"`
	// Key tells releases apart: two starts with one key are one release.
	Key string `json:"key,omitempty"`
	// Resume is filled in when a long release continues with a fresh history.
	Resume *ReleaseResume `json:"resume,omitempty"`
}

// ReleaseResume is how far a release is.
type ReleaseResume struct {
	Page    int           `json:"page"`
	After   string        `json:"after"`
	Started time.Time     `json:"started"`
	Result  ReleaseResult `json:"result"`
}

// ReleaseResult is what a release came to.
type ReleaseResult struct {
	Released int `json:"released"` // sent back, and durable
	Skipped  int `json:"skipped"`  // released before, or by another release
	Refused  int `json:"refused"`  // they stay dead letters
	// FirstRefused says why, for some of them.
	FirstRefused []deadletter.Refused `json:"first_refused,omitempty"`
	// Positions are of the last events sent in each partition, for a query
	// that shall see them.
	Positions []string `json:"positions,omitempty"`
}

const (
	pagesPerHistory = 200
	maxFirstRefused = 20
)

const releaseExample = `{"pipeline":"retail","codes":["zero_price"],"set":["price=0.01"],"reason":"free samples have a price now","by":"ana"}`

// ReleaseDeadLetters sends dead letters back, page after page. Its argument is
// a ReleaseInput, taken raw as in Nightly. Cancelled, it ends behind a page.
func ReleaseDeadLetters(ctx workflow.Context, raw converter.RawValue) (ReleaseResult, error) {
	var in ReleaseInput
	if err := decodeJSON(raw, &in, releaseExample); err != nil {
		return ReleaseResult{}, err
	}
	if in.Pipeline == "" {
		return ReleaseResult{}, invalid("pipeline is missing: give JSON like %s", releaseExample)
	}
	s := in.Resume
	if s == nil {
		s = &ReleaseResume{Started: workflow.Now(ctx)}
		if err := workflow.UpsertTypedSearchAttributes(ctx, attrPipeline.ValueSet(in.Pipeline), attrKind.ValueSet("release")); err != nil {
			return s.Result, err
		}
	}
	phase := "release"
	if err := workflow.SetQueryHandler(ctx, ProgressQuery, func() (Progress, error) {
		return Progress{Pipeline: in.Pipeline, Kind: "release", Phase: phase, Done: s.Page, Total: s.Page + 1, Rows: int64(s.Result.Released), Started: s.Started, Attempt: 1, State: "running"}, nil
	}); err != nil {
		return s.Result, err
	}
	for range pagesPerHistory {
		workflow.SetCurrentDetails(ctx, in.table(s))
		var out ingest.Released
		err := workflow.ExecuteActivity(long(ctx, fmt.Sprintf("page %d", s.Page+1)), steps.ReleasePage, activities.ReleasePage{
			Pipeline: in.Pipeline, Release: workflow.GetInfo(ctx).WorkflowExecution.ID, Number: s.Page, After: s.After,
			Codes: in.Codes, IDs: in.IDs, Since: in.Since, Sets: in.Set, By: in.By,
		}).Get(ctx, &out)
		if err != nil {
			phase = phaseFailed
			return s.Result, err
		}
		s.Result.add(out)
		s.Page, s.After = s.Page+1, out.Next
		if s.After == "" {
			phase = phaseDone
			workflow.SetCurrentDetails(ctx, in.table(s))
			return s.Result, nil
		}
	}
	in.Resume = s
	return s.Result, workflow.NewContinueAsNewError(ctx, ReleaseType, in)
}

func (r *ReleaseResult) add(page ingest.Released) {
	r.Released += page.Released
	r.Skipped += page.Skipped
	r.Refused += page.Refused
	r.FirstRefused = append(r.FirstRefused, page.FirstRefused...)
	r.FirstRefused = r.FirstRefused[:min(len(r.FirstRefused), maxFirstRefused)]
	r.Positions = ingest.Latest(r.Positions, page.Positions)
}

// table shows how far a release is, as Markdown.
func (in *ReleaseInput) table(s *ReleaseResume) string {
	var b strings.Builder
	fmt.Fprintf(&b, "Dead letters of **%s** go back.\n\n| pages | released | skipped | refused |\n| --- | --- | --- | --- |\n| %d | %d | %d | %d |\n", cell(in.Pipeline), s.Page, s.Result.Released, s.Result.Skipped, s.Result.Refused)
	if len(s.Result.FirstRefused) > 0 {
		b.WriteString("\nRefused, they stay as they are:\n\n| letter | code | why |\n| --- | --- | --- |\n")
	}
	for _, f := range s.Result.FirstRefused {
		fmt.Fprintf(&b, "| %s | %s | %s |\n", cell(f.ID), cell(f.Code), cell(f.Message))
	}
	return b.String()
}

// StartRelease starts a release, or joins the one with the same key.
func StartRelease(ctx context.Context, c client.Client, queue string, in ReleaseInput, now time.Time) (Started, error) {
	return asked{in.Pipeline, &in.Key, in.Reason, in.By}.start(ctx, c, queue, "release", ReleaseType, &in, fmt.Sprintf("release of dead letters of %s", in.Pipeline), now)
}
