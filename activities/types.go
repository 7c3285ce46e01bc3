package activities

import (
	"time"

	"anabranch/batch"
	"anabranch/event"
	"anabranch/fault"
)

// The types of this file, and those of batch that steps take and return
// (Estimate, PlanRef, Units, Ref, Report, Review, Published), are kept in workflow histories as
// JSON: fields are added, never renamed and never given another meaning.

// Request says what to recompute, as batch.Request does, in words that a person
// can read in a history.
type Request struct {
	Pipeline string `json:"pipeline"`
	Kind     string `json:"kind"`           // batch.Nightly, batch.Backfill or batch.Compaction
	K        uint64 `json:"k,omitempty"`    // nightly: its barrier
	View     string `json:"view,omitempty"` // backfill: one view; empty: all
	From     string `json:"from,omitempty"` // backfill: first event day, 2006-01-02; empty: the first there is
	To       string `json:"to,omitempty"`   // backfill: last event day, inclusive; empty: the last there is
	Reason   string `json:"reason,omitempty"`
	By       string `json:"by,omitempty"`
	Sample   int    `json:"sample,omitempty"` // backfill: so many of its days only
	Build    bool   `json:"build,omitempty"`  // backfill: only the versions of views that are new
	Hold     bool   `json:"hold,omitempty"`   // and they do not answer yet
	// Definition, when not empty, is the version of the pipeline's definition to
	// plan with.
	Definition string `json:"definition,omitempty"`
	// Takes are the views of batch.PlanRef.Takes of the attempt before.
	Takes   []string `json:"takes,omitempty"`
	RunID   string   `json:"run_id"`  // names the run; safe as part of an object name
	Attempt int      `json:"attempt"` // tells the plans of a run apart, from 0
}

// batch returns the request in batch's words; the error is Invalid.
func (r Request) batch() (batch.Request, error) {
	out := batch.Request{Kind: r.Kind, Reason: r.Reason, By: r.By, RunID: r.RunID, Attempt: r.Attempt, K: r.K, View: r.View, Takes: r.Takes, Sample: r.Sample, Build: r.Build, Hold: r.Hold, Definition: r.Definition}
	for _, d := range []struct {
		text string
		to   **int32
	}{{r.From, &out.From}, {r.To, &out.To}} {
		if d.text == "" {
			continue
		}
		day, err := time.Parse(time.DateOnly, d.text)
		if err != nil {
			return out, fault.New(fault.Invalid, "day %q: want one like 2011-03-01", d.text)
		}
		n := int32(day.Unix() / (24 * 60 * 60))
		*d.to = &n
	}
	return out, nil
}

// Target names a pipeline.
type Target struct {
	Pipeline string `json:"pipeline"`
	RunID    string `json:"run_id,omitempty"`
}

// Barrier is a barrier that was chosen.
type Barrier struct {
	K uint64 `json:"k"`
}

// AtBarrier names a barrier of a pipeline.
type AtBarrier struct {
	Pipeline string `json:"pipeline"`
	K        uint64 `json:"k"`
}

// Sealed tells where the barrier stands.
type Sealed struct {
	Cut event.Cut `json:"cut"`
}

// Unit is one unit of work of a plan: a partition to compact, or the number of
// a unit to fold or finish.
type Unit struct {
	Pipeline string        `json:"pipeline"`
	Plan     batch.PlanRef `json:"plan"`
	N        int           `json:"n"`
}

// OfPlan names a plan of a pipeline.
type OfPlan struct {
	Pipeline string        `json:"pipeline"`
	Plan     batch.PlanRef `json:"plan"`
}
