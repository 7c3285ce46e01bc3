package batch

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"anabranch/archive"
	"anabranch/event"
	"anabranch/fault"
)

// Judgement says how a version of a view that is held compares with the one
// that answers. It is small: workflows keep it in their history.
type Judgement struct {
	Manifest uint64 `json:"manifest"` // version of what is published
	State    string `json:"state"`    // one of the words below
	Groups   int64  `json:"groups"`   // that were compared
	Same     int64  `json:"same"`
	Changed  int64  `json:"changed"`
	Added    int64  `json:"added"`
	Removed  int64  `json:"removed"`
	// Beyond says what exceeds the bound; empty: nothing does.
	Beyond string `json:"beyond,omitempty"`
	// At is the position that the answers of both were compared at, those of the
	// log included; empty: they were not, and Note says why.
	At       string `json:"at,omitempty"`
	Note     string `json:"note,omitempty"`
	Markdown string `json:"markdown,omitempty"`
}

// The states of a version that is judged.
const (
	Unbuilt = "unbuilt" // nothing published has files of it
	Held    = "held"    // it stands beside the one that answers
	Answers = "answers" // somebody has promoted it
	Gone    = "gone"    // the definition in force declares another one, or none
)

// judgedMarkdown bounds what a judgement shows.
const judgedMarkdown = 4 << 10

// Judge compares the held version of a view, as far as it is published, with
// the one that answers. What only one of them has as a column is left out:
// that does not change while they stand beside each other.
func (r *Runner) Judge(ctx context.Context, view, version string, bound float64) (Judgement, error) {
	m, err := r.Archive.Newest(ctx)
	if err != nil {
		return Judgement{}, err
	}
	out := Judgement{Manifest: m.Version}
	_, is := m.VersionOf(view, version)
	_, was := m.Answers(view)
	declared := r.declared(view)
	switch {
	case was != nil && was.Version == version:
		out.State = Answers
		return out, nil
	case declared == nil || declared.Version() != version:
		out.State = Gone
		return out, nil
	case is == nil || was == nil:
		out.State = Unbuilt
		return out, nil
	}
	out.State = Held
	v := &viewComparer{ctx: ctx, r: r, name: fmt.Sprintf("judge-v%d", m.Version), shared: true, out: ViewComparison{View: view}}
	if err := v.compare(was, is); err != nil {
		return out, fmt.Errorf("compare the versions of view %s: %w", view, err)
	}
	out.see(&v.out, bound)
	return out, nil
}

// JudgeRows does the same for the rows that both versions answer with, at one
// position of the log.
func (r *Runner) JudgeRows(ctx context.Context, j *Judgement, view string, keys []string, was, is *event.Batch, at string, bound float64) error {
	sides := map[string]*event.Batch{"was": was, "is": is}
	v := &viewComparer{ctx: ctx, r: r, shared: true, keys: keys, out: ViewComparison{View: view, OldVersion: "was", NewVersion: "is"}}
	v.read = func(f archive.ResultFile, fn func(*event.Batch) error) error { return fn(withState(sides[f.Name])) }
	if err := v.rows([]archive.ResultFile{{Name: "was"}}, []archive.ResultFile{{Name: "is"}}); err != nil {
		return fmt.Errorf("compare the answers of view %s: %w", view, err)
	}
	v.out.Totals = v.totals.changes()
	v.out.Largest = v.worst.list(&v.totals)
	j.At = at
	before := j.Beyond
	j.see(&v.out, bound)
	if j.Beyond == "" {
		j.Beyond = before
	}
	return nil
}

// withState gives finished rows the place where files have their state.
func withState(b *event.Batch) *event.Batch {
	out := *b
	out.Shape = event.NewShape(append(append([]event.Field{}, b.Shape.Fields...), event.Field{Name: "_state"})...)
	return &out
}

// see takes over what a comparison found.
func (j *Judgement) see(v *ViewComparison, bound float64) {
	v.Totals = slices.DeleteFunc(v.Totals, func(t TotalChange) bool {
		return t.Old == "" && v.groups() > v.Added || t.New == "" && v.groups() > v.Removed
	})
	c := Comparison{Views: []ViewComparison{*v}}
	j.Groups, j.Same, j.Changed, j.Added, j.Removed = v.groups(), v.Same, v.Changed, v.Added, v.Removed
	j.Beyond, j.Markdown = c.Beyond(bound), c.Markdown()
	if len(j.Markdown) > judgedMarkdown {
		cut := strings.LastIndexByte(j.Markdown[:judgedMarkdown], '\n')
		j.Markdown = j.Markdown[:cut+1] + "\nThere is more than is shown here.\n"
	}
}

// Share has a held version answer a share of the queries, in percent, as
// Canary does, if it is still the one that the definition declares.
func (r *Runner) Share(ctx context.Context, view, version string, percent float64, reason, by string) (Published, error) {
	if v := r.declared(view); percent > 0 && (v == nil || v.Version() != version) {
		return Published{}, fault.New(fault.Conflict, "view %s: version %s is not declared any more", view, version)
	}
	m, err := r.Archive.Newest(ctx)
	if err != nil {
		return Published{}, err
	}
	if percent == 0 && m.Canary[view] == 0 {
		return Published{Version: m.Version, K: m.K, Cut: m.Cut, Already: true}, nil
	}
	return r.Canary(ctx, view, percent, reason, by)
}
