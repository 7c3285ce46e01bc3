package activities

import "anabranch/event"

// The types of this file are kept in workflow histories as JSON: fields are
// added, never renamed and never given another meaning.

// Kinds of runs.
const (
	Nightly  = "nightly"  // counts what came since the last cut
	Backfill = "backfill" // counts again what is below the published cut
)

// Request says what to recompute.
type Request struct {
	Pipeline string `json:"pipeline"`
	Kind     string `json:"kind"`           // Nightly or Backfill
	K        uint64 `json:"k,omitempty"`    // barrier of a nightly run; 0 for a backfill, which keeps the published cut
	View     string `json:"view,omitempty"` // backfill: one view; empty: all
	From     string `json:"from,omitempty"` // backfill: first event day, 2006-01-02; empty: the first there is
	To       string `json:"to,omitempty"`   // backfill: last event day, inclusive; empty: the last there is
	Reason   string `json:"reason,omitempty"`
	By       string `json:"by,omitempty"`
	RunID    string `json:"run_id"`  // names the run; safe as part of an object name
	Attempt  int    `json:"attempt"` // tells the plans of a run apart, from 0
}

// PlanRef names a plan that batch has stored.
type PlanRef struct {
	Run    string `json:"run"`    // names the notes of the plan
	K      uint64 `json:"k"`      // the barrier that will be published
	Parent uint64 `json:"parent"` // version of the manifest that the plan starts from
}

// Plan tells what there is to do first.
type Plan struct {
	Ref     PlanRef `json:"ref"`
	Compact []int   `json:"compact,omitempty"` // partitions that have new segments
	Rows    int64   `json:"rows,omitempty"`    // rows in them
}

// Units tells how much work the next step has: units 0 to N-1.
type Units struct {
	N      int      `json:"n"`
	Labels []string `json:"labels,omitempty"` // one for each unit, for people; may be shorter than N
	Days   int      `json:"days,omitempty"`   // event days to fold
	Rows   int64    `json:"rows,omitempty"`   // events to fold
}

// Target names a pipeline.
type Target struct {
	Pipeline string `json:"pipeline"`
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
	Pipeline string  `json:"pipeline"`
	Plan     PlanRef `json:"plan"`
	N        int     `json:"n"`
}

// OfPlan names a plan of a pipeline.
type OfPlan struct {
	Pipeline string  `json:"pipeline"`
	Plan     PlanRef `json:"plan"`
}

// Done tells what one unit took.
type Done struct {
	Label string `json:"label,omitempty"` // for people: "partition 3", "2011-03-04 to 2011-03-09"
	Rows  int64  `json:"rows"`            // compact and fold: events read; finish: rows written
	Bytes int64  `json:"bytes"`           // written
	Reuse bool   `json:"reuse,omitempty"` // an earlier attempt had made it
}

// Report is what Verify found to be right.
type Report struct {
	Rows int64  `json:"rows"`           // events that count below the cut
	Text string `json:"text,omitempty"` // for people
}

// Published is a version that readers see.
type Published struct {
	Version uint64 `json:"version"`
	K       uint64 `json:"k"`
	Already bool   `json:"already,omitempty"` // an earlier attempt or another run had done it
}
