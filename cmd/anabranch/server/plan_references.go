package server

import (
	"fmt"
	"slices"
	"strings"

	"anabranch/archive"
	"anabranch/cmd/anabranch/api"
	"anabranch/schemas"
)

// references says what becomes of each reference table.
func (w *planner) references() {
	before := []archive.Reference{}
	if w.old != nil {
		before = w.old.references
	}
	named := func(all []archive.Reference, name string) *archive.Reference {
		if i := slices.IndexFunc(all, func(r archive.Reference) bool { return r.Name == name }); i >= 0 {
			return &all[i]
		}
		return nil
	}
	for _, is := range w.new.references {
		was := named(before, is.Name)
		switch {
		case was == nil:
			w.out.References = append(w.out.References, api.ReferencePlan{Name: is.Name, Change: schemas.Added, To: is.Version, Rows: is.Rows})
		case was.From != is.From || was.Version != is.Version:
			w.out.References = append(w.out.References, api.ReferencePlan{Name: is.Name, Change: schemas.Changed, From: was.Version, To: is.Version, Rows: is.Rows, Before: was.Rows})
			w.referenceColumns(was, &is)
		}
	}
	for _, was := range before {
		if named(w.new.references, was.Name) != nil {
			continue
		}
		w.out.References = append(w.out.References, api.ReferencePlan{Name: was.Name, Change: schemas.Removed, From: was.Version, Before: was.Rows})
		if !slices.Contains(w.ways.Drop, was.Name) {
			w.breaksDropped(was.Name, "the reference table is gone: queries of it fail at once")
		}
	}
}

func (w *planner) referenceColumns(was, is *archive.Reference) {
	for _, c := range was.Columns {
		full := was.Name + "." + c.Name
		i := slices.IndexFunc(is.Columns, func(o archive.ReferenceColumn) bool { return strings.EqualFold(o.Name, c.Name) })
		switch {
		case slices.Contains(w.ways.Drop, full):
		case i < 0:
			w.breaksDropped(full, fmt.Sprintf("column %s of reference table %s is gone: queries that name it fail", c.Name, was.Name))
		case is.Columns[i].Type != c.Type:
			w.breaksDropped(full, fmt.Sprintf("column %s of reference table %s becomes %s, and was %s", c.Name, was.Name, is.Columns[i].Type, c.Type))
		}
	}
}

// breaksDropped notes what breaks unless --drop says that it may.
func (w *planner) breaksDropped(name, what string) {
	w.breaks(name, what)
	w.lost = append(w.lost, name)
}
