package archive

import (
	"errors"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"anabranch/fault"
)

// sealerMetrics are the numbers of all sealers of one pipeline.
type sealerMetrics struct {
	segments *prometheus.CounterVec
	rows     *prometheus.CounterVec
	bytes    *prometheus.CounterVec
	seconds  prometheus.Histogram
	failures *prometheus.CounterVec
	repeats  *prometheus.CounterVec
	missing  *prometheus.GaugeVec
	offset   *prometheus.GaugeVec
}

func newSealerMetrics(reg prometheus.Registerer, pipeline string) *sealerMetrics {
	labels := prometheus.Labels{"pipeline": pipeline}
	counter := func(name, help string, by ...string) *prometheus.CounterVec {
		return register(reg, prometheus.NewCounterVec(prometheus.CounterOpts{Name: "anabranch_archive_" + name, Help: help, ConstLabels: labels}, by))
	}
	gauge := func(name, help string, by ...string) *prometheus.GaugeVec {
		return register(reg, prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "anabranch_archive_" + name, Help: help, ConstLabels: labels}, by))
	}
	return &sealerMetrics{
		segments: counter("segments_total", "Segments sealed.", "partition"),
		rows:     counter("segment_rows_total", "Events in sealed segments, copies too.", "partition"),
		bytes:    counter("segment_bytes_total", "Bytes of sealed segments.", "partition"),
		failures: counter("seal_failures_total", "Interruptions of sealing, by kind.", "partition", "kind"),
		repeats:  counter("repeated_frames_total", "Frames that a producer appended again.", "partition"),
		missing:  gauge("missing_frames", "Frames that producers numbered and that are not in the log.", "partition"),
		offset:   gauge("sealed_offset", "Offset below which everything is sealed.", "partition"),
		seconds: register(reg, prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "anabranch_archive_seal_duration_seconds", Help: "Time to encode and put a segment.", ConstLabels: labels,
			Buckets: prometheus.ExponentialBuckets(0.005, 2, 14),
		})),
	}
}

// register registers c, or returns the one that an earlier part registered.
func register[C prometheus.Collector](reg prometheus.Registerer, c C) C {
	if reg == nil {
		return c
	}
	var there prometheus.AlreadyRegisteredError
	if err := reg.Register(c); errors.As(err, &there) {
		if same, ok := there.ExistingCollector.(C); ok {
			return same
		}
	}
	return c
}

func (m *sealerMetrics) sealed(partition int, s Segment, took time.Duration) {
	p := strconv.Itoa(partition)
	m.segments.WithLabelValues(p).Inc()
	m.rows.WithLabelValues(p).Add(float64(s.Rows))
	m.bytes.WithLabelValues(p).Add(float64(s.Size))
	m.offset.WithLabelValues(p).Set(float64(s.To))
	m.seconds.Observe(took.Seconds())
}

func (m *sealerMetrics) failed(partition int, err error) {
	m.failures.WithLabelValues(strconv.Itoa(partition), fault.KindOf(err).String()).Inc()
}

func (m *sealerMetrics) continuity(partition int, repeat bool, missing int64) {
	p := strconv.Itoa(partition)
	if repeat {
		m.repeats.WithLabelValues(p).Inc()
	}
	m.missing.WithLabelValues(p).Set(float64(missing))
}
