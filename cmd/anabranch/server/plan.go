package server

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

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
}

// planFiles says what applying files would do.
func (s *Server) planFiles(ctx context.Context, in api.Apply) (api.Plan, error) {
	def, err := definition(in.Files)
	if err != nil {
		return api.Plan{}, err
	}
	p, err := s.pipeline(def.Name)
	if err != nil && !fault.Is(err, fault.NotFound) {
		return api.Plan{}, err
	}
	if err != nil {
		c, err := compile(ctx, def)
		if err != nil {
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

// views says what becomes of each view.
func (w *planner) views() {
	for _, v := range w.new.views {
		p := api.ViewPlan{View: v.Name(), To: v.Version(), Change: "unchanged"}
		was := w.old.view(v.Name())
		switch {
		case was == nil:
			p.Change = schemas.Added
		case was.Version() != v.Version():
			p.From, p.Change = was.Version(), schemas.Changed
			if strings.TrimSpace(was.SQL()) == strings.TrimSpace(v.SQL()) {
				p.Change = "inputs"
			}
			w.columns(&p, was, v)
		default:
			p.From = was.Version()
		}
		w.build(&p, was, v)
		w.out.Views = append(w.out.Views, p)
	}
	for _, v := range w.old.views {
		if w.new.view(v.Name()) != nil {
			continue
		}
		w.out.Views = append(w.out.Views, api.ViewPlan{View: v.Name(), Change: schemas.Removed, From: v.Version(), Until: "it has no answer any more"})
		if !slices.Contains(w.ways.Drop, v.Name()) {
			w.breaks(v.Name(), "it is gone: queries of it fail at once")
		}
	}
}

// build says whether a view has to be computed, and what answers until then.
func (w *planner) build(p *api.ViewPlan, was, v *view.View) {
	switch {
	case w.manifest == nil:
		p.Rebuild = was == nil || p.From != p.To
	case w.manifest.K == 0:
		return // speed has folded all there is, and does so again
	default:
		_, files := w.manifest.VersionOf(v.Name(), v.Version())
		p.Rebuild = files == nil
		if _, answers := w.manifest.Answers(v.Name()); files != nil && answers != nil && answers.Version != v.Version() {
			p.Until = fmt.Sprintf("it is held, version %s answers, until `anabranch versions promote %s %s`", answers.Version, w.out.Pipeline, v.Name())
		}
	}
	if !p.Rebuild {
		return
	}
	switch {
	case was == nil:
		p.Until = "it has no answer before it is computed"
	case w.keep[v.Name()]:
		p.Until = "its version of before answers until it is computed"
	default:
		p.Until = "it has NO ANSWER from now on until it is computed: its version of before cannot read the new schema"
		w.breaks(v.Name(), "a field that it reads has another type or is gone, so that its version of before cannot read new events: it has no answer until it is computed again")
	}
}

// columns compares what two versions of a view return.
func (w *planner) columns(p *api.ViewPlan, was, is *view.View) {
	a, b := was.Output(), is.Output()
	for _, f := range b.Fields {
		i := a.Index(f.Name)
		switch {
		case i < 0:
			p.Columns = append(p.Columns, schemas.Change{Name: f.Name, Change: schemas.Added, To: f.Type.SQL()})
		case a.Fields[i].Type != f.Type:
			p.Columns = append(p.Columns, schemas.Change{Name: f.Name, Change: schemas.Changed, From: a.Fields[i].Type.SQL(), To: f.Type.SQL()})
			w.breaks(p.View, fmt.Sprintf("its column %s becomes %s, and was %s", f.Name, f.Type.SQL(), a.Fields[i].Type.SQL()))
		}
	}
	for _, f := range a.Fields {
		if b.Index(f.Name) < 0 {
			p.Columns = append(p.Columns, schemas.Change{Name: f.Name, Change: schemas.Removed, From: f.Type.SQL()})
			w.breaks(p.View, fmt.Sprintf("its column %s is gone: queries that name it fail", f.Name))
		}
	}
	if was, is := keyNames(was), keyNames(is); !slices.Equal(was, is) {
		p.Keys = true
		w.breaks(p.View, fmt.Sprintf("it groups by %s, and grouped by %s", orNothing(is), orNothing(was)))
	}
}

func orNothing(names []string) string {
	if len(names) == 0 {
		return "nothing"
	}
	return strings.Join(names, ", ")
}

// keyNames returns the key columns of a view, in order of their names.
func keyNames(v *view.View) (out []string) {
	for _, i := range v.Keys() {
		out = append(out, v.Output().Fields[i].Name)
	}
	slices.Sort(out)
	return out
}

func (w *planner) breaks(view, what string) {
	w.out.Breaking = append(w.out.Breaking, api.Break{View: view, What: what})
	w.out.Compatible = false
}

// verdict says what apply does, or why it does nothing.
func (w *planner) verdict() {
	o := &w.out
	var build, changed, gone, lost []string // views
	for _, v := range o.Views {
		switch {
		case v.Change == schemas.Removed:
			gone = append(gone, v.View)
		case v.Rebuild:
			build = append(build, v.View)
			if v.Change != schemas.Added {
				changed = append(changed, v.View)
			}
		}
	}
	for _, b := range o.Breaking {
		if !slices.Contains(lost, b.View) {
			lost = append(lost, b.View)
		}
	}
	var flags []string
	for _, name := range w.ways.Drop {
		flags = append(flags, "--drop "+name)
	}
	for _, name := range lost {
		if slices.Contains(gone, name) {
			flags = append(flags, "--drop "+name)
		}
	}
	rest := slices.DeleteFunc(slices.Clone(lost), func(name string) bool { return slices.Contains(gone, name) })
	if len(rest) > 0 || w.ways.Backfill {
		flags = append(flags, "--backfill")
	} else if w.ways.Canary != nil {
		flags = append(flags, fmt.Sprintf("--canary %g", *w.ways.Canary))
	}
	command := "anabranch apply FOLDER " + strings.Join(flags, " ")
	switch {
	case len(lost) > 0 && !slices.ContainsFunc(lost, func(name string) bool { return slices.Contains(gone, name) || !w.ways.Backfill }):
		// A backfill was asked for by somebody who has read what it breaks.
	case w.ways.Canary != nil && len(rest) > 0:
		o.Refused, o.Command = fmt.Sprintf("a canary of %s cannot be: a share of the queries would fail, or nothing can be compared: %s", strings.Join(rest, ", "), w.first(rest[0])), command
	case len(lost) > 0:
		o.Refused, o.Command = fmt.Sprintf("it breaks what readers have: view %s: %s", lost[0], w.first(lost[0])), command
		if len(lost) > 1 {
			o.Refused += fmt.Sprintf(" (and %d more)", len(lost)-1)
		}
	case w.ways.Canary != nil && len(changed) == 0:
		o.Refused, o.Command = "there is no changed view that a canary could be of", "anabranch apply FOLDER"
	}
	if o.Refused != "" {
		return
	}
	if o.Changed {
		o.Steps = append(o.Steps, fmt.Sprintf("definition %.8s is put in force", o.To))
	}
	for _, name := range gone {
		o.Steps = append(o.Steps, "view "+name+" goes away")
	}
	names := strings.Join(build, ", ")
	switch {
	case len(build) == 0:
	case w.ways.Canary != nil:
		c := w.new.def.Canary
		o.Steps = append(o.Steps,
			"a canary computes "+names+" beside what answers, from the archive up to the cut and from the log since",
			fmt.Sprintf("compares, and rolls back what differs by more than %s", w.within()),
			fmt.Sprintf("has %s answer %g %% of the queries", strings.Join(changed, ", "), *w.ways.Canary),
			fmt.Sprintf("compares every %s and after each publication, and promotes what stays within the bound for %s and %d comparisons", c.Every, c.For, c.Comparisons))
	case w.ways.Backfill:
		o.Steps = append(o.Steps, "a backfill computes "+names+" and has them answer, as batch.publish says: "+w.new.def.Publish.String())
	case w.new.def.Publish.Mode != schemas.PublishAuto && len(changed) > 0:
		o.Steps = append(o.Steps, "the next batch computes "+names+"; changed ones are held until `anabranch versions promote`")
	default:
		o.Steps = append(o.Steps, "the next batch computes "+names+" and has them answer")
	}
}

// first returns the first thing that breaks of a view.
func (w *planner) first(view string) string {
	i := slices.IndexFunc(w.out.Breaking, func(b api.Break) bool { return b.View == view })
	return w.out.Breaking[i].What
}

// within is the bound of a canary, as text.
func (w *planner) within() string {
	if w.ways.Within != "" {
		return w.ways.Within
	}
	return schemas.Share(w.new.def.Canary.Within)
}

func (s *Server) postPlan(r *http.Request) (any, error) {
	var in api.Apply
	if err := readJSON(r, maxApply, &in); err != nil {
		return nil, err
	}
	return s.planFiles(r.Context(), in)
}
