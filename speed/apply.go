package speed

import (
	"context"
	"errors"
	"fmt"
	"math"

	"anabranch/archive"
	"anabranch/event"
	"anabranch/fault"
	"anabranch/internal/planted"
)

// scratch is the memory that apply uses again for every batch.
type scratch struct {
	places []int32  // by row: where its id lies in hot
	fresh  []bool   // by row: this event is the first of its id
	rows   []uint32 // rows that are folded
	asked  []uint32 // rows whose ids the runs are asked for
	ids    []event.ID
	hits   []archive.Hit
	match  []bool // by row: the filter rule is true
}

// noTime stands for "no event time".
const noTime = math.MinInt64

// sized returns s with n elements, their content unspecified.
func sized[T any](s []T, n int) []T {
	if cap(s) < n {
		return make([]T, n, n+n/4)
	}
	return s[:n]
}

// errRunsGone says that the id runs of the known manifest were collected: a
// newer manifest has taken their place.
var errRunsGone = fault.New(fault.NotFound, "the id runs of the known manifest are gone")

// apply dedupes, filters and folds the events of b, which are the frame at
// offset; afterwards everything below next is folded (0: more of it follows,
// and readers are kept away). Until the fold itself nothing is changed that an
// error does not undo.
func (p *partition) apply(ctx context.Context, b *event.Batch, offset, next uint64) error {
	s := &p.scratch
	s.places, s.fresh = sized(s.places, b.N), sized(s.fresh, b.N)
	before := p.hot.n
	p.hot.add(offset, b.IDs, b.Hashes, s.places, s.fresh)
	if err := p.askRuns(ctx, b, offset); err != nil {
		p.hot.undo(before)
		return err
	}

	var c counters
	s.rows = s.rows[:0]
	for i, fresh := range s.fresh {
		switch {
		case fresh:
			s.rows = append(s.rows, uint32(i))
		case p.hot.at(int(s.places[i])).hash == b.Hashes[i]:
			c.duplicates++
		default:
			if planted.On(planted.ConflictCounted) {
				s.rows = append(s.rows, uint32(i))
			}
			c.conflicts++
		}
	}
	if err := p.filter(b, &c); err != nil {
		p.hot.undo(before)
		return err
	}
	c.counted = int64(len(s.rows))
	newest := p.newestTime(b)
	if planted.On(planted.LateDropped) && newest < p.maxTime {
		s.rows = s.rows[:0]
	}

	p.changed = true
	if err := p.foldRows(b, &c, newest, next); err != nil {
		p.broken = true
		return err
	}
	p.total.count(&c)
	return nil
}

// askRuns looks for the ids that hot did not know among those below the cut.
// A hit that lies before the event makes it a copy, and hot takes on the
// content hash of the true first event: later copies compare with that, and
// are not asked for again.
func (p *partition) askRuns(ctx context.Context, b *event.Batch, offset uint64) error {
	if p.runs == nil || planted.On(planted.RunsForgotten) {
		return nil
	}
	s := &p.scratch
	s.asked, s.ids = s.asked[:0], s.ids[:0]
	for i, fresh := range s.fresh {
		if fresh {
			s.asked = append(s.asked, uint32(i))
			s.ids = append(s.ids, b.IDs[i])
		}
	}
	if len(s.ids) == 0 {
		return nil
	}
	s.hits = sized(s.hits, len(s.ids))
	if err := p.runs.Lookup(ctx, s.ids, s.hits); err != nil {
		if fault.Is(err, fault.NotFound) {
			return errors.Join(errRunsGone, err)
		}
		return fmt.Errorf("look up %d ids below the cut: %w", len(s.ids), err)
	}
	for j := range s.hits {
		if s.hits[j].Found && s.hits[j].Offset < offset {
			i := s.asked[j]
			s.fresh[i] = false
			p.hot.at(int(s.places[i])).hash = s.hits[j].Hash
		}
	}
	return nil
}

// filter takes out of scratch.rows what a rule matches. A row whose rule
// fails (an overflow, a bad cast) does not match it.
func (p *partition) filter(b *event.Batch, c *counters) error {
	c.filtered = make([]int64, len(p.opt.Filters))
	s := &p.scratch
	for f, rule := range p.opt.Filters {
		if len(s.rows) == 0 {
			return nil
		}
		s.match = sized(s.match, b.N)
		clear(s.match)
		if err := rule.Predicate.Eval(b, s.match); err != nil && !fault.Is(err, fault.Invalid) {
			return fmt.Errorf("filter rule %q: %w", rule.Code, err)
		}
		kept := s.rows[:0]
		for _, i := range s.rows {
			if s.match[i] {
				c.filtered[f]++
				if !planted.On(planted.FilteredCounted) {
					continue
				}
			}
			kept = append(kept, i)
		}
		s.rows = kept
	}
	return nil
}

// newestTime returns the newest event time among scratch.rows, in
// microseconds since 1970, or noTime.
func (p *partition) newestTime(b *event.Batch) (newest int64) {
	newest = noTime
	if p.opt.TimeField == "" {
		return newest
	}
	c := b.Column(p.opt.TimeField)
	unit := int64(1)
	switch {
	case c == nil:
		return newest
	case c.Type.Kind == event.Date:
		unit = 24 * 60 * 60 * 1e6
	case c.Type.Kind != event.Timestamp:
		return newest
	}
	for _, i := range p.scratch.rows {
		if c.Valid.Get(int(i)) {
			newest = max(newest, c.Ints[i]*unit)
		}
	}
	return newest
}

// foldRows folds scratch.rows into the newest generation and moves on to
// next. Readers see all views before or all views behind it.
func (p *partition) foldRows(b *event.Batch, c *counters, newest int64, next uint64) error {
	rows := p.scratch.rows
	some := len(rows) > 0
	if len(rows) == b.N {
		rows = nil // all of them, which Fold does faster
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	g := p.gens[len(p.gens)-1]
	if some {
		for i, s := range g.states {
			if err := s.Fold(b, rows); err != nil {
				return fmt.Errorf("fold into view %q: %w", p.opt.Views[i].Name(), err)
			}
		}
	}
	g.counters.add(c)
	p.maxTime = max(p.maxTime, newest)
	if next > 0 {
		p.next.Store(next)
	}
	p.mirror.hotIDs, p.mirror.hotBytes = p.hot.n, p.hot.bytes()
	return nil
}
