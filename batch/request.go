package batch

import (
	"math"
	"strconv"
	"strings"

	"anabranch/bucket"
	"anabranch/event"
	"anabranch/fault"
	"anabranch/internal/pace"
)

// The kinds of runs.
const (
	Nightly  = "nightly"  // moves the cut to a new barrier
	Backfill = "backfill" // recomputes under the published cut
	Rollback = "rollback" // has the views answer as in an older version
	// Compaction puts small files together; nothing is computed, and no answer
	// changes.
	Compaction = "compact"
)

// Request asks for a run.
type Request struct {
	Kind   string // Nightly, Backfill, Rollback or Compaction
	Reason string // for people: why
	By     string // for people: who

	// RunID names the run and its notes; Attempt tells its plans apart: the
	// loser of Publish raises it and plans again. A RunID that was used
	// before goes on with what that run has done.
	RunID   string
	Attempt int

	K uint64 // Nightly: the barrier, from NextBarrier

	// Backfill and Rollback: the view; empty: all.
	View string
	// The event days to recompute, both inclusive, as days since 1970.
	// Backfill: nil means no bound. Nightly: besides the days with new events;
	// both or none.
	From, To *int32

	// Sample, above zero, folds only so many of those days, spread evenly: a
	// try, whose outcome is not to be published.
	Sample int

	Back uint64 // Rollback: the version to go back to

	// Build, of a backfill, makes only the versions of views that nothing
	// published has files of; all others keep the files that they have.
	Build bool
	// Definition, when not empty, is the version of the pipeline's definition
	// that a plan is wanted of: a process that has not opened it yet says so.
	Definition string
	// Hold keeps a version of a view that is made for the first time from
	// answering: it stands beside the one that does, until Serve.
	Hold bool
	// Takes names views whose declared version is to answer after this run,
	// held or not: those that an earlier plan of the run had take over.
	Takes []string
}

// run is the name of the folder of notes.
func (q Request) run() string {
	if q.Attempt == 0 {
		return q.RunID
	}
	return q.RunID + "-" + strconv.Itoa(q.Attempt+1)
}

func (q Request) check() error {
	switch {
	case q.Kind != Nightly && q.Kind != Backfill && q.Kind != Rollback && q.Kind != Compaction:
		return fault.New(fault.Invalid, "plan a run: kind %q: want %q, %q, %q or %q", q.Kind, Nightly, Backfill, Rollback, Compaction)
	case q.Kind == Compaction && (q.View != "" || q.From != nil || q.To != nil || q.Sample != 0 || q.Hold):
		return fault.New(fault.Invalid, "plan a compaction: it takes all small files there are, and no view, days or sample")
	case q.Kind == Nightly && (q.K == 0 || q.View != ""):
		return fault.New(fault.Invalid, "plan a nightly run: want a barrier and no view")
	case q.Kind == Nightly && (q.From == nil) != (q.To == nil):
		return fault.New(fault.Invalid, "plan a nightly run: want the first and the last day to recompute, or neither")
	case q.Build && (q.Kind != Backfill || q.From != nil || q.To != nil):
		return fault.New(fault.Invalid, "plan a %s: what makes new versions of views is a backfill of all days", q.Kind)
	case q.Kind != Nightly && q.K != 0:
		return fault.New(fault.Invalid, "plan a %s: it stays at the published barrier, %d was given", q.Kind, q.K)
	case (q.Kind == Rollback) != (q.Back != 0):
		return fault.New(fault.Invalid, "plan a %s: the version to go back to is what a rollback has, and only that; %d was given", q.Kind, q.Back)
	case q.Kind == Rollback && (q.From != nil || q.To != nil):
		return fault.New(fault.Invalid, "plan a rollback: it goes back in all days")
	case q.From != nil && q.To != nil && *q.From > *q.To:
		return fault.New(fault.Invalid, "plan a %s: its first day lies behind its last", q.Kind)
	case bucket.CheckName(q.run()) != nil || strings.Contains(q.run(), "/"):
		return fault.New(fault.Invalid, "plan a run: run id %q: want letters, digits and ._-=", q.RunID)
	}
	return nil
}

// PlanRef names a plan and tells what stands in it.
type PlanRef struct {
	Run     string    `json:"run"`     // names the notes of this run
	Kind    string    `json:"kind"`    // of the request
	K       uint64    `json:"k"`       // the barrier that Publish will publish
	Cut     event.Cut `json:"cut"`     // its cut
	Parent  uint64    `json:"parent"`  // version of the manifest the plan starts from
	Compact []int     `json:"compact"` // the partitions to compact: one call of Compact for each
	Rows    int64     `json:"rows"`    // rows in the new segments, or that a compaction reads
	// Takes are the views whose declared version answers for the first time
	// when this is published, Held those whose declared version does not.
	Takes []string `json:"takes,omitempty"`
	Held  []string `json:"held,omitempty"`
	// Packs is how many units of work a compaction has: one call of Pack for
	// each, from 0. Packed says what they put together.
	Packs  int     `json:"packs,omitempty"`
	Packed *Packed `json:"packed,omitempty"`
}

// Ref tells what a step has made. The references to its objects are in the
// notes of the run; this is what is worth showing.
type Ref struct {
	Label string `json:"label"` // for people: "partition 3", "2011-03-04 to 2011-03-09", "sales_hourly 2011-03"
	Rows  int64  `json:"rows"`  // Compact and Fold: events read; Finish: rows written
	Bytes int64  `json:"bytes"` // of the objects written
	Reuse bool   `json:"reuse"` // an earlier attempt had made it
	// Share is the part of its time that the step could work, when it had to
	// wait for the speed layer; 0: it did not have to.
	Share float64 `json:"share,omitempty"`
}

// paced notes how long the step had to wait.
func (r Ref) paced(t *pace.Turn) Ref {
	if s := math.Round(100*t.Share()) / 100; s < 1 {
		r.Share = max(s, 0.01)
	}
	return r
}

// Units is how much work the next step has: it is called with 0 to N-1.
type Units struct {
	N      int      `json:"n"`
	Labels []string `json:"labels"` // one for each unit, for people; only the first 1000
	Days   int      `json:"days"`   // Spread: event days to fold
	Rows   int64    `json:"rows"`   // Spread: events to fold
}

// Published says what became visible.
type Published struct {
	Version uint64    `json:"version"`
	K       uint64    `json:"k"`
	Cut     event.Cut `json:"cut"`
	Already bool      `json:"already"` // somebody else had done it before
}

// ErrDone is Plan's answer when the barrier has been published already, by
// this run or another: there is nothing left to do, and nothing is wrong.
var ErrDone = fault.WithCode(fault.New(fault.Conflict, "the barrier has been published already"), "already_published")
