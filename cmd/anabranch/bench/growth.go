package bench

import (
	"cmp"
	"context"
	"fmt"
	"path/filepath"
	"slices"

	"anabranch/archive"
	"anabranch/batch"
	"anabranch/bucket"
	"anabranch/event"
	"anabranch/fault"
	"anabranch/serving"
	"anabranch/serving/sql"
	"anabranch/stream"
	"anabranch/view"
)

// history is a pipeline's past with a published view, in a folder of its own.
type history struct {
	archive *archive.Archive
	bucket  bucket.Bucket
	view    *view.View
	data    *Data
	cache   string
}

func newHistory(ctx context.Context, t *Task) (*history, error) {
	d, s, views, err := t.compiled(ctx)
	if err != nil {
		return nil, err
	}
	h := &history{view: views[0], cache: filepath.Join(t.Own, "cache")}
	if h.data, err = d.linked(filepath.Join(t.Own, "past")); err != nil {
		return nil, err
	}
	a, b, err := h.data.open(s, h.cache)
	if err != nil {
		return nil, err
	}
	h.archive, h.bucket = a, b
	log, err := stream.NewMemory().Open(ctx, s.name, partitions)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	r, err := s.runner(a, b, log, views...)
	if err != nil {
		return nil, err
	}
	_, err = batch.Run(ctx, r, batch.Request{Kind: batch.Nightly, RunID: "past", K: 1})
	return h, err
}

func (h *history) answer(context.Context, []string) error {
	return fault.New(fault.Bug, "a history has no answer")
}

// publishJob puts one manifest after the other, each of the whole history.
type publishJob struct {
	*history
	oldest uint64 // that is still there
}

func newPublishJob(ctx context.Context, t *Task) (job, error) {
	h, err := newHistory(ctx, t)
	return &publishJob{h, 1}, err
}

// tidy removes all versions but the newest: one that was published behind
// hundreds of others would be measured with the listing of those.
func (j *publishJob) tidy(ctx context.Context) error {
	m, err := j.archive.Newest(ctx)
	for ; err == nil && j.oldest < m.Version; j.oldest++ {
		err = j.bucket.Delete(ctx, j.archive.ManifestName(j.oldest))
	}
	return err
}

func (j *publishJob) run(ctx context.Context) (int64, error) {
	const times = 20
	for range times {
		m, err := j.archive.Newest(ctx)
		if err != nil {
			return 0, err
		}
		next := *m
		next.Version, next.Parent = m.Version+1, m.Hash()
		if err := j.archive.Publish(ctx, &next); err != nil {
			return 0, err
		}
	}
	return times, nil
}

func (j *publishJob) close() {}

// queryJob asks for groups by their keys, which speed has touched.
type queryJob struct {
	*history
	engine *sql.Engine
}

const askedGroups = `SELECT count(*), sum(n), sum(total) FROM payments.volume
WHERE merchant IN ('merchant_00000', 'merchant_00001', 'merchant_00002', 'merchant_00003') AND hour = '2026-01-05 00:00:00'`

func newQueryJob(ctx context.Context, t *Task) (job, error) {
	h, err := newHistory(ctx, t)
	if err != nil {
		return nil, err
	}
	m, err := h.archive.Newest(ctx)
	if err != nil {
		return nil, err
	}
	touched, err := h.touched(ctx)
	if err != nil {
		return nil, err
	}
	source := &serving.Source{Name: "payments", Views: []*view.View{h.view}, Batch: h.archive, Speed: &stillSpeed{state: touched, at: m.Cut}}
	past := serving.New(serving.Options{Sources: func() []*serving.Source { return []*serving.Source{source} }})
	engine, err := sql.New(ctx, past, sql.Options{CacheDirs: []string{h.cache}, Threads: max(t.Cores, 1)})
	return &queryJob{h, engine}, err
}

// touched returns the groups of the first events of all, which are the same
// however long the history is.
func (h *history) touched(ctx context.Context) (*view.State, error) {
	segments := slices.Clone(h.data.Segments)
	slices.SortFunc(segments, func(a, b archive.Segment) int {
		return cmp.Or(cmp.Compare(a.Partition, b.Partition), cmp.Compare(a.From, b.From))
	})
	state, left := h.view.New(), 4000
	err := h.archive.ScanSegment(ctx, segments[0], h.view.Inputs(), func(b *event.Batch, _ []uint64, _ []int32) error {
		var rows []uint32
		for i := range min(b.N, left) {
			rows = append(rows, uint32(i))
		}
		left -= len(rows)
		if len(rows) == 0 {
			return nil
		}
		return state.Fold(b, rows)
	})
	return state, err
}

func (j *queryJob) run(ctx context.Context) (int64, error) {
	const times = 50
	for range times {
		a, err := j.engine.Query(ctx, sql.Request{SQL: askedGroups})
		if err != nil {
			return 0, err
		}
		row, err := a.Next()
		a.Close()
		if err != nil || row == nil {
			return 0, fmt.Errorf("read an answer of %v: %w", row, err)
		}
	}
	return times, nil
}

func (j *queryJob) close() { j.engine.Close() }

// stillSpeed is a speed layer in which nothing happens any more.
type stillSpeed struct {
	state *view.State
	at    event.Cut
}

func (s *stillSpeed) Since(_ context.Context, k uint64, views []string) (*view.Delta, error) {
	d := &view.Delta{States: map[string]*view.State{}, At: s.at, Since: k}
	for _, v := range views {
		d.States[v] = s.state.Clone()
	}
	return d, nil
}

func (s *stillSpeed) SincePicked(ctx context.Context, k uint64, name string, pick *view.Pick) (*view.Delta, error) {
	d, err := s.Since(ctx, k, []string{name})
	if err != nil {
		return nil, err
	}
	return d.Only(name, pick)
}

func (s *stillSpeed) At() event.Cut                         { return s.at }
func (s *stillSpeed) Wait(context.Context, event.Cut) error { return nil }
