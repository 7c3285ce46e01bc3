package server

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"time"

	"anabranch/archive"
	"anabranch/cmd/anabranch/api"
	"anabranch/fault"
	"anabranch/schemas"
	"anabranch/view"
	"anabranch/workflows"
)

// applyFiles puts a definition in force that breaks nothing.
func (s *Server) applyFiles(ctx context.Context, files map[string]string) (api.Applied, error) {
	return s.applyKnown(ctx, files, nil)
}

// applyKnown is applyFiles where these reference tables need no file.
func (s *Server) applyKnown(ctx context.Context, files map[string]string, known []archive.Reference) (api.Applied, error) {
	out, _, err := s.putInForce(ctx, api.Apply{Files: files}, known)
	return out, err
}

// applyAs puts a definition in force as it is asked, and starts what computes
// it when that is asked, too.
func (s *Server) applyAs(ctx context.Context, in api.Apply) (api.Applied, error) {
	if in.Canary != nil || in.Backfill {
		if _, err := s.temporal(); err != nil {
			return api.Applied{}, err // before anything is put in force
		}
	}
	out, planned, err := s.putInForce(ctx, in, nil)
	if err != nil || !in.Backfill && in.Canary == nil {
		return out, err
	}
	run, err := s.startBuild(ctx, in, planned)
	if err != nil {
		return out, fmt.Errorf("definition %.8s of %s is in force, but nothing computes it yet: %w", out.Version, out.Pipeline, err)
	}
	out.Run = run
	return out, nil
}

// putInForce checks a definition and puts it in force here; other processes
// see it within FollowEvery.
func (s *Server) putInForce(ctx context.Context, in api.Apply, known []archive.Reference) (api.Applied, api.Plan, error) {
	s.apply.Lock()
	defer s.apply.Unlock()
	var planned api.Plan
	def, err := definition(in.Files)
	if err != nil {
		return api.Applied{}, planned, err
	}
	// A schema that does not fit the one before is the cause of what then
	// fails in the views: it is told alone.
	history, err := s.catalog.history(ctx, def.Name)
	if err != nil {
		return api.Applied{}, planned, err
	}
	if _, _, err := s.catalog.next(history, def); err != nil {
		return api.Applied{}, planned, err
	}
	c, err := compile(ctx, def)
	if err != nil {
		return api.Applied{}, planned, err
	}
	if c.references, err = s.bring(ctx, def, in.Files, append(known, lastOf(history).References...)); err != nil {
		return api.Applied{}, planned, err
	}
	if planned, err = s.allow(ctx, c, history, in.Ways); err != nil {
		return api.Applied{}, planned, err
	}
	out := api.Applied{Pipeline: def.Name, Version: def.Version(), Partitions: def.Partitions}
	for _, v := range c.views {
		out.Views = append(out.Views, v.Name())
	}
	for _, r := range c.references {
		out.References = append(out.References, fmt.Sprintf("%s %s (%d rows)", r.Name, r.Version, r.Rows))
	}
	for {
		history, err := s.catalog.history(ctx, def.Name)
		if err != nil {
			return out, planned, err
		}
		e, changed, err := s.catalog.next(history, def)
		if err != nil {
			return out, planned, err
		}
		out.Changed, out.Schema = changed, e.Schema
		if changed {
			e.References = c.references
		}
		if held := hold(e.Held, planned, in.Ways); !maps.Equal(held, e.Held) {
			if !changed {
				e.N, e.Applied = e.N+1, s.catalog.clock.Now().UTC()
			}
			e.Held, changed = held, true
		}
		if !changed {
			break
		}
		err = s.catalog.put(ctx, e)
		if errors.Is(err, errRace) {
			continue
		}
		if err != nil {
			return out, planned, err
		}
		break
	}
	if err := s.refreshLocked(ctx); err != nil {
		return out, planned, err
	}
	p, err := s.pipeline(def.Name)
	if err != nil {
		return out, planned, err
	}
	out.Rebuild, err = p.unbuilt(ctx)
	return out, planned, err
}

// lastOf is the newest of a history, or nothing.
func lastOf(history []entry) (e entry) {
	if len(history) > 0 {
		e = history[len(history)-1]
	}
	return e
}

// bring stores the reference tables of a definition that is to be put in force.
func (s *Server) bring(ctx context.Context, def *schemas.Definition, files map[string]string, known []archive.Reference) ([]archive.Reference, error) {
	a := archive.Open(s.opened.bucket, def.Name, nil, archive.Options{Partitions: def.Partitions})
	if p, err := s.pipeline(def.Name); err == nil {
		a = p.archive // which has room on disk
	}
	return s.opened.bring(ctx, a, brought{def, files, known})
}

// allow plans an apply and refuses what would take something from readers that
// nobody said may go.
func (s *Server) allow(ctx context.Context, c *compiled, history []entry, ways api.Ways) (api.Plan, error) {
	if err := checkWays(ways); err != nil {
		return api.Plan{}, err
	}
	if len(history) == 0 {
		return plan(ctx, nil, c, nil, ways)
	}
	s.mu.RLock()
	p := s.pipelines[c.def.Name]
	s.mu.RUnlock()
	if p == nil && (ways.Canary != nil || ways.Backfill) {
		return api.Plan{}, fault.New(fault.Transient, "pipeline %s is not open in this process, so that nobody knows what there is to compute: apply the folder without --canary and --backfill first", c.def.Name)
	}
	if p == nil {
		return api.Plan{}, nil // what is in force does not open: nobody reads it
	}
	old := p.compiled
	if last := lastOf(history); p.entry.N != last.N { // another process has applied it a moment ago
		def, err := definition(last.Files)
		if err != nil {
			return api.Plan{}, err
		}
		if old, err = compile(ctx, def); err != nil {
			return api.Plan{}, err
		}
		old.references = last.References
	}
	m, err := p.archive.Newest(ctx)
	if err != nil {
		return api.Plan{}, err
	}
	planned, err := plan(ctx, old, c, m, ways)
	if err != nil || planned.Refused == "" {
		return planned, err
	}
	return planned, fault.WithCode(fault.WithHint(fault.New(fault.Invalid, "%s; nothing was applied", planned.Refused), "see `anabranch plan FOLDER`; then: %s", planned.Command), "breaking")
}

// hold adds the versions that a canary judges to those that are held, and
// takes away those that a backfill is to have answer.
func hold(held map[string]string, planned api.Plan, ways api.Ways) map[string]string {
	out := maps.Clone(held)
	if out == nil {
		out = map[string]string{}
	}
	for _, v := range planned.Views {
		switch {
		case v.To == "" || v.To != out[v.View]:
			delete(out, v.View) // of a version that is no more
		case ways.Backfill && v.Rebuild:
			delete(out, v.View)
		}
		if ways.Canary != nil && v.Rebuild && v.Change != schemas.Added {
			out[v.View] = v.To
		}
	}
	return out
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

// follow looks for definitions that another process applied.
func (s *Server) follow(ctx context.Context) {
	looking := trouble{logger: s.config.Logger, what: "looking for definitions"}
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(s.config.FollowEvery):
		}
		if err := s.refresh(ctx); ctx.Err() == nil {
			looking.see(err)
		}
	}
}

// seekFor is how long somebody waits for the catalog to say that there is no
// such pipeline.
const seekFor = 5 * time.Second

// seek opens what the catalog has now and this process has not heard of, unless
// somebody's look that began after the call has done so. When the catalog does
// not answer, what is known stays; follow tells of that.
func (s *Server) seek() {
	before := s.seeking.Load()
	s.apply.Lock()
	defer s.apply.Unlock()
	if s.seeking.Load() > before {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), seekFor)
	defer cancel()
	_ = s.refreshLocked(ctx)
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
	s.seeking.Add(1)
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

// ensureSchedule makes what a pipeline wants at set times come by itself. When
// Temporal does not answer, the next look for definitions tries again.
func (s *Server) ensureSchedule(ctx context.Context, p *pipeline) {
	if p.schedule || s.runs.client == nil || !s.config.has(RoleWorker) {
		return
	}
	c, queue, name := s.runs.client, s.runs.queue, p.def.Name
	if err := errors.Join(
		workflows.EnsureSchedule(ctx, c, queue, name, p.def.Schedule),
		workflows.EnsureAudits(ctx, c, queue, name, p.def.Audits),
		workflows.EnsureExpiry(ctx, c, queue, name, p.def.Retention),
	); err != nil {
		s.config.Logger.Error("schedule what runs by itself", "pipeline", name, "error", err)
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
