package batch

import (
	"github.com/prometheus/client_golang/prometheus"

	"anabranch/fault"
	"anabranch/internal/clock"
)

// metrics may be nil: then nothing is counted.
type metrics struct {
	seconds *prometheus.HistogramVec
	events  *prometheus.CounterVec
}

func newMetrics(to prometheus.Registerer, pipeline string) (*metrics, error) {
	if to == nil {
		return nil, nil
	}
	label := prometheus.Labels{"pipeline": pipeline}
	m := &metrics{
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "anabranch_batch_step_seconds", Help: "Duration of one call of a step, also of those that fail.", ConstLabels: label,
			Buckets: prometheus.ExponentialBuckets(0.01, 4, 9),
		}, []string{"step"}),
		events: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "anabranch_batch_events_total", Help: "Events compacted by what became of them: counted, duplicate, conflict, or filtered (with the rule's code). A run that is planned again counts them again.",
			ConstLabels: label,
		}, []string{"outcome", "code"}),
	}
	for _, c := range []prometheus.Collector{m.seconds, m.events} {
		if err := to.Register(c); err != nil {
			return nil, fault.New(fault.Invalid, "batch of pipeline %q: register metrics: %w", pipeline, err)
		}
	}
	return m, nil
}

// step times a step until the returned function is called.
func (m *metrics) step(name string, c clock.Clock) func() {
	if m == nil {
		return func() {}
	}
	begin := c.Now()
	return func() { m.seconds.WithLabelValues(name).Observe(c.Now().Sub(begin).Seconds()) }
}

func (m *metrics) rows(c *compacted) {
	if m == nil {
		return
	}
	m.events.WithLabelValues("counted", "").Add(float64(c.Counted))
	m.events.WithLabelValues("duplicate", "").Add(float64(c.Duplicates))
	m.events.WithLabelValues("conflict", "").Add(float64(c.Conflicts))
	for code, n := range c.Filtered {
		m.events.WithLabelValues("filtered", code).Add(float64(n))
	}
}
