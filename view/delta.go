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
}
