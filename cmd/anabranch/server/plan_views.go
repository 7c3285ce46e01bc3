package server

import (
	"fmt"
	"slices"
	"strings"

	"anabranch/cmd/anabranch/api"
	"anabranch/schemas"
	"anabranch/view"
)

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
