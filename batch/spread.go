package batch

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"anabranch/archive"
)

// spread is the note of Spread: the days to fold, in units of work.
type spread struct {
	Units []foldUnit
	Rows  int64
}

// foldUnit is some event days and the views to fold them into.
type foldUnit struct {
	Days  []int32
	Rows  int64
	Views []planView
}

func (u foldUnit) label() string {
	first, last := dayName(u.Days[0]), dayName(u.Days[len(u.Days)-1])
	if first == last {
		return first
	}
	return first + " to " + last
}

// dayName renders a day as people write it.
func dayName(day int32) string {
	return time.Unix(int64(day)*24*60*60, 0).UTC().Format(time.DateOnly)
}

// Spread cuts the days that must be folded into units of work. It needs every
// Compact.
func (r *Runner) Spread(ctx context.Context, ref PlanRef) (_ Units, err error) {
	defer r.metrics.step("spread", r.Clock)()
	defer r.overtaken(ctx, ref, &err)
	var s spread
	found, err := r.getNote(ctx, ref.Run, noteSpread, &s)
	if err != nil {
		return Units{}, err
	}
	if !found {
		p, parent, err := r.load(ctx, ref)
		if err != nil {
			return Units{}, err
		}
		made, err := r.compacts(ctx, p)
		if err != nil {
			return Units{}, err
		}
		s = spreadDays(p, dayFiles(parent, made), made, r.FoldRows)
		if err := r.putNote(ctx, ref.Run, noteSpread, s); err != nil {
			return Units{}, err
		}
	}
	out := Units{N: len(s.Units), Rows: s.Rows}
	days := map[int32]bool{}
	for _, u := range s.Units {
		for _, d := range u.Days {
			days[d] = true
		}
		if len(out.Labels) < maxLabels {
			out.Labels = append(out.Labels, u.label())
		}
	}
	out.Days = len(days)
	return out, nil
}

const maxLabels = 1000

// compacts returns the notes of Compact.
func (r *Runner) compacts(ctx context.Context, p *plan) ([]compacted, error) {
	var made []compacted
	for partition, segments := range p.Segments {
		if len(segments) == 0 {
			continue
		}
		var c compacted
		if err := r.needNote(ctx, p.Request.run(), fmt.Sprintf(noteCompact, partition), &c); err != nil {
			return nil, err
		}
		made = append(made, c)
	}
	return made, nil
}

// dayFiles returns all day files of the new manifest.
func dayFiles(parent *archive.Manifest, made []compacted) []archive.DayFile {
	all := slices.Clone(parent.Days)
	for _, c := range made {
		all = append(all, c.Days...)
	}
	return all
}

// rowsByDay counts the events of each day.
func rowsByDay(files []archive.DayFile) map[int32]int64 {
	rows := map[int32]int64{}
	for _, f := range files {
		for _, d := range f.Days {
			rows[d.Day] += d.Rows
		}
	}
	return rows
}

// goneDays returns the days of which some raw events have expired: they cannot
// be folded anew, only added to.
func goneDays(files []archive.DayFile) map[int32]bool {
	gone := map[int32]bool{}
	for _, f := range files {
		if f.Gone {
			for _, d := range f.Days {
				gone[d.Day] = true
			}
		}
	}
	return gone
}

// A step of a run costs the same, however little it does: so the units of a
// long run are larger than those of a short one, as long as there are so many
// that all workers have some and that one which fails is soon done again.
const (
	spreadOver  = 16
	mostUnit    = 16_000_000 // events, about seconds of work
	leastFinish = 200_000    // groups
)

// unitSize returns what one unit takes of all there is to do.
func unitSize(all, least, most int64) int64 { return max(least, min(all/spreadOver, most)) }

// spreadDays is pure: which days are folded into which views, neighbours that
// fold alike together until they have rows enough.
func spreadDays(p *plan, files []archive.DayFile, made []compacted, foldRows int64) spread {
	touched := map[int32]bool{}
	for _, c := range made {
		for _, f := range c.Days {
			for _, d := range f.Days {
				touched[d.Day] = true
			}
		}
	}
	for _, day := range p.Touched {
		touched[day] = true
	}
	q := p.Request
	asked := func(day int32) bool {
		if touched[day] || q.Kind != Backfill && q.From == nil {
			return touched[day]
		}
		return (q.From == nil || day >= *q.From) && (q.To == nil || day <= *q.To)
	}
	var out spread
	rows := rowsByDay(files)
	gone := goneDays(files)
	if q.Sample > 0 {
		asked = sample(rows, asked, q.Sample)
	}
	into := map[int32][]planView{}
	for day := range rows {
		for _, v := range p.Views {
			if v.Days == daysAll || v.Days == daysTouched && asked(day) && (touched[day] || !gone[day]) {
				into[day] = append(into[day], v)
			}
		}
		if into[day] != nil {
			out.Rows += rows[day]
		}
	}
	unitRows := unitSize(out.Rows, foldRows, mostUnit)
	for _, day := range slices.Sorted(maps.Keys(into)) {
		views := into[day]
		if n := len(out.Units) - 1; n >= 0 {
			last := &out.Units[n]
			if slices.Equal(last.Views, views) && last.Rows+rows[day] <= unitRows {
				last.Days = append(last.Days, day)
				last.Rows += rows[day]
				continue
			}
		}
		out.Units = append(out.Units, foldUnit{Days: []int32{day}, Rows: rows[day], Views: views})
	}
	return out
}

// sample picks n of the days that are asked for and have events, from the
// first to the last.
func sample(rows map[int32]int64, asked func(int32) bool, n int) func(int32) bool {
	var days []int32
	for _, day := range slices.Sorted(maps.Keys(rows)) {
		if asked(day) {
			days = append(days, day)
		}
	}
	n = min(n, len(days))
	picked := map[int32]bool{}
	for i := range n {
		picked[days[i*(len(days)-1)/max(n-1, 1)]] = true
	}
	return func(day int32) bool { return picked[day] }
}

// periodOf names the result file that a day's groups belong to: the month
// where no group spans days, else all of time. Finishing a month touches a
// month's states; finishing all of time touches all.
func periodOf(within bool, day int32) string {
	if !within {
		return "all"
	}
	t := time.Unix(int64(day)*24*60*60, 0).UTC()
	return fmt.Sprintf("%04d-%02d", t.Year(), t.Month())
}

// sortStates puts files in an order that does not depend on how they came.
func sortStates(files []archive.StateFile) {
	slices.SortFunc(files, func(a, b archive.StateFile) int { return cmp.Compare(a.Name, b.Name) })
}

func sortResults(files []archive.ResultFile) {
	slices.SortFunc(files, func(a, b archive.ResultFile) int {
		return cmp.Or(cmp.Compare(a.Period, b.Period), cmp.Compare(a.Shard, b.Shard))
	})
}
