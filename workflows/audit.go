package workflows

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/workflow"

	"anabranch/activities"
	"anabranch/batch"
)

// AuditType is the name of the workflow type.
const AuditType = "Audit"

// AuditInput starts an audit: event days are computed again from the raw
// events and compared with what is served, cell by cell.
type AuditInput struct {
	Pipeline string `json:"pipeline"`
	Days     int    `json:"days,omitempty"` // so many, chosen at random; default 3 when no day is given
	From     string `json:"from,omitempty"` // first event day, 2006-01-02
	To       string `json:"to,omitempty"`   // last event day, inclusive
	Seed     uint64 `json:"seed,omitempty"` // chooses the days; 0: one of its own, which the result tells
	Reason   string `json:"reason,omitempty"`
	By       string `json:"by,omitempty"`
	// Key tells audits apart: two starts with one key are one audit.
	Key string `json:"key,omitempty"`
	// Resume is filled in when a long audit continues with a fresh history.
	Resume *AuditResume `json:"resume,omitempty"`
}

// AuditResume is how far an audit is.
type AuditResume struct {
	Started time.Time       `json:"started"`
	Plan    batch.AuditPlan `json:"plan"`
	Next    int             `json:"next"` // unit
	Result  AuditResult     `json:"result"`
}

// AuditResult is what an audit came to. One that found a drift fails, and its
// error carries it.
type AuditResult struct {
	Version uint64            `json:"version"` // of the manifest that was audited; 0: none is there
	K       uint64            `json:"k"`
	Seed    uint64            `json:"seed"`
	Days    int               `json:"days"`    // audited
	Of      int               `json:"of"`      // there are
	Rows    int64             `json:"rows"`    // gone through
	Counted int64             `json:"counted"` // events of these days
	Groups  int64             `json:"groups"`  // compared
	Drifted int64             `json:"drifted"` // cells that differ
	Drifts  []batch.Drift     `json:"drifts,omitempty"`
	Views   map[string]int64  `json:"views,omitempty"`   // cells that differ, by view
	Skipped map[string]string `json:"skipped,omitempty"` // views that could not be audited, and why
	Seconds float64           `json:"seconds"`
}

const (
	defaultAuditDays = 3
	auditsPerHistory = 200
	phaseAudit       = "audit"
	auditExample     = `{"pipeline":"retail","days":3,"reason":"to be sure","by":"ana"}`
	saidDrifts       = 3 // in the error
)

// Audit compares what is served with the raw events. Its argument is an
// AuditInput, taken raw as in Nightly.
func Audit(ctx workflow.Context, raw converter.RawValue) (AuditResult, error) {
	var in AuditInput
	if err := decodeJSON(raw, &in, auditExample); err != nil {
		return AuditResult{}, err
	}
	if err := in.check(); err != nil {
		return AuditResult{}, err
	}
	s, phase := in.Resume, phasePlan
	if err := workflow.SetQueryHandler(ctx, ProgressQuery, func() (Progress, error) { return in.progress(s, phase), nil }); err != nil {
		return AuditResult{}, err
	}
	if s == nil {
		s = &AuditResume{Started: workflow.Now(ctx)}
		if err := in.begin(ctx, s); err != nil {
			phase = phaseFailed
			return s.Result, err
		}
	}
	phase = phaseAudit
	for range auditsPerHistory {
		workflow.SetCurrentDetails(ctx, in.table(s))
		if s.Next == len(s.Plan.Units) {
			s.Result.Seconds = workflow.Now(ctx).Sub(s.Started).Seconds()
			phase = phaseDone
			if s.Result.Drifted == 0 {
				return s.Result, nil
			}
			phase = phaseFailed
			return s.Result, activities.Drifted(s.Result.sentence(), s.Result)
		}
		u := s.Plan.Units[s.Next]
		var found batch.Audited
		err := workflow.ExecuteActivity(long(ctx, u.Label), steps.Audit, activities.AuditUnit{Pipeline: in.Pipeline, Version: s.Plan.Version, Unit: u}).Get(ctx, &found)
		if err != nil {
			phase = phaseFailed
			return s.Result, err
		}
		s.Result.add(found, len(u.Days))
		s.Next++
	}
	in.Resume = s
	return s.Result, workflow.NewContinueAsNewError(ctx, AuditType, in)
}

// begin chooses what to audit.
func (in *AuditInput) begin(ctx workflow.Context, s *AuditResume) error {
	if err := workflow.UpsertTypedSearchAttributes(ctx, attrPipeline.ValueSet(in.Pipeline), attrKind.ValueSet("audit")); err != nil {
		return err
	}
	if in.Seed == 0 {
		if err := workflow.SideEffect(ctx, func(workflow.Context) any { return 1 + uint64(rand.Uint32()) }).Get(&in.Seed); err != nil {
			return err
		}
	}
	if in.Days == 0 && in.From == "" && in.To == "" {
		in.Days = defaultAuditDays
	}
	days := activities.AuditDays{Pipeline: in.Pipeline, Days: in.Days, From: in.From, To: in.To, Seed: in.Seed}
	if err := workflow.ExecuteActivity(quick(ctx, "choose the days"), steps.PlanAudit, days).Get(ctx, &s.Plan); err != nil {
		return err
	}
	s.Result.Version, s.Result.K, s.Result.Seed, s.Result.Of = s.Plan.Version, s.Plan.K, in.Seed, s.Plan.Of
	return nil
}

func (in *AuditInput) check() error {
	if in.Pipeline == "" {
		return invalid("pipeline is missing: give JSON like %s", auditExample)
	}
	if in.Days < 0 {
		return invalid("days %d: want a number above zero, or leave it out", in.Days)
	}
	return checkDays(in.From, in.To)
}

func (r *AuditResult) add(found batch.Audited, days int) {
	r.Days += days
	r.Rows += found.Rows
	r.Counted += found.Counted
	r.Groups += found.Groups
	r.Drifted += found.Drifted
	r.Drifts = append(r.Drifts, found.Drifts...)
	r.Drifts = r.Drifts[:min(len(r.Drifts), batch.MaxDrifts)]
	if r.Views == nil {
		r.Views = map[string]int64{}
	}
	//workflowcheck:ignore the order leaves no trace
	for v, n := range found.Views {
		r.Views[v] += n
	}
	//workflowcheck:ignore the order leaves no trace
	for v, why := range found.Skipped {
		if r.Skipped == nil {
			r.Skipped = map[string]string{}
		}
		r.Skipped[v] = why
	}
}

// sentence says what differs, with the first cells.
func (r *AuditResult) sentence() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d cells of version %d are not what the raw events give", r.Drifted, r.Version)
	for i, d := range r.Drifts[:min(len(r.Drifts), saidDrifts)] {
		b.WriteString([]string{": ", "; "}[min(i, 1)] + d.String())
	}
	return b.String()
}

func (in *AuditInput) progress(s *AuditResume, phase string) Progress {
	p := Progress{Pipeline: in.Pipeline, Kind: "audit", From: in.From, To: in.To, Phase: phase, Attempt: 1, State: "running"}
	if s == nil {
		return p
	}
	p.Started, p.Done, p.Total, p.Rows, p.K = s.Started, s.Next, len(s.Plan.Units), s.Result.Rows, s.Plan.K
	if p.Ended() {
		p.State = phase
	}
	return p
}

// table shows how far an audit is and what it has found, as Markdown.
func (in *AuditInput) table(s *AuditResume) string {
	var b strings.Builder
	r := &s.Result
	fmt.Fprintf(&b, "Version %d of **%s** against the raw events, seed %d.\n\n| units | days | events | groups compared | cells that differ |\n| --- | --- | --- | --- | --- |\n| %d of %d | %d of %d | %d | %d | %d |\n",
		s.Plan.Version, cell(in.Pipeline), r.Seed, s.Next, len(s.Plan.Units), r.Days, r.Of, r.Counted, r.Groups, r.Drifted)
	if len(r.Drifts) > 0 {
		b.WriteString("\n**What is served is wrong:**\n\n| where | view | group | column | served | recomputed |\n| --- | --- | --- | --- | --- | --- |\n")
	}
	for _, d := range r.Drifts {
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %s | %s |\n", cell(d.Where), cell(d.View), cell(strings.Join(d.Group, ", ")), cell(d.Column), cell(d.Served), cell(d.Recomputed))
	}
	for _, v := range sortedKeys(r.Skipped) {
		fmt.Fprintf(&b, "\nView %s was not audited: %s\n", cell(v), cell(r.Skipped[v]))
	}
	return b.String()
}

func sortedKeys[V any](m map[string]V) []string {
	var keys []string
	//workflowcheck:ignore they are sorted
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// StartAudit starts an audit, or joins the one with the same key.
func StartAudit(ctx context.Context, c client.Client, queue string, in AuditInput, now time.Time) (Started, error) {
	if err := in.check(); err != nil {
		return Started{}, activities.FromTemporal(err)
	}
	return asked{in.Pipeline, &in.Key, in.Reason, in.By}.start(ctx, c, queue, "audit", AuditType, &in, fmt.Sprintf("audit of %s", in.Pipeline), now)
}
