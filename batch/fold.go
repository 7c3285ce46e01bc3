package batch

import (
	"context"
	"fmt"

	"anabranch/archive"
	"anabranch/event"
	"anabranch/fault"
	"anabranch/internal/pace"
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
func (r *Runner) Fold(ctx context.Context, ref PlanRef, unit int) (_ Ref, err error) {
	defer r.metrics.step("fold", r.Clock)()
	defer r.overtaken(ctx, ref, &err)
	var done folded
	note := fmt.Sprintf(noteFold, unit)
	if found, err := r.getNote(ctx, ref.Run, note, &done); err != nil || found {
		out := done.ref()
		out.Reuse = true
		return out, err
	}
	p, parent, err := r.load(ctx, ref)
	if err != nil {
		return Ref{}, err
	}
	var s spread
	if err := r.needNote(ctx, ref.Run, noteSpread, &s); err != nil {
		return Ref{}, err
	}
	if unit < 0 || unit >= len(s.Units) {
		return Ref{}, fault.New(fault.Invalid, "run %s: fold unit %d: there are %d", ref.Run, unit, len(s.Units))
	}
	made, err := r.compacts(ctx, p)
	if err != nil {
		return Ref{}, err
	}
	ctx, turn, err := r.Pace.Begin(ctx)
	if err != nil {
		return Ref{}, err
	}
	defer turn.End()
	began := r.Clock.Now()
	done, err = r.fold(ctx, p, s.Units[unit], unit, parent, dayFiles(parent, made))
	if err != nil {
		return Ref{}, fmt.Errorf("run %s: fold %s: %w", ref.Run, s.Units[unit].label(), err)
	}
	done.Took = took{began, r.Clock.Now()}
	if err := r.putNote(ctx, ref.Run, note, done); err != nil {
		return Ref{}, err
	}
	return done.ref().paced(turn), nil
}

func (r *Runner) fold(ctx context.Context, p *plan, u foldUnit, unit int, parent *archive.Manifest, files []archive.DayFile) (folded, error) {
	out := folded{Label: u.label(), Rows: map[int32]int64{}}
	views := make([]*view.View, len(u.Views))
	for i, pv := range u.Views {
		var err error
		if views[i], err = r.compiled(pv); err != nil {
			return out, err
		}
	}
	columns := r.columns(views)
	groups := make([][]*event.Batch, len(views)) // by view and day
	states := make([]*view.State, len(views))
	held := make([]int64, len(views)) // the most memory of one day, by view
	for i, v := range views {
		states[i] = v.New()
	}
	gone := goneDays(files)
	reader := r.Archive.ReadDays(files)
	defer reader.Close()
	for _, day := range u.Days {
		out.Rows[day] = 0
		if gone[day] {
			n, err := r.addToDay(ctx, p, u, day, parent, files, columns, views, groups)
			if err != nil {
				return out, err
			}
			out.Rows[day] = n
			continue
		}
		err := reader.Day(ctx, day, columns, func(b *event.Batch) error {
			out.Rows[day] += int64(b.N)
			for i, s := range states {
				if err := s.Fold(b, nil); err != nil {
					return fmt.Errorf("view %s: %w", views[i].Name(), err)
				}
			}
			return nil
		})
		if err != nil {
			return out, err
		}
		for i, s := range states {
			if err := pace.Yield(ctx); err != nil {
				return out, err
			}
			b, err := s.Groups()
			if err != nil {
				return out, fmt.Errorf("view %s: %w", views[i].Name(), err)
			}
			groups[i] = append(groups[i], b)
			held[i] = max(held[i], s.Bytes())
			s.Reset()
		}
	}
	tag := fmt.Sprintf("k%012d-%s-%s-u%06d", p.K, p.Request.run(), p.tag(), unit)
	for i, pv := range u.Views {
		file, err := r.Archive.WriteStates(ctx, pv.Name, pv.Version, tag, func(emit func(int32, *event.Batch) error) error {
			for d, day := range u.Days {
				if err := pace.Yield(ctx); err != nil {
					return err
				}
				if err := emit(day, groups[i][d]); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return out, fmt.Errorf("write states of view %s: %w", pv.Name, err)
		}
		file.Memory = stateMemory(groups[i], held[i])
		out.Views = append(out.Views, foldedView{pv, file})
	}
	return out, nil
}

// mostInMemory is how many times as large as its bytes on disk a state may be
// said to be; what goes beyond is room for more, not states.
const mostInMemory = 32

// stateMemory returns about how many bytes the states of some days take in one
// state: as many times their encoded size as the largest day, which took held.
func stateMemory(days []*event.Batch, held int64) int64 {
	var all, most int64
	for _, b := range days {
		n := b.Memory(map[*event.Dict]bool{})
		all, most = all+n, max(most, n)
	}
	if most == 0 {
		return 0
	}
	return int64(float64(all) * min(max(float64(held)/float64(most), 1), mostInMemory))
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
