package batch

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"

	"anabranch/archive"
)

// packOutcome fills in what a compaction has made: a manifest that says what
// its parent does, with fewer files.
func (r *Runner) packOutcome(ctx context.Context, o *outcome) error {
	p := o.plan
	for i := range p.Packs {
		var u packedUnit
		if err := r.needNote(ctx, p.Request.run(), fmt.Sprintf(notePack, i), &u); err != nil {
			return err
		}
		o.packs = append(o.packs, u)
	}
	m := *o.parent
	m.Version, m.Parent, m.Created = o.parent.Version+1, p.ParentHash, p.Created
	m.Kind, m.Reason, m.By, m.Base, m.Run, m.Code = Compaction, p.Request.Reason, p.Request.By, 0, p.Request.run(), p.Code
	m.Days, m.Views = slices.Clone(m.Days), maps.Clone(m.Views)
	for _, u := range o.packs {
		if u.Unit.View == "" {
			m.Days = inPlace(m.Days, u.Days, func(f archive.DayFile) bool { return slices.Contains(u.Unit.Files, f.Name) })
			continue
		}
		m.Views[u.Unit.View] = withStates(m.Views[u.Unit.View], u)
	}
	o.manifest = &m
	return nil
}

// withStates returns the files of a view with those that a unit has made in
// place of those that it read.
func withStates(v *archive.ViewFiles, u packedUnit) *archive.ViewFiles {
	out := *v
	out.Live = maps.Clone(v.Live)
	out.States = inPlace(v.States, u.States, func(f archive.StateFile) bool { return slices.Contains(u.Unit.Files, f.Name) })
	for _, f := range u.States {
		for _, day := range f.Days {
			out.Live[day] = f.Name
		}
	}
	sortStates(out.States)
	return &out
}

// verifyPacks checks that a compaction has lost nothing and added nothing.
func (r *Runner) verifyPacks(ctx context.Context, ref PlanRef) (Report, error) {
	o, err := r.outcome(ctx, ref)
	if err == nil {
		err = o.samePacks()
	}
	if err == nil {
		err = sameDays(o.parent.Days, o.manifest.Days)
	}
	if err == nil {
		err = sameViews(o.parent, o.manifest)
	}
	if err != nil {
		return Report{}, fmt.Errorf("run %s: %w", ref.Run, err)
	}
	report := Report{Packed: o.packed()}
	o.count(&report)
	return report, nil
}

// samePacks compares what each unit read with what it has made.
func (o *outcome) samePacks() error {
	for _, u := range o.packs {
		days := contents{}
		for day, c := range u.Was {
			if is, ok := u.Is[day]; !ok || is != c {
				return wrong("%s: %s had %d rows with hash %x%x, put together it has %d with %x%x", u.Unit.label(), dayName(day), c.Rows, c.Hi, c.Lo, is.Rows, is.Hi, is.Lo)
			}
			days[day] = c
		}
		if len(days) != len(u.Is) {
			return wrong("%s: they had %d days, put together they have %d", u.Unit.label(), len(days), len(u.Is))
		}
	}
	return nil
}

// partDay is a day of one partition.
type partDay struct {
	partition int
	day       int32
	gone      bool
}

// sameDays compares the events and the lineage of all day files.
func sameDays(was, is []archive.DayFile) error {
	rows := func(files []archive.DayFile) map[partDay]int64 {
		out := map[partDay]int64{}
		for _, f := range files {
			for _, d := range f.Days {
				out[partDay{f.Partition, d.Day, f.Gone}] += d.Rows
			}
		}
		return out
	}
	before, after := rows(was), rows(is)
	for at, n := range before {
		if after[at] != n {
			return wrong("%s had %d events in partition %d, and has %d", dayName(at.day), n, at.partition, after[at])
		}
	}
	if len(before) != len(after) {
		return wrong("there were events of %d days and partitions, and are of %d", len(before), len(after))
	}
	if !slices.Equal(lineageOf(was), lineageOf(is)) {
		return wrong("the day files come from other segments than they did")
	}
	return nil
}

// counted is a segment, and when it was counted.
type countedIn struct {
	partition int
	segment   string
	k         uint64
}

// lineageOf returns which segments day files come from, in order.
func lineageOf(files []archive.DayFile) []countedIn {
	var out []countedIn
	for _, f := range files {
		at := 0
		for _, c := range f.Chunks() {
			for range c.Segments {
				out = append(out, countedIn{f.Partition, f.Segments[at], c.K})
				at++
			}
		}
	}
	slices.SortFunc(out, func(a, b countedIn) int {
		return cmp.Or(cmp.Compare(a.partition, b.partition), cmp.Compare(a.segment, b.segment), cmp.Compare(a.k, b.k))
	})
	return slices.Compact(out)
}

// sameViews checks that every view has the states of every day still, and its
// results untouched.
func sameViews(was, is *archive.Manifest) error {
	if len(was.Views) != len(is.Views) {
		return wrong("there were %d versions of views, and are %d", len(was.Views), len(is.Views))
	}
	for key, before := range was.Views {
		after := is.Views[key]
		switch {
		case after == nil || after.Version != before.Version:
			return wrong("view %s has other files than of version %s", key, before.Version)
		case !slices.Equal(before.Results, after.Results):
			return wrong("view %s has other results", key)
		case len(before.Live) != len(after.Live):
			return wrong("view %s had states of %d days, and has of %d", key, len(before.Live), len(after.Live))
		}
		holds := liveDays(after)
		for _, f := range after.States {
			for _, day := range holds[f.Name] {
				if _, ok := before.Live[day]; !ok || !slices.Contains(f.Days, day) {
					return wrong("view %s: %s does not hold %s, or nobody asked for it", key, f.Name, dayName(day))
				}
			}
			delete(holds, f.Name)
		}
		if len(holds) > 0 {
			return wrong("view %s: days live in %d files that it does not have", key, len(holds))
		}
	}
	return nil
}

// packed says what was put together.
func (o *outcome) packed() *Packed {
	out := &Packed{Kinds: slices.Clone(o.plan.Packed.Kinds)}
	into := map[string]int{}
	for _, u := range o.packs {
		kind := "day files"
		if u.Unit.View != "" {
			kind = "states of " + u.Unit.View
		}
		into[kind] += len(u.Days) + len(u.States)
	}
	for i := range out.Kinds {
		out.Kinds[i].Into = into[out.Kinds[i].Kind]
	}
	return out
}
