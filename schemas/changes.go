package schemas

import (
	"fmt"
	"slices"
	"strings"
)

// Change is one thing in which two definitions differ.
type Change struct {
	Name   string `json:"name"`   // a field, a rule, a key of pipeline.yaml
	Change string `json:"change"` // one of the words below
	From   string `json:"from,omitempty"`
	To     string `json:"to,omitempty"`
}

// What a Change is.
const (
	Added    = "added"
	Removed  = "removed"
	Renamed  = "renamed"  // found by an alias
	Promoted = "promoted" // a field of another type, which can hold all values of before
	Changed  = "changed"
)

// FieldChanges says how the fields of two schemas differ, those of new in
// their order, then those that are gone.
func FieldChanges(old, new *Schema) (out []Change) {
	continued := map[int]bool{}
	for i := range new.fields {
		f := &new.fields[i]
		from := f.source(old)
		if from < 0 {
			out = append(out, Change{Name: f.Name, Change: Added, To: f.says()})
			continue
		}
		continued[from] = true
		was := &old.fields[from]
		c := Change{Name: f.Name, From: was.says(), To: f.says()}
		switch {
		case was.Name != f.Name:
			c.Change, c.From = Renamed, was.Name+" "+c.From
		case was.Type != f.Type:
			c.Change = Promoted
		case fingerprint([]field{*was}) != fingerprint([]field{*f}):
			c.Change = Changed
		default:
			continue
		}
		out = append(out, c)
	}
	for i := range old.fields {
		if !continued[i] {
			out = append(out, Change{Name: old.fields[i].Name, Change: Removed, From: old.fields[i].says()})
		}
	}
	return out
}

// says tells a field's type and what else matters of it.
func (f *field) says() string {
	out := fmt.Sprint(f.Type)
	if f.Nullable {
		out += ", nullable"
	}
	if f.byDef != nil {
		out += ", with a default"
	}
	if f.layout != "" {
		out += ", format " + f.layout
	}
	if len(f.symbols) > 0 {
		out += ", one of " + strings.Join(f.symbols, " ")
	}
	if len(f.aliases) > 0 {
		out += ", also called " + strings.Join(f.aliases, ", ")
	}
	return out
}

// RuleChanges says how the quality rules differ, by code.
func RuleChanges(old, new *Definition) (out []Change) {
	says := func(r Rule) string {
		action := "reject"
		if r.Action == ActionFilter {
			action = "filter"
		}
		return action + ": " + strings.Join(strings.Fields(r.SQL), " ")
	}
	find := func(rules []Rule, code string) int {
		return slices.IndexFunc(rules, func(r Rule) bool { return r.Code == code })
	}
	for _, r := range new.Rules {
		at := find(old.Rules, r.Code)
		if at < 0 {
			out = append(out, Change{Name: r.Code, Change: Added, To: says(r)})
			continue
		}
		if was := old.Rules[at]; says(was) != says(r) {
			out = append(out, Change{Name: r.Code, Change: Changed, From: says(was), To: says(r)})
		}
	}
	for _, r := range old.Rules {
		if find(new.Rules, r.Code) < 0 {
			out = append(out, Change{Name: r.Code, Change: Removed, From: says(r)})
		}
	}
	return out
}

// PolicyChanges says how the settings differ that are neither schema, views
// nor rules.
func PolicyChanges(old, new *Definition) (out []Change) {
	was := old.policy()
	for i, is := range new.policy() {
		if was[i].To != is.To {
			out = append(out, Change{Name: is.Name, Change: Changed, From: was[i].To, To: is.To})
		}
	}
	return out
}

// policy lists the settings, always all of them and in one order.
func (d *Definition) policy() []Change {
	schedule := "none"
	if s := d.Schedule; s.Cron != "" {
		schedule = fmt.Sprintf("%s %s, overlap %s, catch up %s", s.Cron, s.Timezone, s.Overlap, s.CatchUp)
		if s.PauseOnFailure {
			schedule += ", pauses on failure"
		}
	}
	lanes := make([]string, len(d.Lanes))
	for i, l := range d.Lanes {
		lanes[i] = fmt.Sprintf("%s %d", l.Name, l.Priority)
	}
	c := d.Canary
	return []Change{
		{Name: "description", To: d.Description},
		{Name: "source.format", To: d.Format.String()},
		{Name: "lateness", To: d.Lateness.String()},
		{Name: "batch.schedule", To: schedule},
		{Name: "batch.publish", To: d.Publish.String()},
		{Name: "batch.canary", To: fmt.Sprintf("within %s, every %s, for %s and %d comparisons", Share(c.Within), c.Every, c.For, c.Comparisons)},
		{Name: "ingest.linger", To: d.Linger.String()},
		{Name: "ingest.frame_bytes", To: fmt.Sprint(d.FrameBytes)},
		{Name: "lanes", To: strings.Join(lanes, ", ")},
	}
}

// Settled says why new cannot follow old, whatever is done: what tells events
// apart never changes, because what came before was decided by it, and a version
// of a reference table has one set of rows. The error is Invalid.
func Settled(old, new *Definition) error {
	// A field that has another name now is the same field.
	before := func(name string) string {
		if i := new.Schema.shape.Index(name); i >= 0 {
			if from := new.Schema.fields[i].source(old.Schema); from >= 0 {
				return old.Schema.fields[from].Name
			}
		}
		return name
	}
	says := func(i Identity, called func(string) string) [3]string {
		all := func(names []string) string {
			out := make([]string, len(names))
			for i, name := range names {
				out[i] = called(name)
			}
			return strings.Join(out, ", ")
		}
		id, key := "fields "+all(i.Fields), all(i.Key)
		if i.Content {
			id = "content_hash " + all(i.Fields)
		}
		if key == "" {
			key = "the id"
		}
		return [3]string{id, called(i.Time), key}
	}
	was, is := says(old.Identity, func(name string) string { return name }), says(new.Identity, before)
	for i, name := range []string{"event.id", "event.time", "event.key"} {
		if was[i] != is[i] {
			return &Problem{File: pipelineFile, Message: fmt.Sprintf("%s of pipeline %s is %s since it was made, the folder asks for %s", name, new.Name, was[i], is[i]),
				Hint: "it never changes, as events that came before were told apart by it: make a new pipeline instead"}
		}
	}
	return renumbered(old, new)
}
