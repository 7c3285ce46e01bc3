package batch

import (
	"context"
	"slices"
	"time"
)

// took is when one unit was worked on. It is for estimates only.
type took struct {
	Began, Ended time.Time
}

// Pace is how fast a run was: what it read and merged, and the seconds in
// which at least one unit of that kind was at work. Pauses do not count, and
// units at the same time count once: so it tells what the machines of then can
// do.
type Pace struct {
	Rows          int64   `json:"rows"`
	FoldSeconds   float64 `json:"fold_seconds"`
	Groups        int64   `json:"groups"`
	FinishSeconds float64 `json:"finish_seconds"`
}

const notePace = "pace.json"

// pace measures the run.
func (o *outcome) pace() Pace {
	out := Pace{Rows: o.spread.Rows, FoldSeconds: o.gathered.FoldSeconds}
	for _, f := range o.finished {
		out.Groups += f.Groups
	}
	out.FinishSeconds = together(o.took)
	return out
}

// together returns the seconds that some stretch covers.
func together(all []took) float64 {
	all = slices.Clone(all)
	slices.SortFunc(all, func(a, b took) int { return a.Began.Compare(b.Began) })
	var total time.Duration
	var until time.Time
	for _, t := range all {
		if t.Began.Before(until) {
			t.Began = until
		}
		if t.Ended.After(t.Began) {
			total += t.Ended.Sub(t.Began)
			until = t.Ended
		}
	}
	return total.Seconds()
}

// Of how many of the newest versions a pace is looked for, and how many make
// one.
const (
	pacesLooked = 20
	pacesTaken  = 5
)

// measured returns the pace of earlier runs, all zero when none is known.
func (r *Runner) measured(ctx context.Context, newest uint64) (sum Pace, runs int) {
	for v := newest; v > 0 && newest-v < pacesLooked && runs < pacesTaken; v-- {
		m, err := r.Archive.Manifest(ctx, v)
		if err != nil {
			break
		}
		var p Pace
		if m.Run == "" {
			continue
		}
		// The notes of old runs are collected; and no note on the past keeps
		// anybody from a backfill.
		if found, err := r.getNote(ctx, m.Run, notePace, &p); err != nil || !found || p.Rows == 0 {
			continue
		}
		runs++
		sum.Rows += p.Rows
		sum.Groups += p.Groups
		sum.FoldSeconds += p.FoldSeconds
		sum.FinishSeconds += p.FinishSeconds
	}
	return sum, runs
}
