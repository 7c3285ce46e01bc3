package bench

import (
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"anabranch/archive"
	"anabranch/event"
	"anabranch/fault"
	"anabranch/schemas"
	"anabranch/view"
)

// foldJob is what a step of a backfill does without its files: day by day, the
// events of the day files are folded into the states of the views, and these
// finished into rows.
type foldJob struct {
	data    *Data
	archive *archive.Archive
	views   []*view.View
	columns []string
	days    []int32
	cores   int

	mu     sync.Mutex       // guards what follows
	rows   [][]*event.Batch // finished, by view
	merged []*view.State    // of all days, where groups span them
}

func newFoldJob(ctx context.Context, t *Task) (job, error) {
	d, s, views, err := t.compiled(ctx)
	if err != nil {
		return nil, err
	}
	j := &foldJob{data: d, views: views, cores: max(t.Cores, 1)}
	if j.archive, _, err = d.open(s, filepath.Join(t.Own, "cache")); err != nil {
		return nil, err
	}
	wanted := map[string]bool{}
	for _, v := range j.views {
		for _, c := range v.Inputs() {
			wanted[c] = true
		}
	}
	for _, f := range s.schema.Shape().Fields {
		if wanted[f.Name] {
			j.columns = append(j.columns, f.Name)
		}
	}
	days := map[int32]bool{}
	for _, f := range d.Days {
		for _, r := range f.Days {
			days[r.Day] = true
		}
	}
	j.days = slices.Sorted(maps.Keys(days))
	return j, nil
}

// open returns the data and the pipeline of a task.
func (t *Task) open(ctx context.Context) (*Data, *source, error) {
	d, err := Prepare(ctx, t.Dir, t.Data, t.Example, func(string, ...any) {})
	if err != nil {
		return nil, nil, err
	}
	s, err := sourceOf(d, t.Example)
	return d, s, err
}

// compiled is open, with the views of the task.
func (t *Task) compiled(ctx context.Context) (*Data, *source, []*view.View, error) {
	d, s, err := t.open(ctx)
	if err != nil {
		return nil, nil, nil, err
	}
	views, err := s.compile(ctx, t.Views...)
	return d, s, views, err
}

func (j *foldJob) run(ctx context.Context) (int64, error) {
	j.rows, j.merged = make([][]*event.Batch, len(j.views)), make([]*view.State, len(j.views))
	var events atomic.Int64
	var next atomic.Int64
	group, ctx := errgroup.WithContext(ctx)
	for range j.cores {
		group.Go(func() error {
			reader := j.archive.ScanDays(j.data.Days)
			defer reader.Close()
			states := make([]*view.State, len(j.views))
			for i, v := range j.views {
				states[i] = v.New()
			}
			for {
				n := int(next.Add(1)) - 1
				if n >= len(j.days) {
					return j.gather(states)
				}
				if err := reader.Day(ctx, j.days[n], j.columns, func(b *event.Batch) error {
					events.Add(int64(b.N))
					for _, s := range states {
						if err := s.Fold(b, nil); err != nil {
							return err
						}
					}
					return nil
				}); err != nil {
					return err
				}
				for i, s := range states {
					if !j.views[i].WithinDay() {
						continue
					}
					if err := j.finish(i, s); err != nil {
						return err
					}
					s.Reset()
				}
			}
		})
	}
	err := group.Wait()
	for i, s := range j.merged {
		if err == nil && s != nil {
			err = j.finish(i, s)
		}
	}
	return events.Load(), err
}

// finish adds the rows of a state to those of view i.
func (j *foldJob) finish(i int, s *view.State) error {
	rows, err := s.Result()
	j.mu.Lock()
	defer j.mu.Unlock()
	j.rows[i] = append(j.rows[i], rows)
	return err
}

// gather merges the states of views whose groups span days.
func (j *foldJob) gather(states []*view.State) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	for i, s := range states {
		switch {
		case j.views[i].WithinDay():
		case j.merged[i] == nil:
			j.merged[i] = s
		default:
			if err := j.merged[i].Merge(s); err != nil {
				return err
			}
		}
	}
	return nil
}

func (j *foldJob) answer(_ context.Context, paths []string) error {
	if len(paths) != len(j.views) {
		return fault.New(fault.Bug, "%d paths for %d views", len(paths), len(j.views))
	}
	for i, path := range paths {
		if err := writeRows(path, j.views[i].Output(), j.rows[i]); err != nil {
			return err
		}
	}
	return nil
}

func (j *foldJob) close() {}

// writeRows writes batches to a Parquet file.
func writeRows(path string, shape *event.Shape, batches []*event.Batch) error {
	f, err := os.Create(path)
	if err != nil {
		return fault.Wrap(fault.Transient, err)
	}
	defer f.Close()
	w := schemas.NewParquetWriter(f, shape)
	for _, b := range batches {
		if err := w.Write(b); err != nil {
			return fmt.Errorf("write an answer: %w", err)
		}
	}
	return w.Close(nil)
}
