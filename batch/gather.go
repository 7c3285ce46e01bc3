package batch

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"anabranch/archive"
	"anabranch/fault"
	"anabranch/internal/planted"
)

// gathered is the note of Gather: the views of the new manifest but for their
// results, and the results to finish.
type gathered struct {
	Views       map[string]*archive.ViewFiles // Results: those of the parent that stay
	Units       []finishUnit
	Steps       []int           // how many units each step takes, one after the other
	Rows        map[int32]int64 // events folded, by day; every unit that folded the day agrees
	FoldSeconds float64         // in which units were folded
}

// finishUnit is one view and period.
type finishUnit struct {
	View   planView
	Period string
	Days   []int32 // of the period, those that have states
	Shards int     // result files, by hash of the group
}

func (u finishUnit) label() string { return u.View.Name + " " + u.Period }

// units returns the first unit of a step and the one behind its last.
func (g *gathered) units(step int) (from, to int) {
	for _, n := range g.Steps[:step] {
		from += n
	}
	return from, from + g.Steps[step]
}

// label names the units of a step.
func (g *gathered) label(step int) string {
	from, to := g.units(step)
	first, last := g.Units[from], g.Units[to-1]
	switch {
	case to-from == 1:
		return first.label()
	case first.View.Name == last.View.Name:
		return first.label() + " to " + last.Period
	}
	return first.label() + " to " + last.label()
}

// steps is pure: it has neighbours share a step until they have groups enough.
func (g *gathered) steps(mostGroups int64) {
	size := func(u finishUnit) int64 { return max(stateRows(g.Views[u.View.Name], u.Days), 1) }
	all := int64(0)
	for _, u := range g.Units {
		all += size(u)
	}
	most, last := unitSize(all, min(leastFinish, mostGroups), mostGroups), int64(0)
	for _, u := range g.Units {
		n := size(u)
		if len(g.Steps) == 0 || last+n > most {
			g.Steps, last = append(g.Steps, 0), 0
		}
		g.Steps[len(g.Steps)-1]++
		last += n
	}
}

// Gather cuts the results that must be finished into units of work. It needs
// every Fold.
func (r *Runner) Gather(ctx context.Context, ref PlanRef) (_ Units, err error) {
	defer r.metrics.step("gather", r.Clock)()
	defer r.overtaken(ctx, ref, &err)
	var g gathered
	found, err := r.getNote(ctx, ref.Run, noteGather, &g)
	if err != nil {
		return Units{}, err
	}
	if !found {
		if g, err = r.gather(ctx, ref); err != nil {
			return Units{}, fmt.Errorf("run %s: gather: %w", ref.Run, err)
		}
		if err := r.putNote(ctx, ref.Run, noteGather, g); err != nil {
			return Units{}, err
		}
	}
	out := Units{N: len(g.Steps)}
	for step := range g.Steps[:min(len(g.Steps), maxLabels)] {
		out.Labels = append(out.Labels, g.label(step))
	}
	return out, nil
}

func (r *Runner) gather(ctx context.Context, ref PlanRef) (gathered, error) {
	p, parent, err := r.load(ctx, ref)
	if err != nil {
		return gathered{}, err
	}
	var s spread
	if err := r.needNote(ctx, ref.Run, noteSpread, &s); err != nil {
		return gathered{}, err
	}
	g := gathered{Views: map[string]*archive.ViewFiles{}, Rows: map[int32]int64{}}
	fresh := map[string][]archive.StateFile{}
	folds := make([]took, len(s.Units))
	for i := range s.Units {
		var f folded
		if err := r.needNote(ctx, ref.Run, fmt.Sprintf(noteFold, i), &f); err != nil {
			return gathered{}, err
		}
		folds[i] = f.Took
		for day, rows := range f.Rows {
			if was, ok := g.Rows[day]; ok && was != rows {
				return gathered{}, fault.New(fault.Bug, "%s was folded with %d events and with %d", dayName(day), was, rows)
			}
			g.Rows[day] = rows
		}
		for _, v := range f.Views {
			fresh[v.View.Name] = append(fresh[v.View.Name], v.File)
		}
	}
	g.FoldSeconds = together(folds)
	var base *archive.Manifest
	if p.Request.Kind == Rollback {
		if base, err = r.base(ctx, p); err != nil {
			return gathered{}, err
		}
	}
	for _, pv := range p.Views {
		before := p.before(pv, parent, base)
		if pv.Days == daysNone {
			g.Views[pv.Name] = before
			continue
		}
		v, err := r.compiled(pv)
		if err != nil {
			return gathered{}, err
		}
		files, units := gatherView(pv, before, fresh[pv.Name], v.WithinDay())
		for i := range units {
			if len(v.Keys()) > 0 { // the one group of a view without keys is in no shard but the first
				units[i].Shards = shards(files, units[i].Days, r.MaxGroups, r.StateBytes)
			}
		}
		g.Views[pv.Name] = files
		g.Units = append(g.Units, units...)
	}
	g.steps(r.MaxGroups)
	return g, nil
}

// gatherView is pure: it lays the fresh state files over those of before and
// says which periods they change.
func gatherView(pv planView, before *archive.ViewFiles, fresh []archive.StateFile, within bool) (*archive.ViewFiles, []finishUnit) {
	if pv.Days == daysAll {
		before = nil
	}
	files := &archive.ViewFiles{Version: pv.Version, Live: map[int32]string{}}
	changed := map[string]bool{}
	if before != nil {
		maps.Copy(files.Live, before.Live)
	} else if !within {
		changed["all"] = true // also without a day: SELECT count(*) of nothing is a row
	}
	for _, f := range fresh {
		for _, day := range f.Days {
			if files.Live[day] == "" || !planted.On(planted.OldDayKept) {
				files.Live[day] = f.Name
			}
			changed[periodOf(within, day)] = true
		}
	}
	used := map[string]bool{}
	for _, name := range files.Live {
		used[name] = true
	}
	if before != nil {
		fresh = slices.Concat(before.States, fresh)
		for _, f := range before.Results {
			if !changed[f.Period] {
				files.Results = append(files.Results, f)
			}
		}
	}
	for _, f := range fresh {
		if used[f.Name] {
			files.States = append(files.States, f)
			delete(used, f.Name)
		}
	}
	sortStates(files.States)
	days := map[string][]int32{}
	for _, day := range slices.Sorted(maps.Keys(files.Live)) {
		period := periodOf(within, day)
		days[period] = append(days[period], day)
	}
	var units []finishUnit
	for _, period := range slices.Sorted(maps.Keys(changed)) {
		units = append(units, finishUnit{View: pv, Period: period, Days: days[period], Shards: 1})
	}
	return files, units
}

// shards returns into how many files to cut the groups of days, so that each
// has at most so many groups and bytes. It takes the worst case, that no two
// days share a group.
func shards(files *archive.ViewFiles, days []int32, groups, bytes int64) int {
	rows, memory := stateSize(files, days)
	return int(max(1, (rows+groups-1)/groups, (memory+bytes-1)/bytes))
}

// stateRows returns about how many groups the states of some days have.
func stateRows(files *archive.ViewFiles, days []int32) int64 {
	rows, _ := stateSize(files, days)
	return rows
}

// stateSize also returns about what they take in memory.
func stateSize(files *archive.ViewFiles, days []int32) (rows, memory int64) {
	live := map[string][]int32{} // days of the period, by file
	for _, day := range days {
		name := files.Live[day]
		live[name] = append(live[name], day)
	}
	for _, f := range files.States {
		if days := live[f.Name]; len(days) > 0 {
			r, m := shareOf(f, days)
			rows, memory = rows+r, memory+m
		}
	}
	return rows, memory
}

// shareOf returns about how many groups of a state file are of the given days,
// which it has, and what they take in memory.
func shareOf(f archive.StateFile, days []int32) (rows, memory int64) {
	if len(f.Groups) != len(f.Days) {
		n, of := int64(len(days)), int64(len(f.Days))
		return f.Rows * n / of, f.Memory * n / of
	}
	for _, day := range days {
		if i, ok := slices.BinarySearch(f.Days, day); ok {
			rows += f.Groups[i]
		}
	}
	if f.Rows > 0 {
		memory = int64(float64(f.Memory) * float64(rows) / float64(f.Rows))
	}
	return rows, memory
}
