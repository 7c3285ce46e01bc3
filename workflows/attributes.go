package workflows

import (
	"go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/temporal"
)

// The search attributes by which runs are found in the Temporal UI. Days are
// text like 2011-03-01, which compares as it should. "View" would be a keyword
// of the query language and had to be quoted.
var (
	attrPipeline = temporal.NewSearchAttributeKeyKeyword("Pipeline")
	attrView     = temporal.NewSearchAttributeKeyKeyword("ViewName")
	attrKind     = temporal.NewSearchAttributeKeyKeyword("RunKind")
	attrFrom     = temporal.NewSearchAttributeKeyKeyword("EventDayFrom")
	attrDate     = temporal.NewSearchAttributeKeyKeyword("DataDate")
	attrWaits    = temporal.NewSearchAttributeKeyKeyword("RunWaits") // what a person has to do: resume, retry, approve
	attrTo       = temporal.NewSearchAttributeKeyKeyword("EventDayTo")
)

// SearchAttributes returns the search attributes that a server has to know
// before workflows run.
func SearchAttributes() map[string]enums.IndexedValueType {
	m := map[string]enums.IndexedValueType{}
	for _, key := range []temporal.SearchAttributeKey{attrPipeline, attrView, attrKind, attrFrom, attrTo, attrDate, attrWaits} {
		m[key.GetName()] = key.GetValueType()
	}
	return m
}

// attributes returns what is known of the run now.
func (r *run) attributes() []temporal.SearchAttributeUpdate {
	p := r.progress()
	view := orElse(p.View, "all")
	updates := []temporal.SearchAttributeUpdate{attrPipeline.ValueSet(p.Pipeline), attrView.ValueSet(view), attrKind.ValueSet(p.Kind)}
	if p.From != "" {
		updates = append(updates, attrFrom.ValueSet(p.From))
	}
	if p.To != "" {
		updates = append(updates, attrTo.ValueSet(p.To))
	}
	if p.Date != "" {
		updates = append(updates, attrDate.ValueSet(p.Date))
	}
	return updates
}
