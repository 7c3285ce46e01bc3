package speed

import (
	"sync/atomic"
	"time"
)

// Stats tells how folding is going.
type Stats struct {
	Pipeline   string
	Partitions []PartitionStats
}

// PartitionStats tells how one partition is going. The counts are of the
// events since the cut of barrier Since, each event in exactly one of them:
// with the manifest's counts below that cut they are the whole history.
type PartitionStats struct {
	Partition   int
	Next        uint64   // everything below this offset is folded
	Manifest    uint64   // version of the manifest it has adopted
	Since       uint64   // that manifest's barrier
	Generations []uint64 // the barriers that open the generations kept, in log order

	Counted    int64
	Duplicates int64            // same id, same content
	Conflicts  int64            // same id, other content
	Filtered   map[string]int64 // by the code of the rule

	MaxTime    int64 // newest event time folded, microseconds since 1970; math.MinInt64: none yet
	Groups     map[string]int
	StateBytes int64
	HotIDs     int // ids above the cut
	HotBytes   int64

	Lag        time.Duration // age of the oldest frame read and not folded yet; 0: none waits
	Snapshot   uint64        // next offset in the newest durable snapshot
	SnapshotAt time.Time     // zero: there is none

	// State is "folding", "rebuilding" (from the archive), "retrying" or
	// "stopped"; Err says why for the last two.
	State string
	Err   error
}

// totals count since the process started, for metrics.
type totals struct {
	counted, duplicates, conflicts   atomic.Int64
	filtered                         []atomic.Int64
	frames                           atomic.Int64
	snapshots, snapshotErrors, unfit atomic.Int64
}

func (t *totals) count(c *counters) {
	t.counted.Add(c.counted)
	t.duplicates.Add(c.duplicates)
	t.conflicts.Add(c.conflicts)
	for i, n := range c.filtered {
		t.filtered[i].Add(n)
	}
}

// Stats returns the state of every partition.
func (s *Speed) Stats() Stats {
	st := Stats{Pipeline: s.opt.Pipeline}
	for _, p := range s.part {
		st.Partitions = append(st.Partitions, p.stats())
	}
	return st
}

func (p *partition) stats() PartitionStats {
	p.mu.Lock()
	defer p.mu.Unlock()
	st := PartitionStats{
		Partition: p.n, Next: p.next.Load(), Manifest: p.mirror.manifest, Since: p.mirror.k, MaxTime: p.maxTime,
		HotIDs: p.mirror.hotIDs, HotBytes: p.mirror.hotBytes, Lag: p.lag(),
		Snapshot: p.mirror.snapshot, SnapshotAt: p.mirror.snapshotAt,
		Filtered: map[string]int64{}, Groups: map[string]int{}, State: "folding",
	}
	for _, f := range p.opt.Filters {
		st.Filtered[f.Code] = 0
	}
	from := find(p.gens, p.mirror.k)
	for i, g := range p.gens {
		st.Generations = append(st.Generations, g.k)
		for v, s := range g.states {
			st.Groups[p.opt.Views[v].Name()] += s.Len()
			st.StateBytes += s.Bytes()
		}
		if i < from {
			continue // in the grace period
		}
		st.Counted += g.counted
		st.Duplicates += g.duplicates
		st.Conflicts += g.conflicts
		for f, n := range g.filtered {
			st.Filtered[p.opt.Filters[f].Code] += n
		}
	}
	switch {
	case p.err != nil:
		st.State, st.Err = "stopped", p.err
	case p.trouble != nil:
		st.State, st.Err = "retrying", p.trouble
	case p.behind:
		st.State = "rebuilding"
	}
	return st
}

// lag returns the age of the frame in hand.
func (p *partition) lag() time.Duration {
	at := p.pending.Load()
	if at == 0 {
		return 0
	}
	return max(0, p.opt.Clock.Now().Sub(time.UnixMicro(at)))
}
