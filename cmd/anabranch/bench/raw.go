package bench

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"anabranch/archive"
	"anabranch/batch"
	"anabranch/event"
	"anabranch/fault"
	"anabranch/stream"
	"anabranch/view"
)

// distinctJob answers a view from the raw log at rest, in which events stand
// as often as they came: ids are read, and each counts once.
type distinctJob struct {
	data    *Data
	archive *archive.Archive
	view    *view.View
	cores   int

	mu   sync.Mutex // guards all
	all  *view.State
	rows *event.Batch
}

func newDistinctJob(ctx context.Context, t *Task) (job, error) {
	d, s, views, err := t.compiled(ctx)
	if err != nil {
		return nil, err
	}
	j := &distinctJob{data: d, view: views[0], cores: max(t.Cores, 1)}
	j.archive, _, err = d.open(s, "")
	return j, err
}

func (j *distinctJob) run(ctx context.Context) (int64, error) {
	j.all = nil
	var next atomic.Int64
	group, ctx := errgroup.WithContext(ctx)
	for range j.cores {
		group.Go(func() error {
			state := j.view.New()
			var known batch.Distinct
			for p := int(next.Add(1)) - 1; p < partitions; p = int(next.Add(1)) - 1 {
				known.Reset()
				if err := j.partition(ctx, p, &known, state); err != nil {
					return err
				}
			}
			j.mu.Lock()
			defer j.mu.Unlock()
			if j.all == nil {
				j.all = state
				return nil
			}
			return j.all.Merge(state)
		})
	}
	if err := group.Wait(); err != nil {
		return 0, err
	}
	var err error
	j.rows, err = j.all.Result()
	return j.data.Rows, err
}

// partition folds the events of one partition, whose segments come in log order.
func (j *distinctJob) partition(ctx context.Context, p int, known *batch.Distinct, state *view.State) error {
	var places []int32
	var fresh []bool
	var rows []uint32
	last, events := uint64(0), int64(0)
	for _, s := range j.data.Segments {
		if s.Partition == p {
			events += s.Rows
		}
	}
	known.Reserve(int(events))
	for _, s := range j.data.Segments {
		if s.Partition != p {
			continue
		}
		if err := j.archive.ScanSegment(ctx, s, j.view.Inputs(), func(b *event.Batch, offsets []uint64, _ []int32) error {
			if offsets[0] < last {
				return fault.New(fault.Invalid, "segment %s is not in log order: it has several schema versions", s.Name)
			}
			last = offsets[b.N-1]
			for len(places) < b.N {
				places, fresh = append(places, 0), append(fresh, false)
			}
			known.Add(b.IDs, places, fresh)
			rows = rows[:0]
			for i := range b.N {
				if fresh[i] {
					rows = append(rows, uint32(i))
				}
			}
			return state.Fold(b, rows)
		}); err != nil {
			return err
		}
	}
	return nil
}

func (j *distinctJob) answer(_ context.Context, paths []string) error {
	return writeRows(paths[0], j.view.Output(), []*event.Batch{j.rows})
}

func (j *distinctJob) close() {}

// newDuckDistinctJob has DuckDB do the same over the same files, by the event
// id. Of the ways to write it this is the one that it does fastest.
func newDuckDistinctJob(ctx context.Context, t *Task) (job, error) {
	j, err := newDuckJob(ctx, t)
	if err != nil {
		return nil, err
	}
	d := j.(*duckJob)
	return d, do(ctx, d.db, d.data.distinct())
}

// distinct is the statement that makes the segments, each event once, the
// table events.
func (d *Data) distinct() string {
	var files []string
	for _, s := range d.Segments {
		files = append(files, d.path(s.Name))
	}
	return "CREATE OR REPLACE VIEW events AS SELECT DISTINCT event_id, merchant, ts, amount FROM " + readParquet(files...)
}

// compactJob is a night's compaction: from segments to deduplicated day files
// and id runs in a folder of its own, published.
type compactJob struct {
	data   *Data
	source *source
	own    string
	runs   int
}

func newCompactJob(ctx context.Context, t *Task) (job, error) {
	d, s, err := t.open(ctx)
	return &compactJob{data: d, source: s, own: t.Own}, err
}

func (j *compactJob) run(ctx context.Context) (int64, error) {
	j.runs++
	night, err := j.data.linked(filepath.Join(j.own, strconv.Itoa(j.runs)))
	if err != nil {
		return 0, err
	}
	a, b, err := night.open(j.source, "")
	if err != nil {
		return 0, err
	}
	log, err := stream.NewMemory().Open(ctx, j.source.name, partitions)
	if err != nil {
		return 0, err
	}
	defer log.Close()
	r, err := j.source.runner(a, b, log)
	if err != nil {
		return 0, err
	}
	if _, err := batch.Run(ctx, r, batch.Request{Kind: batch.Nightly, RunID: "night", K: 1}); err != nil {
		return 0, err
	}
	m, err := a.Newest(ctx)
	if err != nil {
		return 0, err
	}
	if m.Rows != j.data.Rows || m.Counted != j.data.Counted {
		return 0, fault.New(fault.Bug, "of %d rows %d count, it was %d of %d", m.Rows, m.Counted, j.data.Counted, j.data.Rows)
	}
	return m.Rows, os.RemoveAll(night.dir)
}

// linked returns the segments of d, and nothing else, in another folder.
func (d *Data) linked(dir string) (*Data, error) {
	to := *d
	to.dir = dir
	for _, s := range d.Segments {
		path := to.path(s.Name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return nil, fault.Wrap(fault.Transient, err)
		}
		if err := os.Link(d.path(s.Name), path); err != nil {
			return nil, fault.Wrap(fault.Transient, err)
		}
	}
	return &to, nil
}

func (j *compactJob) answer(context.Context, []string) error {
	return fmt.Errorf("a compaction has no answer")
}
func (j *compactJob) close() {}
