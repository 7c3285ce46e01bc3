package speed

import (
	"fmt"
	"strconv"

	"github.com/prometheus/client_golang/prometheus"

	"anabranch/fault"
)

// collector reads the metrics off Stats when it is scraped, so that folding
// pays for atomic counters once a frame and for nothing else.
type collector struct {
	speed *Speed

	lag, next, hot, hotBytes, stateBytes, generations, groups, maxTime, snapshotNext, snapshotTime, stopped *prometheus.Desc
	events, frames, snapshots, snapshotErrors, unfit                                                        *prometheus.Desc
}

// register adds the metrics of s to r.
func register(r prometheus.Registerer, s *Speed) error {
	constant := prometheus.Labels{"pipeline": s.opt.Pipeline}
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc("anabranch_speed_"+name, help, append([]string{"partition"}, labels...), constant)
	}
	c := &collector{
		speed:          s,
		lag:            desc("fold_lag_seconds", "Age of the oldest frame read and not folded yet; 0 when none waits."),
		next:           desc("next_offset", "Everything in the log below this offset is folded."),
		hot:            desc("hot_ids", "Event ids above the cut that are held in memory."),
		hotBytes:       desc("hot_bytes", "Memory of the event ids above the cut."),
		stateBytes:     desc("state_bytes", "Memory of the states of all generations."),
		generations:    desc("generations", "Generations kept: those since the cut and those in their grace period."),
		groups:         desc("groups", "Groups in the generations kept, by view.", "view"),
		maxTime:        desc("event_time_seconds", "Newest event time folded, seconds since 1970."),
		snapshotNext:   desc("snapshot_next_offset", "Next offset in the newest durable snapshot."),
		snapshotTime:   desc("snapshot_time_seconds", "When the newest durable snapshot was taken, seconds since 1970."),
		stopped:        desc("stopped", "1 when the partition has stopped for good: see the log for its error."),
		events:         desc("events_total", "Events by what became of them: counted, duplicate, conflict, or filtered (with the rule's code).", "outcome", "code"),
		frames:         desc("frames_total", "Records of the log folded, barriers included."),
		snapshots:      desc("snapshots_total", "Snapshots made durable."),
		snapshotErrors: desc("snapshot_errors_total", "Snapshots, or one of their two copies, that could not be written."),
		unfit:          desc("snapshots_unfit_total", "Snapshots found at the start that were damaged or of no use."),
	}
	if err := r.Register(c); err != nil {
		return fault.Wrap(fault.Invalid, fmt.Errorf("metrics of speed, pipeline %q: %w", s.opt.Pipeline, err))
	}
	return nil
}

// Describe implements prometheus.Collector.
func (c *collector) Describe(out chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{c.lag, c.next, c.hot, c.hotBytes, c.stateBytes, c.generations, c.groups, c.maxTime,
		c.snapshotNext, c.snapshotTime, c.stopped, c.events, c.frames, c.snapshots, c.snapshotErrors, c.unfit} {
		out <- d
	}
}

// Collect implements prometheus.Collector.
func (c *collector) Collect(out chan<- prometheus.Metric) {
	for _, p := range c.speed.part {
		st, t := p.stats(), &p.total
		n := strconv.Itoa(p.n)
		gauge := func(d *prometheus.Desc, v float64, labels ...string) {
			out <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, append([]string{n}, labels...)...)
		}
		counter := func(d *prometheus.Desc, v int64, labels ...string) {
			out <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(v), append([]string{n}, labels...)...)
		}
		gauge(c.lag, st.Lag.Seconds())
		gauge(c.next, float64(st.Next))
		gauge(c.hot, float64(st.HotIDs))
		gauge(c.hotBytes, float64(st.HotBytes))
		gauge(c.stateBytes, float64(st.StateBytes))
		gauge(c.generations, float64(len(st.Generations)))
		for view, groups := range st.Groups {
			gauge(c.groups, float64(groups), view)
		}
		if st.MaxTime != noTime {
			gauge(c.maxTime, float64(st.MaxTime)/1e6)
		}
		if !st.SnapshotAt.IsZero() {
			gauge(c.snapshotNext, float64(st.Snapshot))
			gauge(c.snapshotTime, float64(st.SnapshotAt.UnixMicro())/1e6)
		}
		stopped := 0.0
		if st.State == "stopped" {
			stopped = 1
		}
		gauge(c.stopped, stopped)
		counter(c.events, t.counted.Load(), "counted", "")
		counter(c.events, t.duplicates.Load(), "duplicate", "")
		counter(c.events, t.conflicts.Load(), "conflict", "")
		for i, f := range c.speed.opt.Filters {
			counter(c.events, t.filtered[i].Load(), "filtered", f.Code)
		}
		counter(c.frames, t.frames.Load())
		counter(c.snapshots, t.snapshots.Load())
		counter(c.snapshotErrors, t.snapshotErrors.Load())
		counter(c.unfit, t.unfit.Load())
	}
}
