package bench

import (
	"context"
	"os"
	"path/filepath"
	"time"

	"anabranch/archive"
	"anabranch/bucket"
	"anabranch/event"
	"anabranch/fault"
	"anabranch/schemas"
	"anabranch/speed"
	"anabranch/stream"
	"anabranch/view"
)

// framesJob has a speed layer fold frames that lie in a log in memory: exact
// dedupe, and a view with sums and sketches.
type framesJob struct {
	source *source
	view   *view.View
	log    stream.Log
	end    event.Cut
	speed  *speed.Speed // of the last run
	facts  map[string]float64
}

func newFramesJob(ctx context.Context, t *Task) (job, error) {
	s, err := sourceOf(&t.Data, t.Example)
	if err != nil {
		return nil, err
	}
	views, err := s.compile(ctx, t.Views...)
	if err != nil {
		return nil, err
	}
	j := &framesJob{source: s, view: views[0]}
	if j.log, err = stream.NewMemory().Open(ctx, s.name, partitions); err != nil {
		return nil, err
	}
	body, err := os.Open(filepath.Join(t.Dir, "body.ndjson"))
	if err != nil {
		return nil, fault.Wrap(fault.Invalid, err)
	}
	defer body.Close()
	if err := newFrames(s, j.log).body(ctx, body); err != nil {
		return nil, err
	}
	for p := range partitions {
		_, next, err := j.log.Bounds(ctx, p)
		if err != nil {
			return nil, err
		}
		j.end = append(j.end, next)
	}
	return j, nil
}

func (j *framesJob) run(ctx context.Context) (int64, error) {
	set := schemas.NewSet(j.source.schema)
	s := speed.New(speed.Options{
		Pipeline: j.source.name, Schemas: set, Views: []*view.View{j.view}, Log: j.log, TimeField: j.source.id.Time, SnapshotEvery: time.Hour,
		Archive: archive.Open(bucket.NewMemory(), j.source.name, set, archive.Options{Partitions: partitions}),
	})
	if err := s.Start(ctx); err != nil {
		return 0, err
	}
	j.speed = s
	if err := s.Wait(ctx, j.end); err != nil {
		return 0, err
	}
	var folded, ids, idBytes, groups, stateBytes int64
	for _, p := range s.Stats().Partitions {
		folded += p.Counted + p.Duplicates
		ids += int64(p.HotIDs)
		idBytes += p.HotBytes
		groups += int64(p.Groups[j.view.Name()])
		stateBytes += p.StateBytes
	}
	j.facts = map[string]float64{
		"bytes per id":    float64(idBytes) / float64(max(ids, 1)),
		"bytes per group": float64(stateBytes) / float64(max(groups, 1)),
	}
	return folded, nil
}

func (j *framesJob) figures() map[string]float64 { return j.facts }

func (j *framesJob) answer(ctx context.Context, paths []string) error {
	delta, err := j.speed.Since(ctx, 0, nil)
	if err != nil {
		return err
	}
	rows, err := delta.States[j.view.Name()].Result()
	if err != nil {
		return err
	}
	return writeRows(paths[0], j.view.Output(), []*event.Batch{rows})
}

func (j *framesJob) tidy(context.Context) error {
	j.stop()
	return nil
}

func (j *framesJob) stop() {
	if j.speed != nil {
		j.speed.Stop()
		j.speed = nil
	}
}

func (j *framesJob) close() {
	j.stop()
	j.log.Close()
}
