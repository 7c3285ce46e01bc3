package server

import (
	"context"
	"fmt"
	"slices"
	"time"

	"anabranch/activities"
	"anabranch/archive"
	"anabranch/batch"
	"anabranch/fault"
	"anabranch/serving"
	"anabranch/view"
	"anabranch/workflows"
)

// judge compares the versions of a view for a canary: the published cells, and
// where this process folds the stream, the answers of both at one position of
// the log.
type judge struct {
	server *Server
	*pipeline
}

func (s *Server) judge(ctx context.Context, name string) (activities.Judge, error) {
	// The definition that the canary is of may have been applied in another
	// process a moment ago.
	if err := s.refresh(ctx); err != nil {
		return nil, err
	}
	p, err := s.find(name)
	if err != nil {
		return nil, err
	}
	return judge{s, p}, nil
}

// Share is that of the batch library.
func (j judge) Share(ctx context.Context, view, version string, percent float64, reason, by string) (batch.Published, error) {
	return j.runner.Share(ctx, view, version, percent, reason, by)
}

// Serve is that of the batch library.
func (j judge) Serve(ctx context.Context, view, version, reason, by string) (batch.Published, error) {
	return j.runner.Serve(ctx, view, version, reason, by)
}

// liveRows is how many groups of a view are compared as they answer now: both
// versions are held in memory for it.
const liveRows = 1_000_000

// Judge compares what is published, then what both answer now.
func (j judge) Judge(ctx context.Context, name, version string, bound float64) (batch.Judgement, error) {
	out, err := j.runner.Judge(ctx, name, version, bound)
	if err != nil || out.State != batch.Held || out.Beyond != "" {
		return out, err
	}
	if j.speed == nil || j.server.engine == nil {
		out.Note = "this worker does not fold the stream: what came since the last batch is not compared"
		return out, nil
	}
	m, err := j.archive.Newest(ctx)
	if err != nil {
		return out, err
	}
	_, was := m.Answers(name)
	_, is := m.VersionOf(name, version)
	if was == nil || is == nil || rowsOf(was) > liveRows || rowsOf(is) > liveRows {
		out.Note = fmt.Sprintf("the view has more than %d groups: what came since the last batch is not compared", liveRows)
		return out, nil
	}
	keys := []string{archive.ViewKey(name, was.Version), archive.ViewKey(name, is.Version)}
	snapshot, err := j.server.engine.Snapshot(ctx, j.asSource, keys, serving.Fresh{})
	if err != nil {
		return out, fmt.Errorf("ask both versions of view %s: %w", name, err)
	}
	defer snapshot.Close()
	before, err := snapshot.Read(ctx, keys[0])
	if err != nil {
		return out, err
	}
	after, err := snapshot.Read(ctx, keys[1])
	if err != nil {
		return out, err
	}
	at := snapshot.Receipt.Pipelines[j.def.Name].At.String()
	return out, j.runner.JudgeRows(ctx, &out, name, groupColumns(snapshot.View(keys[1])), before, after, at, bound)
}

func rowsOf(f *archive.ViewFiles) (n int64) {
	for _, r := range f.Results {
		n += r.Rows
	}
	return n
}

// groupColumns returns the names of the columns that make a group.
func groupColumns(v *view.View) (names []string) {
	for _, i := range v.Keys() {
		names = append(names, v.Output().Fields[i].Name)
	}
	return names
}

// startCanary starts the judging of views that were just put in force.
func (s *Server) startCanary(ctx context.Context, p *pipeline, in workflows.CanaryInput, names []string) (workflows.Started, error) {
	for _, v := range p.views {
		if slices.Contains(names, v.Name()) {
			in.Views = append(in.Views, workflows.CanaryView{View: v.Name(), Version: v.Version()})
		}
	}
	if len(in.Views) == 0 {
		return workflows.Started{}, fault.New(fault.Bug, "a canary of no view")
	}
	c := p.def.Canary
	in.Pipeline, in.Definition, in.Every, in.For, in.Compare = p.def.Name, p.def.Version(), c.Every.String(), c.For.String(), c.Comparisons
	return workflows.StartCanary(ctx, s.runs.client, s.runs.queue, in, time.Now())
}

// pokeEvery is how often new versions are looked for.
const pokeEvery = time.Second

// pokeCanaries tells canaries of every version that is published, so that they
// compare at once.
func (s *Server) pokeCanaries(ctx context.Context) {
	seen := map[string]uint64{}
	telling := trouble{logger: s.config.Logger, what: "telling canaries of a new version"}
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(pokeEvery):
		}
		for name, version := range s.heldVersions() {
			if seen[name] == version {
				continue
			}
			runs, err := s.listRuns(ctx, fmt.Sprintf(`TaskQueue = %q AND WorkflowType = %q AND ExecutionStatus = "Running" AND Pipeline = %q`, s.runs.queue, workflows.CanaryType, name))
			for _, r := range runs {
				if err == nil {
					err = workflows.PokeCanary(ctx, s.runs.client, r.GetExecution().GetWorkflowId())
				}
			}
			if ctx.Err() != nil {
				return
			}
			if telling.see(err); err == nil {
				seen[name] = version
			}
		}
	}
}

// heldVersions returns the newest version of those pipelines in which some
// view's new version stands beside the one that answers.
func (s *Server) heldVersions() map[string]uint64 {
	out := map[string]uint64{}
	s.mu.RLock()
	defer s.mu.RUnlock()
	for name, p := range s.pipelines {
		if m := p.archive.Known(); m != nil && len(m.Serves) > 0 {
			out[name] = m.Version
		}
	}
	return out
}
