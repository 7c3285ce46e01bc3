package server

import (
	"context"
	"errors"
	"fmt"
	"time"

	"anabranch/cmd/anabranch/api"
	"anabranch/fault"
	"anabranch/schemas"
	"anabranch/view"
	"anabranch/workflows"
)

// applyFiles checks a definition and puts it in force here; other processes
// see it within followEvery.
func (s *Server) applyFiles(ctx context.Context, files map[string]string) (api.Applied, error) {
	s.apply.Lock()
	defer s.apply.Unlock()
	def, err := definition(files)
	if err != nil {
		return api.Applied{}, err
	}
	// A schema that does not fit the one before is the cause of what then
	// fails in the views: it is told alone.
	history, err := s.catalog.history(ctx, def.Name)
	if err != nil {
		return api.Applied{}, err
	}
	if _, _, err := s.catalog.next(history, def); err != nil {
		return api.Applied{}, err
	}
	c, err := compile(ctx, def)
	if err != nil {
		return api.Applied{}, err
	}
	out := api.Applied{Pipeline: def.Name, Version: def.Version(), Partitions: def.Partitions}
	for _, v := range c.views {
		out.Views = append(out.Views, v.Name())
	}
	for {
		history, err := s.catalog.history(ctx, def.Name)
		if err != nil {
			return out, err
		}
		e, changed, err := s.catalog.next(history, def)
		if err != nil {
			return out, err
		}
		out.Changed, out.Schema = changed, e.Schema
		if !changed {
			break
		}
		err = s.catalog.put(ctx, e)
		if errors.Is(err, errRace) {
			continue
		}
		if err != nil {
			return out, err
		}
		break
	}
	if err := s.refreshLocked(ctx); err != nil {
		return out, err
	}
	p, err := s.pipeline(def.Name)
	if err != nil {
		return out, err
	}
	out.Rebuild, err = p.unbuilt(ctx)
	return out, err
}

// unbuilt lists the views that the newest manifest has no files of.
func (p *pipeline) unbuilt(ctx context.Context) ([]string, error) {
	m, err := p.archive.Newest(ctx)
	if err != nil || m.K == 0 {
		return nil, err
	}
	var names []string
	for _, v := range p.views {
		if _, files := m.VersionOf(v.Name(), v.Version()); files == nil {
			names = append(names, v.Name())
		}
	}
	return names, nil
}

// followEvery is how often a process looks for definitions that another one
// applied.
const followEvery = time.Second

func (s *Server) follow(ctx context.Context) {
	looking := trouble{logger: s.config.Logger, what: "looking for definitions"}
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(followEvery):
		}
		if err := s.refresh(ctx); ctx.Err() == nil {
			looking.see(err)
		}
	}
}

// refresh opens what the catalog has and this process has not. It waits for an
// apply or another refresh that is under way.
func (s *Server) refresh(ctx context.Context) error {
	s.apply.Lock()
	defer s.apply.Unlock()
	return s.refreshLocked(ctx)
}

func (s *Server) refreshLocked(ctx context.Context) error {
	if s.stopped {
		return fault.New(fault.Transient, "this process is stopping")
	}
	newest, err := s.catalog.newest(ctx)
	if err != nil {
		return err
	}
	for name, n := range newest {
		s.mu.RLock()
		running := s.pipelines[name]
		s.mu.RUnlock()
		if running != nil && running.entry.N == n && !running.outdated.Load() {
			s.ensureSchedule(ctx, running)
			continue
		}
		history, err := s.catalog.history(ctx, name)
		if err != nil {
			return err
		}
		// The old rooms stop before the new ones open: both own the same
		// partitions and the same snapshots.
		if running != nil {
			s.mu.Lock()
			delete(s.pipelines, name)
			s.changing[name] = true
			s.mu.Unlock()
			running.stop(s.config.Logger)
		}
		p, err := s.opened.open(context.WithoutCancel(ctx), history[len(history)-1], history)
		if err != nil {
			return fmt.Errorf("open pipeline %s: %w", name, err)
		}
		s.mu.Lock()
		s.pipelines[name] = p
		delete(s.changing, name)
		s.mu.Unlock()
		s.ensureSchedule(ctx, p)
	}
	return nil
}

// ensureSchedule makes the nightly runs of a pipeline come by themselves. When
// Temporal does not answer, the next look for definitions tries again.
func (s *Server) ensureSchedule(ctx context.Context, p *pipeline) {
	if p.schedule || s.runs.client == nil || !s.config.has(RoleWorker) {
		return
	}
	if err := workflows.EnsureSchedule(ctx, s.runs.client, s.runs.queue, p.def.Name, p.def.Schedule); err != nil {
		s.config.Logger.Error("schedule the nightly batch", "pipeline", p.def.Name, "error", err)
		return
	}
	p.schedule = true
}

// asProblem gives an error of the compiler a place in the folder.
func asProblem(file string, err error) schemas.Problem {
	var p *view.Problem
	if errors.As(err, &p) {
		return schemas.Problem{File: p.File, Line: p.Line, Column: p.Column, Message: p.Message, Hint: p.Hint}
	}
	return schemas.Problem{File: file, Message: err.Error(), Hint: fault.CodeOf(err)}
}
