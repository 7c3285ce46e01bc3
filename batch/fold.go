package batch

import (
	"context"
	"fmt"

	"anabranch/archive"
	"anabranch/event"
	"anabranch/fault"
	"anabranch/view"
)

// folded is the note of one unit of Fold.
type folded struct {
	Label string
	Rows  map[int32]int64 // events read, by day
	Views []foldedView
	Took  took
}

// foldedView is the state file of one view for the unit's days.
type foldedView struct {
	View planView
	File archive.StateFile
}

func (f *folded) ref() Ref {
	ref := Ref{Label: f.Label}
	for _, n := range f.Rows {
		ref.Rows += n
	}
	for _, v := range f.Views {
		ref.Bytes += v.File.Size
	}
	return ref
}

// Fold folds the events of a unit's days into the states of its views. Each
// day is read once for all of them.
func (r *Runner) Fold(ctx context.Context, ref PlanRef, unit int) (Ref, error) {
	var done folded
	return r.once(ctx, ref, "fold", fmt.Sprintf(noteFold, unit), &done, func() (func(context.Context) error, error) {
		p, parent, err := r.load(ctx, ref)
		if err != nil {
			return nil, err
		}
		var s spread
		if err := r.needNote(ctx, ref.Run, noteSpread, &s); err != nil {
			return nil, err
		}
		if unit < 0 || unit >= len(s.Units) {
			return nil, fault.New(fault.Invalid, "run %s: fold unit %d: there are %d", ref.Run, unit, len(s.Units))
		}
		made, err := r.compacts(ctx, p)
		if err != nil {
			return nil, err
		}
		return func(ctx context.Context) (err error) {
			began := r.Clock.Now()
			if done, err = r.fold(ctx, p, s.Units[unit], unit, parent, dayFiles(parent, made)); err != nil {
				return fmt.Errorf("fold %s: %w", s.Units[unit].label(), err)
			}
			done.Took = took{began, r.Clock.Now()}
			return nil
		}, nil
	})
}

func (r *Runner) fold(ctx context.Context, p *plan, u foldUnit, unit int, parent *archive.Manifest, files []archive.DayFile) (folded, error) {
	out := folded{Label: u.label(), Rows: map[int32]int64{}}
	into, err := r.folding(u, p.unitTag(unit))
	if err != nil {
		return out, err
	}
	defer into.abandon()
	columns := r.columns(into.views)
	gone := goneDays(files)
	reader := r.Archive.ScanDays(files)
	defer reader.Close()
	for _, day := range u.Days {
		out.Rows[day] = 0
		if gone[day] {
			out.Rows[day], err = r.addToDay(ctx, p, u, day, parent, files, columns, into)
		} else {
			err = reader.Day(ctx, day, columns, func(b *event.Batch) error {
				out.Rows[day] += int64(b.N)
				return into.fold(day, b)
			})
		}
		if err == nil {
			err = into.end(ctx, day)
		}
		if err != nil {
			return out, err
		}
	}
	out.Views, err = into.close(ctx)
	return out, err
}

// columns returns what the views read, in the order of the newest schema; one
// column at least, so that rows can be counted.
func (r *Runner) columns(views []*view.View) []string {
	wanted := map[string]bool{}
	for _, v := range views {
		for _, c := range v.Inputs() {
			wanted[c] = true
		}
	}
	fields := r.Schemas.Newest().Shape().Fields
	var columns []string
	for _, f := range fields {
		if wanted[f.Name] {
			columns = append(columns, f.Name)
		}
	}
	if len(columns) == 0 {
		columns = append(columns, fields[0].Name)
	}
	return columns
}
