package speed

import (
	"slices"

	"anabranch/view"
)

// generation holds what was folded between two barriers.
//
// Only the newest one changes. A closed generation is never written again, so
// readers may merge from it without the partition's lock.
type generation struct {
	k      uint64        // the barrier that opened it; 0 for the log's beginning
	states []*view.State // one for each view, in the order of Options.Views
	counters

	// until holds the states of events that are copies of an imported event,
	// by the barrier j that admits the import: they count for readers whose
	// manifest is older than j and no longer for the others. Imports come
	// later; until then it stays empty, and a barrier that admits one stops
	// the partition rather than count an event twice. When they come: while
	// generations below j are kept for the grace period, an event found in the
	// adopted id runs at an import's position still belongs here.
	//lint:ignore U1000 the place is part of the protocol, and of the snapshot's format
	until map[uint64][]*view.State
}

// counters tell what happened to the events of one generation; each event is
// in exactly one of them.
type counters struct {
	counted    int64   // folded into the views
	duplicates int64   // same id, same content as one before
	conflicts  int64   // same id, other content: the first one counts, batch writes the dead letter
	filtered   []int64 // by rule, in the order of Options.Filters
}

func (c *counters) add(o *counters) {
	c.counted += o.counted
	c.duplicates += o.duplicates
	c.conflicts += o.conflicts
	if c.filtered == nil {
		c.filtered = make([]int64, len(o.filtered))
	}
	for i, n := range o.filtered {
		c.filtered[i] += n
	}
}

// open returns an empty generation opened by barrier k.
func (o *Options) open(k uint64) *generation {
	g := &generation{k: k, counters: counters{filtered: make([]int64, len(o.Filters))}}
	for _, v := range o.Views {
		g.states = append(g.states, v.New())
	}
	return g
}

// find returns the index of the generation that barrier k opened, or -1. The
// list is in log order: a batch that was taken up again late may have put its
// barrier behind a younger one's.
func find(gens []*generation, k uint64) int {
	return slices.IndexFunc(gens, func(g *generation) bool { return g.k == k })
}
