package batch

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"anabranch/archive"
	"anabranch/event"
	"anabranch/fault"
)

// Raw events may expire. What views have of them stays, as states of their
// days: so a day of which some are gone can be added to, and its results be
// made again, but it cannot be folded anew.

// needsGone refuses what needs raw events that have expired.
func (p *plan) needsGone(m *archive.Manifest) error {
	gone := slices.Sorted(maps.Keys(goneDays(m.Days)))
	if len(gone) == 0 || p.Request.Kind != Backfill {
		return nil
	}
	q := p.Request
	var asked []int32
	for _, day := range gone {
		if (q.From == nil || day >= *q.From) && (q.To == nil || day <= *q.To) {
			asked = append(asked, day)
		}
	}
	for _, pv := range p.Views {
		if pv.Days == daysAll {
			return fault.WithHint(fault.WithCode(fault.New(fault.Invalid, "view %s has a definition that nothing was computed with yet, and the raw events of %d days have expired: %s",
				pv.Name, len(gone), someDays(gone)), archive.RawGone), "take its definition back, or give it to a new pipeline")
		}
		if pv.Days == daysTouched && len(asked) > 0 {
			return fault.WithHint(fault.WithCode(fault.New(fault.Invalid, "the raw events of %d of the days asked for have expired: %s", len(asked), someDays(asked)), archive.RawGone),
				"they keep the numbers that they have; ask for days without them: the last is %s", dayName(gone[len(gone)-1]))
		}
	}
	return nil
}

// addToDay makes the states of a day of which raw events are gone: those that
// were there, and what came since. It returns how many events the day has.
func (r *Runner) addToDay(ctx context.Context, p *plan, u foldUnit, day int32, parent *archive.Manifest, files []archive.DayFile, columns []string, into *folding) (int64, error) {
	var base *archive.Manifest
	ofDay := slices.DeleteFunc(slices.Clone(files), func(f archive.DayFile) bool {
		return !slices.ContainsFunc(f.Days, func(d archive.DayRows) bool { return d.Day == day })
	})
	for i, pv := range u.Views {
		from := parent
		if pv.Base {
			if base == nil {
				var err error
				if base, err = r.base(ctx, p); err != nil {
					return 0, err
				}
			}
			from = base
		}
		since, err := r.since(ctx, from, parent, ofDay)
		if err != nil {
			return 0, err
		}
		s := into.states[i]
		before := p.before(pv, parent, base)
		if before == nil {
			before = &archive.ViewFiles{}
		}
		f, ok := liveFile(before, day)
		if !ok && rowsByDay(from.Days)[day] > 0 {
			return 0, fault.New(fault.Corrupt, "view %s: there are no states of %s, and its raw events have expired", pv.Name, dayName(day))
		}
		if ok {
			err := r.Archive.ReadStates(ctx, f, map[int32]bool{day: true}, func(_ int32, b *event.Batch) error { return s.MergeGroups(b) })
			if err != nil {
				return 0, fmt.Errorf("states %s: %w", f.Name, err)
			}
		}
		added := r.Archive.ReadDays(since)
		err = added.Day(ctx, day, columns, func(b *event.Batch) error { return s.Fold(b, nil) })
		added.Close()
		if err != nil {
			return 0, fmt.Errorf("view %s: %w", pv.Name, err)
		}
	}
	return rowsByDay(files)[day], nil
}
