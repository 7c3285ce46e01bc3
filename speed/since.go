package speed

import (
	"context"
	"fmt"
	"math"
	"slices"

	"anabranch/fault"
	"anabranch/internal/planted"
	"anabranch/view"
)

// ErrDropped says that speed has forgotten what lies between the asked cut
// and a newer one: batch has counted it since.
var ErrDropped = fault.New(fault.Conflict, "the cut is older than what speed keeps: pin the newest manifest and ask again")

// ErrNotReached says that a partition has not folded the log up to the asked
// cut yet: ask again soon.
var ErrNotReached = fault.New(fault.Transient, "speed has not reached the cut yet: ask again soon")

// Since returns, for each asked view (nil: all), the groups of the events at
// and above the cut of barrier k; 0 is the beginning of the log. All views of
// one partition are at one position, told in At. The states are the caller's.
// MaxTime is the newest event time that the partitions have folded since they
// began at some cut, math.MinInt64 when there is none; it may lie below k's.
//
// Its cost is that of merging the groups touched since the cut; a partition
// is held up only while its open generation is copied.
//
// Errors: ErrDropped, ErrNotReached, Invalid for an unknown view, and the
// error of a partition that has stopped, which names partition and offset.
func (s *Speed) Since(ctx context.Context, k uint64, views []string) (*view.Delta, error) {
	if !s.running() {
		return nil, fault.New(fault.Transient, "speed of pipeline %q has not started", s.opt.Pipeline)
	}
	asked, err := s.asked(views)
	if err != nil {
		return nil, err
	}
	return s.since(ctx, k, asked, nil, nil)
}

// SincePicked is Since of one view, and of its groups only those that pick
// takes. Its cost is that of these groups, and where pick leaves a key open, of
// looking at the keys of all groups touched since the cut, once.
func (s *Speed) SincePicked(ctx context.Context, k uint64, name string, pick *view.Pick) (*view.Delta, error) {
	if !s.running() {
		return nil, fault.New(fault.Transient, "speed of pipeline %q has not started", s.opt.Pipeline)
	}
	asked, err := s.asked([]string{name})
	if err != nil {
		return nil, err
	}
	v := s.opt.Views[asked[0]]
	return s.since(ctx, k, asked, func(from *view.State) (*view.State, error) {
		into := v.New()
		groups, err := from.Pick(pick)
		if err != nil || groups == nil {
			return into, err
		}
		return into, into.MergeGroups(groups)
	}, nil)
}

// picking returns what a reader wants of a state, which is the reader's then.
type picking func(from *view.State) (*view.State, error)

// since answers with what pick takes, nil: all; stands, where it is not nil, take
// where the states of the asked views are.
func (s *Speed) since(ctx context.Context, k uint64, asked []int, pick picking, stands []*stand) (*view.Delta, error) {
	into := make([]*view.State, len(asked))
	d := newDelta(k, len(asked))
	for _, p := range s.part {
		if err := ctx.Err(); err != nil {
			return nil, fmt.Errorf("speed since barrier %d: %w", k, err)
		}
		if err := p.since(k, asked, into, d, pick, stands); err != nil {
			return nil, fmt.Errorf("speed of pipeline %q, partition %d, since barrier %d: %w", s.opt.Pipeline, p.n, k, err)
		}
	}
	for i, n := range asked {
		if into[i] == nil {
			into[i] = s.opt.Views[n].New()
		}
		d.States[s.opt.Views[n].Name()] = into[i]
	}
	return d, nil
}

func newDelta(k uint64, views int) *view.Delta {
	return &view.Delta{Since: k, States: make(map[string]*view.State, views), MaxTime: math.MinInt64, FilteredBy: map[string]int64{}}
}

// asked returns the indexes of the views called names.
func (s *Speed) asked(names []string) ([]int, error) {
	var asked []int
	if names == nil {
		for i := range s.opt.Views {
			asked = append(asked, i)
		}
		return asked, nil
	}
	for _, name := range names {
		i := slices.IndexFunc(s.opt.Views, func(v *view.View) bool { return v.Name() == name })
		if i < 0 {
			return nil, fault.New(fault.Invalid, "pipeline %q has no view %q", s.opt.Pipeline, name)
		}
		if !slices.Contains(asked, i) {
			asked = append(asked, i)
		}
	}
	return asked, nil
}

// since merges the generations of one partition at and above k into the
// states, and what it knows about them into d.
func (p *partition) since(k uint64, asked []int, into []*view.State, d *view.Delta, pick picking, stands []*stand) error {
	open, closed, err := p.sinceOpen(k, asked, d, pick, stands)
	if err != nil {
		return err
	}
	for i, n := range asked {
		if into[i] == nil {
			into[i] = open[i]
		} else if err := into[i].Merge(open[i]); err != nil {
			return err
		}
		open[i] = nil // it may be large
		for _, g := range closed {
			from := g.states[n]
			if pick != nil {
				if from, err = pick(from); err != nil {
					return err
				}
			}
			if err := into[i].Merge(from); err != nil {
				return err
			}
		}
	}
	return nil
}

// sinceOpen does the part of since that needs the lock: it copies what is asked of
// the newest generation and returns the closed ones, which nobody changes any
// more. A copy takes a tenth of the time of a merge, and folding waits for it.
func (p *partition) sinceOpen(k uint64, asked []int, d *view.Delta, pick picking, stands []*stand) (open []*view.State, closed []*generation, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	gens, err := p.from(k)
	if err != nil {
		return nil, nil, err
	}
	if pick == nil {
		pick = copied
	}
	newest := gens[len(gens)-1]
	for i, n := range asked {
		st, err := pick(newest.states[n])
		if err != nil {
			return nil, nil, err
		}
		open = append(open, st)
		if stands != nil {
			stands[i].note(gens, n)
		}
	}
	p.tell(d, gens)
	return open, slices.Clone(gens[:len(gens)-1]), nil
}

// copied is the picking of everything.
func copied(from *view.State) (*view.State, error) {
	if planted.On(planted.StateShared) {
		return from, nil
	}
	return from.Clone(), nil
}

// from returns the generations at and above k; the caller holds mu.
func (p *partition) from(k uint64) ([]*generation, error) {
	switch {
	case p.err != nil:
		return nil, p.err
	case p.behind:
		return nil, ErrNotReached
	}
	from := find(p.gens, k)
	if from < 0 {
		if p.gens[0].k > k {
			return nil, ErrDropped
		}
		return nil, ErrNotReached
	}
	return p.gens[from:], nil
}

// tell adds what is known of some generations to d; the caller holds mu.
func (p *partition) tell(d *view.Delta, gens []*generation) {
	d.At = append(d.At, p.next.Load())
	d.MaxTime = max(d.MaxTime, p.maxTime)
	for _, g := range gens {
		d.Counted += g.counted
		d.Duplicates += g.duplicates
		d.Conflicts += g.conflicts
		for i, n := range g.filtered {
			d.Filtered += n
			d.FilteredBy[p.opt.Filters[i].Code] += n
		}
	}
}
