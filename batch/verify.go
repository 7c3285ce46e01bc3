package batch

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"anabranch/archive"
	"anabranch/fault"
)

// Report is what Verify found to be in order.
type Report struct {
	// What became of the rows of the new segments.
	Rows       int64            `json:"rows"`
	Counted    int64            `json:"counted"`
	Duplicates int64            `json:"duplicates"`
	Filtered   int64            `json:"filtered"`
	FilteredBy map[string]int64 `json:"filtered_by,omitempty"` // by the code of the rule
	Conflicts  int64            `json:"conflicts"`

	Days    int   `json:"days"`    // event days of the new manifest
	Results int   `json:"results"` // and its result files
	Objects int   `json:"objects"` // new ones
	Bytes   int64 `json:"bytes"`   // in them

	Pace Pace `json:"pace,omitzero"`
	// Packed is what a compaction has put together.
	Packed *Packed `json:"packed,omitempty"`
}

// Verify checks that the run adds up: every row of the new segments is
// counted, a duplicate, filtered or a conflict; every counted event was folded
// once into every view; every day and period has its file. It needs every
// Finish. The error is Bug, and nothing is published then. That the new
// objects are there is for Publish to see, in the moment when it matters.
func (r *Runner) Verify(ctx context.Context, ref PlanRef) (_ Report, err error) {
	defer r.metrics.step("verify", r.Clock)()
	defer r.overtaken(ctx, ref, &err)
	if ref.Kind == Compaction {
		return r.verifyPacks(ctx, ref)
	}
	o, err := r.outcome(ctx, ref)
	if err != nil {
		return Report{}, err
	}
	report := Report{FilteredBy: map[string]int64{}}
	if err := o.verifyRows(&report); err != nil {
		return Report{}, fmt.Errorf("run %s: %w", ref.Run, err)
	}
	for _, pv := range o.plan.Views {
		within := false
		if v, err := r.compiled(pv); err == nil {
			within = v.WithinDay()
		} else if pv.Days != daysNone {
			return Report{}, err
		}
		if err := o.verifyView(pv, within); err != nil {
			return Report{}, fmt.Errorf("run %s: view %s: %w", ref.Run, pv.Name, err)
		}
	}
	o.count(&report)
	report.Pace = o.pace()
	return report, r.putNote(ctx, ref.Run, notePace, report.Pace)
}

func wrong(format string, args ...any) error { return fault.New(fault.Bug, format, args...) }

// verifyRows checks the sums of Compact against each other and against what
// Fold has read.
func (o *outcome) verifyRows(report *Report) error {
	for _, c := range o.compacts {
		var sealed, days, entries, was int64
		for _, s := range o.plan.Segments[c.Partition] {
			sealed += s.Rows
		}
		for _, f := range c.Days {
			for _, d := range f.Days {
				days += d.Rows
			}
		}
		for _, run := range c.Runs {
			entries += run.Entries
		}
		for _, run := range o.parent.Runs[c.Partition] {
			was += run.Entries
		}
		first := c.Counted + c.filtered() // of their ids
		switch {
		case sealed != c.Rows || sealed != first+c.Duplicates+c.Conflicts:
			return wrong("partition %d: %d rows are sealed; %d counted, %d filtered, %d duplicates, %d conflicts", c.Partition, sealed, c.Counted, c.filtered(), c.Duplicates, c.Conflicts)
		case days != c.Counted:
			return wrong("partition %d: %d events counted, %d in day files", c.Partition, c.Counted, days)
		case c.Entries != first || entries != was+first:
			return wrong("partition %d: %d ids were known, %d are new, the id runs hold %d", c.Partition, was, first, entries)
		}
		report.Rows += c.Rows
		report.Counted += c.Counted
		report.Duplicates += c.Duplicates
		report.Conflicts += c.Conflicts
		for code, n := range c.Filtered {
			report.Filtered += n
			report.FilteredBy[code] += n
		}
	}
	var counted int64
	byDay := rowsByDay(o.manifest.Days)
	for _, rows := range byDay {
		counted += rows
	}
	if counted != o.manifest.Counted {
		return wrong("%d events counted since the beginning, %d in day files", o.manifest.Counted, counted)
	}
	for day, rows := range o.gathered.Rows {
		if rows != byDay[day] {
			return wrong("%s has %d events, %d were folded", dayName(day), byDay[day], rows)
		}
	}
	return nil
}

// verifyView checks that a view has one state for every day and one set of
// results for every period.
func (o *outcome) verifyView(pv planView, within bool) error {
	files := o.manifest.Views[pv.Name]
	if files == nil || files.Version != pv.Version {
		return wrong("it has no files of version %s", pv.Version)
	}
	if pv.Days == daysNone {
		return nil // as the parent had it
	}
	holds := map[string]map[int32]bool{}
	for _, f := range files.States {
		holds[f.Name] = map[int32]bool{}
		for _, d := range f.Days {
			holds[f.Name][d] = true
		}
	}
	days := rowsByDay(o.manifest.Days)
	want := map[string]bool{}
	for day := range days {
		if name := files.Live[day]; !holds[name][day] {
			return wrong("%s has no states; its file %q is not there or does not hold it", dayName(day), name)
		}
		want[periodOf(within, day)] = true
	}
	if len(files.Live) != len(days) {
		return wrong("there are states of %d days, events of %d", len(files.Live), len(days))
	}
	if !within {
		want["all"] = true
	}
	return o.verifyResults(pv, within, files, want)
}

func (o *outcome) verifyResults(pv planView, within bool, files *archive.ViewFiles, want map[string]bool) error {
	next := map[string]int{} // shard, by period
	for _, f := range files.Results {
		if !want[f.Period] || f.Shard != next[f.Period] {
			return wrong("result file %s is of period %s, shard %d, which is not expected", f.Name, f.Period, f.Shard)
		}
		next[f.Period]++
	}
	if len(next) != len(want) {
		return wrong("there are results of the periods %v, days of %v", slices.Sorted(maps.Keys(next)), slices.Sorted(maps.Keys(want)))
	}
	for i, u := range o.gathered.Units {
		if u.View.Name != pv.Name {
			continue
		}
		f := &o.finished[i]
		switch rows := f.rows(); {
		case next[u.Period] != u.Shards || len(f.Files) != u.Shards:
			return wrong("period %s has %d result files, %d were made, %d planned", u.Period, next[u.Period], len(f.Files), u.Shards)
		case f.unfinished():
		case within && !f.Parted && rows != f.Groups, (f.Parted || !within) && rows > max(f.Groups, 1):
			return wrong("period %s has %d rows from %d groups of days", u.Period, rows, f.Groups)
		}
	}
	return nil
}

// count tells how much is new.
func (o *outcome) count(report *Report) {
	before := map[string]bool{}
	each := func(m *archive.Manifest, fn func(name string, size int64)) {
		for _, runs := range m.Runs {
			for _, f := range runs {
				fn(f.Name, f.Size)
			}
		}
		for _, f := range m.Days {
			fn(f.Name, f.Size)
		}
		for _, v := range m.Views {
			for _, f := range v.States {
				fn(f.Name, f.Size)
			}
			for _, f := range v.Results {
				fn(f.Name, f.Size)
			}
		}
	}
	each(o.parent, func(name string, _ int64) { before[name] = true })
	each(o.manifest, func(name string, size int64) {
		if !before[name] {
			report.Objects++
			report.Bytes += size
		}
	})
	report.Days = len(rowsByDay(o.manifest.Days))
	for _, v := range o.manifest.Views {
		report.Results += len(v.Results)
	}
}
