package batch

import (
	"context"
	"encoding/binary"
	"fmt"
	"math"
	"slices"

	"github.com/zeebo/xxh3"

	"anabranch/archive"
	"anabranch/event"
	"anabranch/fault"
	"anabranch/internal/pace"
	"anabranch/view"
)

// finishedStep is the note of one step of Finish.
type finishedStep struct {
	Label string
	Units []finished
	Took  took
}

// finished is what came of one unit.
type finished struct {
	Groups int64 // read from states; the same group of two days is two
	Parted bool  // and in parts of a day, perhaps more
	Files  []archive.ResultFile
}

func (f *finishedStep) ref() Ref {
	ref := Ref{Label: f.Label}
	for _, u := range f.Units {
		for _, file := range u.Files {
			ref.Rows += file.Rows
			ref.Bytes += file.Size
		}
	}
	return ref
}

func (f *finished) rows() (n int64) {
	for _, file := range f.Files {
		n += file.Rows
	}
	return n
}

func (f *finished) unfinished() bool {
	return slices.ContainsFunc(f.Files, func(file archive.ResultFile) bool { return file.Unfinished != "" })
}

// Finish merges the states of the days of a step's units and writes the
// finished rows.
func (r *Runner) Finish(ctx context.Context, ref PlanRef, step int) (Ref, error) {
	var done finishedStep
	return r.once(ctx, ref, "finish", fmt.Sprintf(noteFinish, step), &done, func() (func(context.Context) error, error) {
		var g gathered
		if err := r.needNote(ctx, ref.Run, noteGather, &g); err != nil {
			return nil, err
		}
		if step < 0 || step >= len(g.Steps) {
			return nil, fault.New(fault.Invalid, "run %s: step %d of finishing: there are %d", ref.Run, step, len(g.Steps))
		}
		p, err := r.needPlan(ctx, ref.Run)
		if err != nil {
			return nil, err
		}
		return func(ctx context.Context) error {
			done.Label, done.Took.Began = g.label(step), r.Clock.Now()
			from, to := g.units(step)
			for _, u := range g.Units[from:to] {
				if err := pace.Yield(ctx); err != nil {
					return err
				}
				one, err := r.finish(ctx, p, u, g.Views[u.View.Name])
				if err != nil {
					return fmt.Errorf("finish %s: %w", u.label(), err)
				}
				done.Units = append(done.Units, one)
			}
			done.Took.Ended = r.Clock.Now()
			return nil
		}, nil
	})
}

func (r *Runner) finish(ctx context.Context, p *plan, u finishUnit, files *archive.ViewFiles) (finished, error) {
	var out finished
	v, err := r.compiled(u.View)
	if err != nil {
		return out, err
	}
	// Of each file the days that are live in it: an older state of a day may
	// still stand in a file that is needed for other days.
	days := map[string]map[int32]bool{}
	for _, day := range u.Days {
		name := files.Live[day]
		if days[name] == nil {
			days[name] = map[int32]bool{}
		}
		days[name][day] = true
	}
	for shard := range u.Shards {
		s := v.New()
		for _, f := range files.States {
			if days[f.Name] == nil {
				continue
			}
			err := r.Archive.ReadStates(ctx, f, days[f.Name], func(_ int32, b *event.Batch) error {
				out.Parted = out.Parted || f.Parted
				if u.Shards > 1 {
					b = b.Gather(shardRows(b, shard, u.Shards))
				}
				out.Groups += int64(b.N)
				return s.MergeGroups(b)
			})
			if err != nil {
				return out, fmt.Errorf("states %s: %w", f.Name, err)
			}
		}
		rows, unfinished, err := resultRows(v, s)
		if err != nil {
			return out, err
		}
		if unfinished != "" {
			r.Logger.Warn("a view has no answer", "pipeline", r.Pipeline, "unit", u.label(), "because", unfinished)
		}
		file, err := r.Archive.WriteResult(ctx, u.View.Name, u.View.Version, u.Period, shard, p.tag(), rows)
		if err != nil {
			return out, fmt.Errorf("write the result: %w", err)
		}
		file.Unfinished = unfinished
		out.Files = append(out.Files, file)
	}
	return out, nil
}

// resultRows returns the finished rows with their states beside them. When a
// group has no result there are no rows, and unfinished says why: that is the
// business of this view's readers and of whoever changes it, and must not keep
// the other views from their next version.
func resultRows(v *view.View, s *view.State) (rows *event.Batch, unfinished string, err error) {
	groups, result, err := s.Finish()
	if groups == nil {
		return nil, "", err
	}
	if err != nil {
		if !fault.Is(err, fault.Invalid) {
			return nil, "", err
		}
		unfinished = err.Error()
		if groups, result, err = v.New().Finish(); err != nil {
			return nil, "", err
		}
		result, groups = result.Gather(nil), groups.Gather(nil) // without keys there is a row of nothing
	}
	states := len(groups.Columns) - 1 // the last column of StateShape
	fields := append(append([]event.Field{}, v.Output().Fields...), groups.Shape.Fields[states])
	columns := append(append([]event.Column{}, result.Columns...), groups.Columns[states])
	return &event.Batch{Shape: event.NewShape(fields...), N: result.N, Columns: columns}, unfinished, nil
}

// shardRows returns the rows of b, of the view's state shape, whose group
// belongs to a shard.
func shardRows(b *event.Batch, shard, shards int) []uint32 {
	rows := []uint32{}
	var key []byte
	for i := range b.N {
		key = appendKey(key[:0], b, i)
		if xxh3.Hash(key)%uint64(shards) == uint64(shard) {
			rows = append(rows, uint32(i))
		}
	}
	return rows
}

// appendKey renders the key of row i so that equal keys give equal bytes. It
// is nowhere stored.
func appendKey(key []byte, b *event.Batch, i int) []byte {
	for c := range b.Columns[:len(b.Columns)-1] {
		key = appendCell(key, &b.Columns[c], i)
	}
	return key
}

// appendCells does it for some columns.
func appendCells(key []byte, b *event.Batch, columns []int, i int) []byte {
	for _, c := range columns {
		key = appendCell(key, &b.Columns[c], i)
	}
	return key
}

func appendCell(key []byte, col *event.Column, i int) []byte {
	le := binary.LittleEndian
	if !col.Valid.Get(i) {
		return append(key, 0)
	}
	key = append(key, 1)
	switch col.Type.Storage() {
	case event.InInts:
		key = le.AppendUint64(key, uint64(col.Ints[i]))
	case event.InFloats:
		f := col.Floats[i]
		switch {
		case f == 0:
			f = 0 // both zeros are one group
		case math.IsNaN(f):
			f = math.NaN()
		}
		key = le.AppendUint64(key, math.Float64bits(f))
	case event.InWide:
		key = le.AppendUint64(key, uint64(col.Wide[i].Hi))
		key = le.AppendUint64(key, col.Wide[i].Lo)
	case event.InCodes:
		v := col.Bytes(i)
		key = le.AppendUint64(key, uint64(len(v)))
		key = append(key, v...)
	}
	return key
}
