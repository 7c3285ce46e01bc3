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
	out := Units{N: len(g.Units)}
	for _, u := range g.Units[:min(len(g.Units), maxLabels)] {
		out.Labels = append(out.Labels, u.label())
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
	live := map[string]int64{} // days of the period, by file
	for _, day := range days {
		live[files.Live[day]]++
	}
	for _, f := range files.States {
		if n := live[f.Name]; n > 0 {
			rows += f.Rows * n / int64(len(f.Days))
			memory += f.Memory * n / int64(len(f.Days))
		}
	}
	return rows, memory
}
