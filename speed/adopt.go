package speed

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"anabranch/archive"
	"anabranch/fault"
	"anabranch/internal/planted"
)

// cutOf returns where m's cut lies in this partition.
func (p *partition) cutOf(m *archive.Manifest) uint64 {
	if p.n < len(m.Cut) {
		return m.Cut[p.n]
	}
	return 0
}

// runsOf returns m's id runs of this partition.
func (p *partition) runsOf(m *archive.Manifest) []archive.Run {
	if p.n < len(m.Runs) {
		return m.Runs[p.n]
	}
	return nil
}

// adopt takes on the noticed manifest once its cut is passed: its runs answer
// for the ids below the cut, which hot forgets, and the generations below it
// will be forgotten after the grace period. Before the cut is passed the runs
// would hold ids of events that are still to be folded for the first time.
//
// When the runs cannot be opened the old ones stay, which are right as well
// (what they lack is still in hot), and adopt is tried again later.
func (p *partition) adopt(ctx context.Context) {
	m := p.noticed.Load()
	if m == nil || m.Version <= p.known.Version || p.next.Load() < p.cutOf(m) && !planted.On(planted.AdoptedEarly) || p.retry != nil {
		return
	}
	if err := p.take(ctx, m); err != nil {
		p.log.Warn("manifest not adopted yet", "manifest", m.Version, "error", err)
		p.retry = p.opt.Clock.After(backoff(6))
		return
	}
	p.log.Info("manifest adopted", "manifest", m.Version, "barrier", m.K, "cut", p.cutOf(m), "hot_ids", p.hot.n)
	p.progress.bump()
}

// take makes m the known manifest; the cut has been passed.
func (p *partition) take(ctx context.Context, m *archive.Manifest) error {
	p.mu.Lock()
	found := find(p.gens, m.K) >= 0
	p.mu.Unlock()
	if !found {
		return fault.New(fault.Bug, "manifest %d has its cut at barrier %d, which this partition passed without a generation", m.Version, m.K)
	}
	if err := p.openRuns(ctx, m); err != nil {
		return err
	}
	p.hot.forget(p.cutOf(m))
	p.changed = true
	p.due = append(p.due, due{m.K, p.opt.Clock.Now().Add(max(p.opt.Grace, 0))})
	p.setKnown(m)
	p.forget()
	return nil
}

// openRuns opens the runs of m in place of those of the known manifest.
func (p *partition) openRuns(ctx context.Context, m *archive.Manifest) error {
	list := p.runsOf(m)
	if p.known != nil && p.runs != nil && slices.Equal(list, p.runsOf(p.known)) {
		return nil // a backfill, for one, changes no ids
	}
	var opened *archive.Runs
	if len(list) > 0 {
		var err error
		if opened, err = p.opt.Archive.OpenRuns(ctx, list); err != nil {
			err = fmt.Errorf("open the id runs of manifest %d: %w", m.Version, err)
			if fault.Is(err, fault.NotFound) {
				return errors.Join(errRunsGone, err)
			}
			return err
		}
	}
	p.closeRuns()
	p.runs = opened
	return nil
}

func (p *partition) closeRuns() {
	if p.runs != nil {
		p.runs.Close()
		p.runs = nil
	}
}

func (p *partition) setKnown(m *archive.Manifest) {
	p.known = m
	p.mu.Lock()
	defer p.mu.Unlock()
	p.mirror.manifest, p.mirror.k = m.Version, m.K
	p.mirror.hotIDs, p.mirror.hotBytes = p.hot.n, p.hot.bytes()
}

// forget drops the generations whose grace period is over.
func (p *partition) forget() {
	now := p.opt.Clock.Now()
	for len(p.due) > 0 && (!p.due[0].at.After(now) || planted.On(planted.DroppedEarly)) {
		p.mu.Lock()
		if i := find(p.gens, p.due[0].k); i > 0 {
			p.gens = slices.Clone(p.gens[i:])
		}
		p.mu.Unlock()
		p.due = p.due[1:]
		p.changed = true
		p.forgetAt = nil
	}
	if len(p.due) > 0 && p.forgetAt == nil {
		p.forgetAt = p.opt.Clock.After(p.due[0].at.Sub(now))
	}
}
