package batch

import (
	"maps"
	"slices"
	"strings"

	"anabranch/archive"
	"anabranch/fault"
	"anabranch/schemas"
	"anabranch/view"
)

// planView says what a run does with one version of a view.
type planView struct {
	Name, Version string // Name: its key in the new manifest
	From          string // its key in the manifest that its files come from; empty: it has none
	Base          bool   // which is the one that a rollback goes back to, not the parent
	Days          string // which days are folded: daysNone, daysTouched or daysAll
}

const (
	daysNone    = "none"    // the files of before stay
	daysTouched = "touched" // those with new events; of a backfill those asked for
	daysAll     = "all"     // there are no files of this version
)

// viewPlanner decides what becomes of every version of every view.
type viewPlanner struct {
	r      *Runner
	p      *plan
	parent *archive.Manifest
	serves map[string]string // of the new manifest
}

// planViews plans the views of a nightly or a backfill.
func (r *Runner) planViews(p *plan, m *archive.Manifest) error {
	if q := p.Request.View; q != "" && r.declared(q) == nil {
		return r.noView(q)
	}
	w := &viewPlanner{r: r, p: p, parent: m, serves: map[string]string{}}
	for _, v := range r.Views {
		w.declared(v)
	}
	for _, v := range r.Older {
		w.older(v)
	}
	for _, v := range r.Views {
		w.answer(v)
	}
	p.Serves = w.serves
	return nil
}

// asked reports whether the run is about a view.
func (w *viewPlanner) asked(name string) bool {
	return w.p.Request.View == "" || w.p.Request.View == name
}

func (w *viewPlanner) add(pv planView) { w.p.Views = append(w.p.Views, pv) }

// declared plans the version that the view's definition declares.
func (w *viewPlanner) declared(v *view.View) {
	key, there := w.parent.VersionOf(v.Name(), v.Version())
	do := planView{Name: v.Name(), Version: v.Version(), From: key, Days: daysTouched}
	switch {
	case there == nil && w.p.Request.Kind == Nightly && len(goneDays(w.parent.Days)) > 0:
		// What answers goes on; nobody can make a version of what is gone.
		w.r.Logger.Error("a view cannot be made: raw events of the pipeline have expired", "pipeline", w.r.Pipeline, "view", v.Name(), "version", v.Version(),
			"do", "take its definition back, or give it to a new pipeline")
		return
	case there == nil && w.asked(v.Name()):
		do.Days = daysAll
	case there == nil:
		return // new and not asked for: the next nightly makes it
	case !w.asked(v.Name()) || w.p.Request.Build:
		do.Days = daysNone
	}
	w.add(do)
}

// older keeps another version up to date for as long as the manifest has it.
func (w *viewPlanner) older(v *view.View) {
	name := archive.ViewOf(v.Name())
	key, there := w.parent.VersionOf(name, v.Version())
	if there == nil {
		return
	}
	do := planView{Name: v.Name(), Version: v.Version(), From: key, Days: daysNone}
	if w.asked(name) && !w.p.Request.Build {
		do.Days = daysTouched
	}
	w.add(do)
}

// answer decides which version of a view readers see, and keeps it.
func (w *viewPlanner) answer(v *view.View) {
	name := v.Name()
	key, was := w.parent.Answers(name)
	if was == nil || was.Version == v.Version() {
		return // under its own name
	}
	kept := archive.ViewKey(name, was.Version)
	planned := func(name string) bool {
		return slices.ContainsFunc(w.p.Views, func(pv planView) bool { return pv.Name == name })
	}
	if !planned(kept) {
		if w.p.Request.Kind == Nightly {
			return // nobody can fold the new events into it any more
		}
		w.add(planView{Name: kept, Version: was.Version, From: key, Days: daysNone})
	}
	before := w.parent.Views[name] // what was declared when it was made
	fresh := before == nil || before.Version != v.Version()
	if planned(name) && (fresh && !w.holds(v) || slices.Contains(w.p.Request.Takes, name)) {
		w.p.Takes = append(w.p.Takes, name)
		return
	}
	w.serves[name] = kept
}

// holds reports whether a view's new version stands beside the old one until
// somebody promotes it. A nightly does not ask, and must not be kept waiting.
func (w *viewPlanner) holds(v *view.View) bool {
	q := w.p.Request
	return q.Hold || w.r.Held[v.Name()] == v.Version() || q.Kind == Nightly && w.r.Publishes.Mode != schemas.PublishAuto
}

// planRollback plans to have the views answer as they did in an older version,
// with the events that came since.
func (r *Runner) planRollback(p *plan, m, base *archive.Manifest) error {
	if q := p.Request.View; q != "" && base.Views[q] == nil {
		return r.noView(q)
	}
	w := &viewPlanner{r: r, p: p, parent: m, serves: maps.Clone(m.Serves)}
	if w.serves == nil {
		w.serves = map[string]string{}
	}
	replaced := map[string]bool{} // keys
	for _, v := range r.Views {
		_, to := base.Answers(v.Name())
		if to == nil || !w.asked(v.Name()) {
			continue // it was not there yet
		}
		of := r.version(v.Name(), to.Version)
		if of == nil {
			return fault.WithHint(fault.New(fault.Invalid, "view %s had version %s then, whose definition this program does not have", v.Name(), to.Version), "apply the definition of then first")
		}
		from, _ := base.VersionOf(v.Name(), to.Version)
		if key, kept := m.VersionOf(v.Name(), to.Version); kept == nil || key != of.Name() || w.changedSince(base.Views[from], kept) {
			w.add(planView{Name: of.Name(), Version: to.Version, From: from, Base: true, Days: daysTouched})
			replaced[of.Name()] = true
		}
		delete(w.serves, v.Name())
		if of.Name() != v.Name() {
			w.serves[v.Name()] = of.Name()
		}
	}
	for _, key := range slices.Sorted(maps.Keys(m.Views)) {
		if !replaced[key] {
			w.add(planView{Name: key, Version: m.Views[key].Version, From: key, Days: daysNone})
		}
	}
	p.Serves = w.serves
	return nil
}

// changedSince reports whether a view's files of now differ from those of then
// in a day that no event touched since, as after a backfill.
func (w *viewPlanner) changedSince(then, now *archive.ViewFiles) bool {
	for day, file := range then.Live {
		if now.Live[day] != file && !slices.Contains(w.p.Touched, day) {
			return true
		}
	}
	return false
}

// declared returns the declared version of a view, or nil.
func (r *Runner) declared(name string) *view.View {
	for _, v := range r.Views {
		if v.Name() == name {
			return v
		}
	}
	return nil
}

// version returns a version of a view that this program can compute, or nil.
func (r *Runner) version(name, version string) *view.View {
	return archive.FindVersion(name, version, r.Views, r.Older)
}

func (r *Runner) noView(name string) error {
	var names []string
	for _, v := range r.Views {
		names = append(names, v.Name())
	}
	return fault.New(fault.Invalid, "there is no view %q; there are %s", name, strings.Join(names, ", "))
}
