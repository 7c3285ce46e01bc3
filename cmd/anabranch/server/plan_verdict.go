package server

import (
	"fmt"
	"slices"
	"strings"

	"anabranch/cmd/anabranch/api"
	"anabranch/schemas"
)

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
	views := gone
	gone = slices.Concat(gone, w.lost) // what --drop has to name
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
		o.Refused, o.Command = fmt.Sprintf("it breaks what readers have: %s: %s", w.called(lost[0]), w.first(lost[0])), command
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
	for _, name := range views {
		o.Steps = append(o.Steps, "view "+name+" goes away")
	}
	for _, r := range o.References {
		switch r.Change {
		case schemas.Removed:
			o.Steps = append(o.Steps, "reference table "+r.Name+" goes away")
		default:
			o.Steps = append(o.Steps, fmt.Sprintf("reference table %s answers with version %s, %d rows", r.Name, r.To, r.Rows))
		}
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

// called says what a name is that something breaks of.
func (w *planner) called(name string) string {
	if slices.Contains(w.lost, name) {
		return "reference table " + name
	}
	return "view " + name
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
