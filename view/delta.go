package view

import "anabranch/event"

// Delta is what speed hands to serving: for each asked view the groups since
// a cut, all of them at the same positions.
type Delta struct {
	States  map[string]*State // by view name
	At      event.Cut         // the next offset of each partition that is not folded
	Since   uint64            // the barrier whose cut the delta begins at
	MaxTime int64             // the newest event time folded, microseconds since 1970

	// What happened to the events since the cut.
	Counted, Duplicates, Filtered, Conflicts int64
	FilteredBy                               map[string]int64 // Filtered, by the code of the rule

	// Seen, by view, is where its states stood; nil where nobody asked for that.
	Seen map[string]Seen
	// Partial tells of which views only the groups are here that were touched
	// since what the reader has seen: with all that there is of them above the cut.
	Partial map[string]bool
}

// Only returns the delta with those groups of one of its views that p takes.
func (d *Delta) Only(name string, p *Pick) (*Delta, error) {
	from := d.States[name]
	into := from.view.New()
	groups, err := from.Pick(p)
	if err == nil && groups != nil {
		err = into.MergeGroups(groups)
	}
	if err != nil {
		return nil, err
	}
	out := *d
	out.States = map[string]*State{name: into}
	return &out, nil
}
