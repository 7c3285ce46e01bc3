package server

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"anabranch/archive"
	"anabranch/batch"
	"anabranch/cmd/anabranch/api"
	"anabranch/fault"
	"anabranch/schemas"
	"anabranch/view"
)

// planner finds out what applying a definition would do.
type planner struct {
	old, new *compiled         // old: nil when the pipeline is new
	keep     map[string]bool   // views whose version of before can go on answering
	manifest *archive.Manifest // nil: nobody knows what is published
	ways     api.Ways
	out      api.Plan
	lost     []string // reference tables, and columns of those, that go away unasked
}

// planFiles says what applying files would do.
func (s *Server) planFiles(ctx context.Context, in api.Apply) (api.Plan, error) {
	def, err := definition(in.Files)
	if err != nil {
		return api.Plan{}, err
	}
	p, err := s.find(def.Name)
	if err != nil && !fault.Is(err, fault.NotFound) {
		return api.Plan{}, err
	}
	if err != nil {
		c, err := compile(ctx, def)
		if err != nil {
			return api.Plan{}, err
		}
		if c.references, err = s.opened.look(ctx, brought{def, in.Files, nil}); err != nil {
			return api.Plan{}, err
		}
		return plan(ctx, nil, c, nil, in.Ways)
	}
	history, err := s.catalog.history(ctx, def.Name)
	if err != nil {
		return api.Plan{}, err
	}
	e, _, err := s.catalog.next(history, def)
	if err != nil {
		return api.Plan{}, err
	}
	c, err := compile(ctx, def)
	if err != nil {
		return api.Plan{}, err
	}
	if c.references, err = s.opened.look(ctx, brought{def, in.Files, p.references}); err != nil {
		return api.Plan{}, err
	}
	m, err := p.archive.Newest(ctx)
	if err != nil {
		return api.Plan{}, err
	}
	out, err := plan(ctx, p.compiled, c, m, in.Ways)
	if err != nil || m.Version == 0 {
		return out, err
	}
	return out, p.cost(ctx, &out, c, e, history)
}

// cost estimates what has to be computed, by planning a backfill with a runner
// that has the new definition.
func (p *pipeline) cost(ctx context.Context, out *api.Plan, c *compiled, e entry, history []entry) error {
	rebuild := slices.ContainsFunc(out.Views, func(v api.ViewPlan) bool { return v.Rebuild })
	if !rebuild {
		return nil
	}
	if err := c.findOlder(ctx, history); err != nil {
		return err
	}
	set, err := schemaSet(append(slices.Clone(history), e))
	if err != nil {
		return err
	}
	o := p.runner.Options
	o.Schemas, o.Views, o.Older, o.Filters, o.Definition, o.TimeField = set, c.views, c.older, c.filters, c.def.Version(), c.def.Identity.Time
	r, err := batch.New(o)
	if err != nil {
		return err
	}
	work, err := r.Estimate(ctx, batch.Request{Build: true})
	if err != nil {
		return err
	}
	out.Warnings, work.Warnings = append(out.Warnings, work.Warnings...), nil
	out.Work = &work
	return nil
}

// PlanFolders says what applying one folder over another would change, without
// a server: nothing is known of events and of what is published.
func PlanFolders(ctx context.Context, old, new map[string]string, ways api.Ways) (api.Plan, error) {
	was, err := definition(old)
	if err != nil {
		return api.Plan{}, fmt.Errorf("the folder of before: %w", err)
	}
	is, err := definition(new)
	if err != nil {
		return api.Plan{}, err
	}
	if was.Name != is.Name {
		return api.Plan{}, fault.New(fault.Invalid, "one folder is of pipeline %s, the other of %s", was.Name, is.Name)
	}
	if _, _, err := follows(entry{}, entry{}, was, is); err != nil {
		return api.Plan{}, err
	}
	before, err := compile(ctx, was)
	if err != nil {
		return api.Plan{}, fmt.Errorf("the folder of before: %w", err)
	}
	after, err := compile(ctx, is)
	if err != nil {
		return api.Plan{}, err
	}
	var o opened // nothing is uploaded
	if before.references, err = o.look(ctx, brought{was, old, nil}); err != nil {
		return api.Plan{}, fmt.Errorf("the folder of before: %w", err)
	}
	if after.references, err = o.look(ctx, brought{is, new, nil}); err != nil {
		return api.Plan{}, err
	}
	return plan(ctx, before, after, nil, ways)
}

// plan compares two definitions; m is what is published, nil when nobody
// knows.
func plan(ctx context.Context, old, new *compiled, m *archive.Manifest, ways api.Ways) (api.Plan, error) {
	w := &planner{old: old, new: new, manifest: m, ways: ways}
	w.out = api.Plan{Pipeline: new.def.Name, To: new.def.Version(), Changed: true, New: old == nil, Compatible: true}
	if err := checkWays(ways); err != nil {
		return w.out, err
	}
	w.references()
	if old == nil {
		for _, v := range new.views {
			w.out.Views = append(w.out.Views, api.ViewPlan{View: v.Name(), Change: schemas.Added, To: v.Version()})
		}
		w.out.Steps = []string{fmt.Sprintf("pipeline %s is made, with %d partitions, which never change; its views answer at once, from the events that come", new.def.Name, new.def.Partitions)}
		return w.out, nil
	}
	var err error
	if w.keep, err = old.stays(ctx, new); err != nil {
		return w.out, err
	}
	w.out.From, w.out.Changed = old.def.Version(), old.def.Version() != new.def.Version()
	if m != nil {
		w.out.Version = m.Version
	}
	w.out.Schema = schemas.FieldChanges(old.def.Schema, new.def.Schema)
	w.out.Rules, w.out.Policy = schemas.RuleChanges(old.def, new.def), schemas.PolicyChanges(old.def, new.def)
	w.views()
	if len(w.out.Rules) > 0 {
		w.out.Warnings = append(w.out.Warnings, "a rule decides about an event once: the changed ones are about events that come from now on, and filters also about those that no batch has counted yet; no backfill changes what was decided")
	}
	w.verdict()
	return w.out, nil
}

func checkWays(w api.Ways) error {
	switch {
	case w.Canary != nil && !(*w.Canary > 0 && *w.Canary <= 100):
		return fault.New(fault.Invalid, "a canary for %g %% of the queries: want more than 0, up to 100", *w.Canary)
	case w.Canary != nil && w.Backfill:
		return fault.New(fault.Invalid, "a canary computes what is new by itself: give --canary or --backfill")
	case w.Within != "" && w.Canary == nil:
		return fault.New(fault.Invalid, "within %s: the bound is one of a canary: give --canary too", w.Within)
	}
	if _, ok := schemas.ReadShare(w.Within); w.Within != "" && !ok {
		return fault.New(fault.Invalid, "within %q: want a share like 1%%, from 0%% to 100%%", w.Within)
	}
	return nil
}

// stays tells which views of before can be folded on, from events of the new
// schema: those whose text means the same there.
func (c *compiled) stays(ctx context.Context, new *compiled) (map[string]bool, error) {
	out := map[string]bool{}
	compiler, err := view.NewCompiler(ctx)
	if err != nil {
		return nil, err
	}
	defer compiler.Close()
	for _, v := range c.views {
		if is := new.view(v.Name()); is != nil && is.Version() == v.Version() {
			out[v.Name()] = true
			continue
		}
		again, err := compiler.View(ctx, view.Source{Name: v.Name(), SQL: v.SQL()}, new.def.Schema.Shape(), new.def.Identity.Time)
		if ctx.Err() != nil {
			return nil, err
		}
		var p *view.Problem
		if err != nil && !errors.As(err, &p) {
			return nil, err
		}
		out[v.Name()] = err == nil && again.Version() == v.Version()
	}
	return out, nil
}
