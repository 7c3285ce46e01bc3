// Package workflows decides when and in which order a batch run takes its
// steps. The steps are in activities; here is only order, time, and the tale a
// person can follow in the Temporal UI.
//
//	Nightly:  barrier -> append -> sealed -> plan -> compact -> spread -> fold -> gather -> finish -> verify -> publish
//	Backfill: estimate, the same from plan on, and between verify and publish: review -> approval
//	Compact:  plan -> pack -> verify -> publish
//
// Publishing is the only effect that counts, and it is one conditional put: a
// run that fails, is cancelled or is killed leaves objects that nobody reads.
// A run that finds another one published first plans again from the winner.
//
// Code here is replayed against histories that older versions wrote
// (testdata holds some): a change of order needs workflow.GetVersion.
package workflows

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"anabranch/activities"
	"anabranch/batch"
	"anabranch/fault"
)

// TaskQueue is where workers look for work unless told otherwise.
const TaskQueue = "anabranch"

// Names of the workflow types, as the Temporal UI's form wants them.
const (
	NightlyType  = "Nightly"
	BackfillType = "Backfill"
)

// ProgressQuery is the name of the query that returns a Progress.
const ProgressQuery = "progress"

// NightlyInput starts a nightly run.
type NightlyInput struct {
	Pipeline string `json:"pipeline"`
	// Key tells runs apart: two starts with one key are one run. For a nightly
	// run it is usually the date.
	Key    string `json:"key,omitempty"`
	Reason string `json:"reason,omitempty"` // why, for people
	By     string `json:"by,omitempty"`     // who asked, for people
	// Date is the data date, for people and searches: the day whose end the
	// run follows, such as 2011-08-31.
	Date string `json:"date,omitempty"`
	// Again has the events of Date computed again, besides those that came.
	Again bool `json:"again,omitempty"`
	// Schedule is filled in by a schedule; it then decides on Date and Again.
	Schedule *Nominal `json:"schedule,omitempty"`
	// Parallel is how many units are given out at once; default 8.
	Parallel int `json:"parallel,omitempty"`
	// OnFailure says what becomes of the run when a step fails for good: it
	// fails with it ("fail"), or waits for a retry ("wait"). Default: fail.
	OnFailure string `json:"on_failure,omitempty"`
	// Approve makes the run compare what it has made with what is published, and
	// wait for an approval.
	Approve bool `json:"approve,omitempty"`
	// Resume is filled in when a long run continues with a fresh history.
	Resume *Resume `json:"resume,omitempty"`
}

// BackfillInput starts a backfill: it counts days again that are below the
// published cut.
type BackfillInput struct {
	Pipeline string `json:"pipeline"`
	View     string `json:"view,omitempty"` // one view; empty: all
	From     string `json:"from,omitempty"` // first event day, 2006-01-02; empty: the first there is
	To       string `json:"to,omitempty"`   // last event day, inclusive; empty: the last there is
	Reason   string `json:"reason,omitempty"`
	By       string `json:"by,omitempty"`
	// Key tells backfills of the same days apart; may be empty.
	Key      string `json:"key,omitempty"`
	Parallel int    `json:"parallel,omitempty"`
	// OnFailure is as of a nightly run. Default: wait.
	OnFailure string `json:"on_failure,omitempty"`
	// Approve makes the run wait for an approval, also where the pipeline's
	// policy would not.
	Approve bool `json:"approve,omitempty"`
	// DryRun makes the run do everything but publish; Sample then takes only so
	// many of its days.
	DryRun bool `json:"dry_run,omitempty"`
	Sample int  `json:"sample,omitempty"`
	// Build makes only the versions of views that nothing published has files
	// of; with Hold they do not answer before somebody promotes them.
	Build bool `json:"build,omitempty"`
	Hold  bool `json:"hold,omitempty"`
	// Definition, when not empty, is the version of the definition to plan with.
	Definition string  `json:"definition,omitempty"`
	Resume     *Resume `json:"resume,omitempty"`
}

// What becomes of a run when a step of it fails for good.
const (
	OnFailureWait = "wait"
	OnFailureFail = "fail"
)

// Outcomes of a run that ended well.
const (
	OutcomePublished = "published" // readers see a new version
	OutcomeNothing   = "nothing"   // there was nothing to publish; Note says why
	OutcomeDryRun    = "dry run"   // nothing was to be published
)

// Result is what a run came to.
type Result struct {
	Outcome  string       `json:"outcome"`
	Note     string       `json:"note,omitempty"`
	Version  uint64       `json:"version,omitempty"` // of the manifest that was published
	K        uint64       `json:"k,omitempty"`       // barrier the version stands at
	Attempts int          `json:"attempts"`          // 1 + how often another run published first
	Units    int          `json:"units"`             // pieces of work of the last attempt
	Rows     int64        `json:"rows"`              // rows read in the last attempt
	Bytes    int64        `json:"bytes"`             // bytes written in the last attempt
	Seconds  float64      `json:"seconds"`
	Report   batch.Report `json:"report"`
	Approval *Act         `json:"approval,omitempty"` // who approved it
}

// Nightly counts what came since the last cut. Its argument is a NightlyInput;
// it is taken raw so that a slip in a form fails with a sentence instead of a
// workflow that never starts.
func Nightly(ctx workflow.Context, raw converter.RawValue) (Result, error) {
	var in NightlyInput
	if err := decode(raw, &in); err != nil {
		return Result{}, err
	}
	if err := in.due(ctx); err != nil {
		return Result{}, err
	}
	request := activities.Request{Kind: batch.Nightly, Pipeline: in.Pipeline, Reason: in.Reason, By: in.By}
	if err := in.check(); err != nil {
		return Result{}, err
	}
	if in.Again {
		request.From, request.To = in.Date, in.Date
	}
	r := newRun(NightlyType, request, in.Parallel, in.Resume)
	r.date = in.Date
	r.patient = in.OnFailure == OnFailureWait
	r.compares, r.approval = in.Approve, in.Approve
	return r.do(ctx, func(s *Resume) any { in.Resume = s; return in })
}

// Backfill counts days below the published cut again. Its argument is a
// BackfillInput, taken raw as in Nightly.
func Backfill(ctx workflow.Context, raw converter.RawValue) (Result, error) {
	var in BackfillInput
	if err := decode(raw, &in); err != nil {
		return Result{}, err
	}
	if err := checkDays(in.From, in.To); err != nil {
		return Result{}, err
	}
	if in.Sample < 0 || in.Sample > 0 && !in.DryRun {
		return Result{}, invalid("sample %d: a sample of days is for a dry run", in.Sample)
	}
	r := newRun(BackfillType, activities.Request{
		Kind: batch.Backfill, Pipeline: in.Pipeline, View: in.View, From: in.From, To: in.To, Reason: in.Reason, By: in.By,
	}, in.Parallel, in.Resume)
	r.patient = in.OnFailure != OnFailureFail
	r.compares, r.approval, r.dry = true, in.Approve && !in.DryRun, in.DryRun
	r.request.Sample, r.request.Build, r.request.Hold, r.request.Definition = in.Sample, in.Build, in.Hold, in.Definition
	return r.do(ctx, func(s *Resume) any { in.Resume = s; return in })
}

func (in *NightlyInput) check() error {
	if _, err := time.Parse(time.DateOnly, in.Date); in.Date != "" && err != nil {
		return invalid("date %q: want a day like 2011-03-01", in.Date)
	}
	if in.Date == "" && in.Again {
		return invalid("again is for a date: give date too, like 2011-03-01")
	}
	return nil
}

const maxParallel = 500

// decode reads the one JSON argument of a workflow and checks what both kinds
// share.
func decode(raw converter.RawValue, in any) error {
	if err := decodeJSON(raw, in, example(in)); err != nil {
		return err
	}
	var pipeline, onFailure string
	var parallel int
	switch in := in.(type) {
	case *NightlyInput:
		pipeline, parallel, onFailure = in.Pipeline, in.Parallel, in.OnFailure
	case *BackfillInput:
		pipeline, parallel, onFailure = in.Pipeline, in.Parallel, in.OnFailure
	case *CompactInput:
		pipeline, parallel, onFailure = in.Pipeline, in.Parallel, in.OnFailure
	}
	switch {
	case pipeline == "":
		return invalid("pipeline is missing: give JSON like %s", example(in))
	case parallel < 0 || parallel > maxParallel:
		return invalid("parallel %d: want 1 to %d, or leave it out", parallel, maxParallel)
	case onFailure != "" && onFailure != OnFailureWait && onFailure != OnFailureFail:
		return invalid("on_failure %q: want %q or %q, or leave it out", onFailure, OnFailureWait, OnFailureFail)
	}
	return nil
}

// decodeJSON reads the one JSON argument of a workflow.
func decodeJSON(raw converter.RawValue, in any, example string) error {
	p := raw.Payload()
	if p == nil || len(bytes.TrimSpace(p.GetData())) == 0 {
		return invalid(`no input: give JSON like {"pipeline":"retail"}`)
	}
	dec := json.NewDecoder(bytes.NewReader(p.GetData()))
	dec.DisallowUnknownFields()
	if err := dec.Decode(in); err != nil {
		return invalid("the input is not what is wanted: %s: give JSON like %s", strings.TrimPrefix(err.Error(), "json: "), example)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return invalid("the input goes on behind its end: give one JSON object like %s", example)
	}
	return nil
}

func example(in any) string {
	if _, ok := in.(*BackfillInput); ok {
		return `{"pipeline":"retail","view":"","from":"2011-03-01","to":"2011-03-07","reason":"late refunds","by":"ana"}`
	}
	if _, ok := in.(*CompactInput); ok {
		return `{"pipeline":"retail","dry_run":true,"reason":"too many small files","by":"ana"}`
	}
	return `{"pipeline":"retail","reason":"nightly","by":"ana"}`
}

func checkDays(from, to string) error {
	for _, d := range []struct{ name, day string }{{"from", from}, {"to", to}} {
		if d.day == "" {
			continue
		}
		if _, err := time.Parse(time.DateOnly, d.day); err != nil {
			return invalid("%s %q: want a day like 2011-03-01", d.name, d.day)
		}
	}
	if from != "" && to != "" && to < from {
		return invalid("to %s is before from %s: swap them", to, from)
	}
	return nil
}

func invalid(format string, args ...any) error {
	return temporal.NewNonRetryableApplicationError(fmt.Sprintf(format, args...), fault.Invalid.String(), nil)
}
