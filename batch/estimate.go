package batch

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"anabranch/archive"
)

// Estimate says what a backfill would do, before it does anything.
type Estimate struct {
	Version uint64   `json:"version"`        // of the manifest that it would start from
	From    string   `json:"from,omitempty"` // first and last event day to fold; empty: there is none
	To      string   `json:"to,omitempty"`
	Days    int      `json:"days"`  // event days to fold
	Rows    int64    `json:"rows"`  // events to read
	Bytes   int64    `json:"bytes"` // of them in day files, by their share of rows
	Files   int      `json:"files"` // day files to read from
	Views   []string `json:"views"` // to compute
	// Units is how many pieces of work there are to fold, Results how many
	// results have to be finished, and Groups how many states are merged into
	// them at most.
	Units   int   `json:"units"`
	Results int   `json:"results"`
	Groups  int64 `json:"groups"`
	// Rate is how many events a second earlier runs folded, with the units that
	// ran at once and the machines of then; Runs is how many of them were
	// measured. Seconds is what all of it takes at their pace; 0: not known.
	Rate     float64  `json:"rate,omitempty"`
	Runs     int      `json:"runs"`
	Seconds  float64  `json:"seconds,omitempty"`
	Warnings []string `json:"warnings,omitempty"`
}

// Estimate plans a backfill and stores nothing.
func (r *Runner) Estimate(ctx context.Context, q Request) (Estimate, error) {
	q.Kind, q.RunID = Backfill, "estimate"
	if err := q.check(); err != nil {
		return Estimate{}, err
	}
	m, err := r.Archive.Newest(ctx)
	if err != nil {
		return Estimate{}, err
	}
	p, err := r.plan(ctx, q, m)
	if err != nil {
		return Estimate{}, fmt.Errorf("plan a backfill of %s: %w", r.Pipeline, err)
	}
	out := Estimate{Version: m.Version}
	days := out.folds(spreadDays(p, m.Days, nil, r.FoldRows), m.Days)
	for _, pv := range p.Views {
		if pv.Days != daysNone {
			out.view(r, pv, p, m, days)
		}
	}
	before, runs := r.measured(ctx, m.Version)
	if out.Seconds = out.At(before); out.Seconds > 0 {
		out.Runs, out.Rate = runs, float64(before.Rows)/before.FoldSeconds
	}
	return out, nil
}

// folds counts what is read, and returns the days.
func (e *Estimate) folds(s spread, files []archive.DayFile) map[int32]bool {
	days := map[int32]bool{}
	for _, u := range s.Units {
		for _, d := range u.Days {
			days[d] = true
		}
	}
	if sorted := slices.Sorted(maps.Keys(days)); len(sorted) > 0 {
		e.From, e.To = dayName(sorted[0]), dayName(sorted[len(sorted)-1])
	}
	e.Units, e.Rows, e.Days = len(s.Units), s.Rows, len(days)
	for _, f := range files {
		var all, wanted int64
		for _, d := range f.Days {
			all += d.Rows
			if days[d.Day] {
				wanted += d.Rows
			}
		}
		if wanted > 0 {
			e.Files++
			e.Bytes += int64(float64(f.Size) * float64(wanted) / float64(all))
		}
	}
	return days
}

// view counts what one version of a view costs, and warns of its days whose
// events are gone.
func (e *Estimate) view(r *Runner, pv planView, p *plan, m *archive.Manifest, days map[int32]bool) {
	e.Views = append(e.Views, pv.Name)
	v, err := r.compiled(pv)
	if err != nil {
		return // Plan has found it
	}
	files := m.Views[pv.From]
	if files == nil { // a new version: as large as the one that answers
		if _, files = m.Answers(archive.ViewOf(pv.Name)); files == nil {
			e.Results++
			return
		}
		e.Warnings = append(e.Warnings, fmt.Sprintf("view %s has a changed definition, so that all days are folded into it", pv.Name))
	}
	periods := map[string][]int32{}
	for day := range files.Live {
		period := periodOf(v.WithinDay(), day)
		periods[period] = append(periods[period], day)
	}
	touched := map[string]bool{}
	for day := range days {
		touched[periodOf(v.WithinDay(), day)] = true
	}
	for period := range touched {
		e.Results++
		e.Groups += stateRows(files, periods[period])
	}
	expired, rows := goneDays(m.Days), rowsByDay(m.Days)
	var gone []int32
	for day := range files.Live {
		asked := (p.Request.From == nil || day >= *p.Request.From) && (p.Request.To == nil || day <= *p.Request.To)
		if _, there := rows[day]; (expired[day] || !there) && (asked || pv.Days == daysAll) {
			gone = append(gone, day)
		}
	}
	if len(gone) > 0 {
		slices.Sort(gone)
		e.Warnings = append(e.Warnings, fmt.Sprintf("view %s: the events of %d of its days are gone: %s: %s", pv.Name, len(gone), someDays(gone),
			map[bool]string{false: "a backfill that asks for them is refused, they keep the numbers that they have", true: "no new version can be made of them, a backfill is refused"}[pv.Days == daysAll]))
	}
}

// someDays names the first days of many.
func someDays(days []int32) string {
	const some = 5
	var names []string
	for _, d := range days[:min(some, len(days))] {
		names = append(names, dayName(d))
	}
	if len(days) > some {
		names = append(names, "...")
	}
	return strings.Join(names, ", ")
}

// At returns the seconds that it takes at a pace; 0: the pace says nothing.
func (e *Estimate) At(p Pace) float64 {
	if p.FoldSeconds <= 0 || p.Rows <= 0 {
		return 0
	}
	seconds := float64(e.Rows) * p.FoldSeconds / float64(p.Rows)
	if p.FinishSeconds > 0 && p.Groups > 0 {
		seconds += float64(e.Groups) * p.FinishSeconds / float64(p.Groups)
	}
	return seconds
}

// About is a time for people.
func About(seconds float64) time.Duration {
	return max(time.Second, time.Duration(seconds*float64(time.Second)).Round(time.Second))
}

// Text says it in a sentence.
func (e *Estimate) Text() string {
	if e.Days == 0 {
		return "no event day to fold"
	}
	out := fmt.Sprintf("%d days from %s to %s, %d events (%.1f MB in %d day files) into %s: %d units to fold, %d results to finish",
		e.Days, e.From, e.To, e.Rows, float64(e.Bytes)/1e6, e.Files, strings.Join(e.Views, ", "), e.Units, e.Results)
	if e.Runs > 0 {
		pace := "the last run"
		if e.Runs > 1 {
			pace = fmt.Sprintf("the last %d runs", e.Runs)
		}
		out += fmt.Sprintf("; about %s, at the pace of %s (%.0f events a second)", About(e.Seconds), pace, e.Rate)
	}
	return out
}
