package workflows

import (
	"fmt"
	"strings"
	"time"

	"go.temporal.io/sdk/workflow"

	"anabranch/batch"
)

// The phases of a run, in order. The last three are ends.
const (
	phaseEstimate  = "estimate"
	phaseBarrier   = "barrier"
	phaseSealed    = "await sealed"
	phasePlan      = "plan"
	phaseCompact   = "compact"
	phaseSpread    = "spread"
	phaseFold      = "fold"
	phaseGather    = "gather"
	phaseFinish    = "finish"
	phasePack      = "pack"
	phaseVerify    = "verify"
	phaseReview    = "review"
	phaseApproval  = "approval"
	phasePublish   = "publish"
	phaseDone      = "done"
	phaseCancelled = "cancelled"
	phaseFailed    = "failed"
)

// order says which phase comes before which; a run that begins is before all.
var order = map[string]int{
	"": 0, phaseEstimate: 1, phaseBarrier: 1, phaseSealed: 2, phasePlan: 3, phaseCompact: 4, phaseSpread: 5, phaseFold: 6, phaseGather: 7, phaseFinish: 8, phasePack: 8,
	phaseVerify: 9, phaseReview: 10, phaseApproval: 11, phasePublish: 12, phaseDone: 13, phaseCancelled: 13, phaseFailed: 13,
}

// Progress tells how far a run is. It answers the query "progress".
type Progress struct {
	Pipeline string    `json:"pipeline"`
	Kind     string    `json:"kind"`
	View     string    `json:"view,omitempty"`
	From     string    `json:"from,omitempty"`
	To       string    `json:"to,omitempty"`
	Date     string    `json:"date,omitempty"` // data date of a nightly run
	Phase    string    `json:"phase"`
	Done     int       `json:"done"`                 // units of this attempt that are done
	Total    int       `json:"total"`                // units of this attempt, as far as known; it grows when compacting and folding end
	Rate     float64   `json:"rate"`                 // rows read a second, over this attempt
	Rows     int64     `json:"rows"`                 // rows read in this attempt
	RowsAll  int64     `json:"rows_total,omitempty"` // rows to read in this attempt, as far as known
	Bytes    int64     `json:"bytes"`                // bytes written in this attempt
	Started  time.Time `json:"started"`
	Attempt  int       `json:"attempt"`
	K        uint64    `json:"k,omitempty"`
	Note     string    `json:"note,omitempty"` // how it ended

	State     string          `json:"state"`               // how it stands, in a sentence
	Waits     string          `json:"waits,omitempty"`     // what a person has to do before it goes on: resume, retry, approve
	Parallel  int             `json:"parallel"`            // units that may run at once
	Running   int             `json:"running"`             // steps that run
	Share     float64         `json:"share,omitempty"`     // of its time that the last unit could work, as events come first; 0: all of it
	Remaining float64         `json:"remaining,omitempty"` // seconds until all rows are read, at Rate
	Failed    []Failed        `json:"failed,omitempty"`    // what waits for a retry
	Acts      []Act           `json:"acts,omitempty"`      // the last instructions
	Review    *batch.Review   `json:"review,omitempty"`    // what would change, or has
	Estimate  *batch.Estimate `json:"estimate,omitempty"`  // of a backfill: all there is to do
	Ask       string          `json:"ask,omitempty"`       // why it wants an approval
	Canary    []CanaryState   `json:"canary,omitempty"`    // of a canary: how each view stands
	Packed    *batch.Packed   `json:"packed,omitempty"`    // of a compaction: what is put together
}

// Ended reports whether the run is over, well or not.
func (p Progress) Ended() bool { return order[p.Phase] == order[phaseDone] }

func (r *run) ended() bool { return order[r.s.Phase] == order[phaseDone] }

func (r *run) progress() Progress {
	p := Progress{
		Pipeline: r.request.Pipeline, Kind: r.request.Kind, View: r.request.View, From: r.request.From, To: r.request.To, Date: r.date,
		Phase: r.s.Phase, Done: r.s.Units, Rows: r.s.Rows, Bytes: r.s.Bytes, Started: r.s.Started, Attempt: r.s.Attempt, K: r.s.K, Note: r.note,
		State: r.state(), Waits: r.waits(), Parallel: r.s.Steering.Parallel, Running: r.running, Failed: r.s.Failed, Acts: r.s.Steering.Acts, Share: r.s.Share, Review: r.review, Estimate: r.s.Estimate,
	}
	if r.asking() {
		p.Ask = r.ask()
	}
	compact, fold, finish := r.units()
	p.Total, p.Packed = compact+fold+finish, r.small
	if r.s.Plan != nil {
		p.RowsAll, p.Packed = r.s.Plan.Rows, r.s.Plan.Packed
		p.Total += r.s.Plan.Packs
	}
	if r.s.Fold != nil {
		p.RowsAll += r.s.Fold.Rows
	}
	if seconds := r.s.Worked.Seconds(); seconds > 0 {
		p.Rate = float64(r.s.Rows) / seconds
	}
	if p.Rate > 0 && !p.Ended() {
		p.Remaining = float64(max(0, p.RowsAll-p.Rows)) / p.Rate
	}
	return p
}

// units returns how many units each phase has, as far as known.
func (r *run) units() (compact, fold, finish int) {
	if r.s.Plan != nil {
		compact = len(r.s.Plan.Compact)
	}
	if r.s.Fold != nil {
		fold = r.s.Fold.N
	}
	if r.s.Finish != nil {
		finish = r.s.Finish.N
	}
	return compact, fold, finish
}

func orElse(s, t string) string {
	if s == "" {
		return t
	}
	return s
}

// enter begins a phase and shows it.
func (r *run) enter(ctx workflow.Context, phase string) {
	r.s.Phase = phase
	r.show(ctx)
}

// show shows how far the run is in the Temporal UI, and has it found by what
// it waits for.
func (r *run) show(ctx workflow.Context) {
	workflow.SetCurrentDetails(ctx, r.table())
	waits := r.waits()
	if waits == r.shown {
		return
	}
	r.shown = waits
	update := attrWaits.ValueUnset()
	if waits != "" {
		update = attrWaits.ValueSet(waits)
	}
	if err := workflow.UpsertTypedSearchAttributes(ctx, update); err != nil {
		workflow.GetLogger(ctx).Warn("the search attribute RunWaits was not set", "error", err)
	}
}

// did counts one unit and shows it.
func (r *run) did(ctx workflow.Context, phase string, d batch.Ref) {
	r.s.Units++
	if phase != phaseFinish { // its rows are written
		r.s.Rows += d.Rows
	}
	r.s.Bytes += d.Bytes
	if !d.Reuse {
		r.s.Share = d.Share
	}
	r.show(ctx)
}

// table is the progress for a person, in Markdown.
func (r *run) table() string {
	p := r.progress()
	var b strings.Builder
	fmt.Fprintf(&b, "### %s of %s\n\n", r.name, p.Pipeline)
	fmt.Fprintf(&b, "**%s**", p.Phase)
	if !p.Ended() && p.State != "running" {
		fmt.Fprintf(&b, ", %s", p.State)
	}
	if p.Note != "" {
		fmt.Fprintf(&b, ": %s", p.Note)
	}
	b.WriteString("\n\n| | |\n|---|---|\n")
	row := func(name, format string, args ...any) {
		fmt.Fprintf(&b, "| %s | %s |\n", name, fmt.Sprintf(format, args...))
	}
	if p.Kind == batch.Backfill {
		row("view", "%s", orElse(p.View, "all"))
	}
	if p.From != "" || p.To != "" {
		row("event days", "%s to %s", orElse(p.From, "the first"), orElse(p.To, "the last"))
	}
	if p.Date != "" {
		row("data date", "%s", p.Date)
	}
	if p.K != 0 {
		row("barrier", "%d", p.K)
	}
	if p.Total > 0 {
		of := ""
		if compact, fold, finish := r.units(); compact+fold+finish > 0 {
			of = fmt.Sprintf(" (compact %d, fold %d, finish %d)", compact, fold, finish)
		}
		row("units", "%d of %d%s", p.Done, p.Total, of)
	}
	if p.Rows > 0 {
		row("rows", "%d of %d, %.0f a second", p.Rows, max(p.Rows, p.RowsAll), p.Rate)
	}
	if p.Remaining > 0 {
		row("reading for", "%s more at this rate", (time.Duration(p.Remaining) * time.Second).String())
	}
	if p.Total > 0 && !p.Ended() {
		row("running", "%d, at most %d at once", p.Running, p.Parallel)
	}
	if p.Share > 0 && !p.Ended() {
		row("slowed", "it works %.0f %% of the time, as events come first", 100*p.Share)
	}
	if p.Attempt > 1 {
		row("attempt", "%d: another run published first", p.Attempt)
	}
	if e := p.Estimate; e != nil {
		row("all there is", "%s", e.Text())
		for _, w := range e.Warnings {
			row("**beware**", "%s", cell(w))
		}
	}
	row("started", "%s", p.Started.UTC().Format(time.RFC3339))
	if r.request.Reason != "" || r.request.By != "" {
		row("asked for by", "%s: %s", orElse(cell(r.request.By), "?"), cell(r.request.Reason))
	}
	if p.Packed != nil {
		b.WriteString("\n" + packedTable(p.Packed))
	}
	if len(p.Failed) > 0 {
		b.WriteString("\n| failed | why | kind |\n|---|---|---|\n")
		for _, f := range p.Failed {
			fmt.Fprintf(&b, "| %s, %s | %s | %s |\n", f.Phase, cell(f.Label), cell(f.Error), f.Kind)
		}
		b.WriteString("\nMend it and send the update `retry`, or `cancel`.\n")
	}
	if len(p.Acts) > 0 {
		b.WriteString("\n")
		for _, a := range p.Acts {
			fmt.Fprintf(&b, "- %s %s\n", a.At.UTC().Format(time.RFC3339), cell(a.String()))
		}
	}
	if p.Review != nil {
		fmt.Fprintf(&b, "\n### What changes\n\nAgainst version %d, digest `%s`, policy %s.\n\n", p.Review.Old, p.Review.Digest, p.Review.Policy)
		if p.Ask != "" {
			fmt.Fprintf(&b, "**It wants an approval:** %s. Send the update `approve` with `{\"by\":\"\",\"reason\":\"\",\"digest\":\"%.8s\"}`, or `reject`.\n\n", cell(p.Ask), p.Review.Digest)
		}
		b.WriteString(p.Review.Markdown)
	}
	return b.String()
}

// cell keeps what a person typed from breaking the table.
func cell(s string) string {
	return strings.NewReplacer("|", "\\|", "\n", " ", "\r", " ").Replace(s)
}
