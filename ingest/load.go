package ingest

import (
	"time"

	"anabranch/fault"
)

// Load is how much of something that a gateway shares with others is taken:
// memory, say. A gateway refuses requests while a load is high, those of the
// lowest lane first.
type Load struct {
	Code  string        // of the refusal
	What  string        // is full, for the sender: "the memory for views"
	Share float64       // taken: 1 is all that may be
	After time.Duration // when to come again
}

// lowShare is the share of a load from which the lowest lane is refused; the
// highest is refused at 1.
const lowShare = 0.8

// overloaded says why a request of the lane with this rank cannot be taken, or
// nil.
func (g *Gateway) overloaded(rank int, lane string) error {
	if g.opts.Loads == nil {
		return nil
	}
	border := 1.0
	if n := len(g.opts.Lanes); n > 1 {
		border -= (1 - lowShare) * float64(rank) / float64(n-1)
	}
	for _, l := range g.opts.Loads() {
		if l.Share >= border {
			err := fault.New(fault.Throttled, "%s is at %.0f %% of what it may be, and lane %s of %s is refused from %.0f %% on", l.What, 100*l.Share, lane, g.opts.Pipeline, 100*border)
			return &later{fault.WithCode(err, l.Code), l.After}
		}
	}
	return nil
}
