package speed

import (
	"context"
	"fmt"
	"weak"

	"anabranch/fault"
	"anabranch/view"
)

// stand is where the states of one view stood above barrier k: by partition,
// in the order of the log. A generation is known by where it lies in memory, so
// that one which was built anew is another.
type stand struct {
	k     uint64
	parts [][]stood
}

type stood struct {
	of   weak.Pointer[generation]
	mark view.Mark
}

// note adds where view n stands in the generations of the next partition,
// whose lock the caller holds.
func (s *stand) note(gens []*generation, n int) {
	part := make([]stood, len(gens))
	for i, g := range gens {
		part[i] = stood{weak.Make(g), g.states[n].Mark()}
	}
	s.parts = append(s.parts, part)
}

// marks returns what was seen of each of the generations of a partition, 0 of
// those that are new; not ok when one that was seen is gone.
func (s *stand) marks(partition int, gens []*generation) (marks []view.Mark, ok bool) {
	marks = make([]view.Mark, len(gens))
	found := 0
	for i, g := range gens {
		for _, was := range s.parts[partition] {
			if was.of.Value() == g {
				marks[i] = was.mark
				found++
			}
		}
	}
	return marks, found == len(s.parts[partition])
}

// worthwhile is which part of the groups of a view may have changed for
// handing out these alone: it costs that many times as much for each group as
// handing out all.
const worthwhile = 1.0 / 8

// Changes is Since for a reader that has some of the views already, as of what
// an earlier answer called Seen. Of these it hands out only the groups that
// were touched since, with all there is of them above the cut of k, and tells
// so in Partial; it costs what was touched. Where a partition was built anew,
// or most of the groups were touched, it hands out all.
func (s *Speed) Changes(ctx context.Context, k uint64, views []string, before map[string]view.Seen) (*view.Delta, error) {
	if !s.running() {
		return nil, fault.New(fault.Transient, "speed of pipeline %q has not started", s.opt.Pipeline)
	}
	asked, err := s.asked(views)
	if err != nil {
		return nil, err
	}
	had, now := make([]*stand, len(asked)), make([]*stand, len(asked))
	some := false
	for i, n := range asked {
		now[i] = &stand{k: k}
		v := s.opt.Views[n]
		if b, ok := before[v.Name()].(*stand); ok && b.k == k && len(b.parts) == len(s.part) && len(v.Keys()) > 0 {
			had[i], some = b, true
		}
	}
	var d *view.Delta
	if some {
		d, err = s.changes(ctx, k, asked, had, now)
	} else {
		d, err = s.since(ctx, k, asked, nil, now)
	}
	if err != nil {
		return nil, err
	}
	d.Seen = make(map[string]view.Seen, len(asked))
	for i, n := range asked {
		d.Seen[s.opt.Views[n].Name()] = now[i]
	}
	return d, nil
}

// changes answers with what changed after had, and of views most of which did,
// with all.
func (s *Speed) changes(ctx context.Context, k uint64, asked []int, had, now []*stand) (*view.Delta, error) {
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("speed since barrier %d: %w", k, err)
	}
	d := newDelta(k, len(asked))
	d.Partial = map[string]bool{}
	whole, err := s.changesHeld(k, asked, had, now, d)
	if err != nil {
		return nil, err
	}
	for i, n := range asked {
		if len(whole[i]) == 0 {
			continue
		}
		name := s.opt.Views[n].Name()
		into := whole[i][0]
		for _, from := range whole[i][1:] {
			if err := into.Merge(from); err != nil {
				return nil, fmt.Errorf("speed of pipeline %q, since barrier %d: %w", s.opt.Pipeline, k, err)
			}
		}
		d.States[name] = into
	}
	return d, nil
}

// changesHeld does the part of changes that needs the locks. A group may have a
// part in every partition, and those that did not touch it have to be asked as of
// the position that is told: so all of them are held up together, while what has
// changed is copied into d. Of views that are handed out whole it returns what is to
// be merged, the first of which is the reader's: merging takes ten times as long as copying.
func (s *Speed) changesHeld(k uint64, asked []int, had, now []*stand, d *view.Delta) (whole [][]*view.State, err error) {
	gens := make([][]*generation, len(s.part))
	for i, p := range s.part {
		p.mu.Lock()
		defer p.mu.Unlock()
		var err error
		if gens[i], err = p.from(k); err != nil {
			return nil, fmt.Errorf("speed of pipeline %q, partition %d, since barrier %d: %w", s.opt.Pipeline, p.n, k, err)
		}
		p.tell(d, gens[i])
	}
	for i, n := range asked {
		st, all, err := changed(s.opt.Views[n], n, gens, had[i], s.eager)
		if err != nil {
			return nil, fmt.Errorf("speed of pipeline %q, since barrier %d: %w", s.opt.Pipeline, k, err)
		}
		whole = append(whole, all)
		name := s.opt.Views[n].Name()
		if d.Partial[name] = st != nil; st != nil {
			d.States[name] = st
		}
		for _, of := range gens {
			now[i].note(of, n)
		}
	}
	return whole, nil
}

// changed returns the groups of view n that changed after had, or the states that
// have all of them: copies of those that may change, then the others.
func changed(v *view.View, n int, gens [][]*generation, had *stand, eager bool) (st *view.State, whole []*view.State, err error) {
	var states []*view.State
	var marks []view.Mark
	partial := had != nil
	for i, of := range gens {
		for _, g := range of {
			states = append(states, g.states[n])
		}
		if partial {
			var m []view.Mark
			m, partial = had.marks(i, of)
			marks = append(marks, m...)
		}
	}
	if partial && !eager {
		some, all := view.Changes(states, marks)
		partial = float64(some) <= max(1, float64(all)*worthwhile)
	}
	if partial {
		st, err = v.Changed(states, marks)
		return st, nil, err
	}
	for _, of := range gens {
		open, err := copied(of[len(of)-1].states[n])
		if err != nil {
			return nil, nil, err
		}
		whole = append(whole, open)
	}
	for _, of := range gens {
		for _, g := range of[:len(of)-1] {
			whole = append(whole, g.states[n])
		}
	}
	return nil, whole, nil
}
