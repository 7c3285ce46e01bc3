package ingest

import (
	"github.com/prometheus/client_golang/prometheus"
)

// metrics of one gateway; every one of them carries the pipeline as a label.
type metrics struct {
	registerer prometheus.Registerer
	all        []prometheus.Collector

	accepted     prometheus.Counter
	deadLettered *prometheus.CounterVec // by code
	requests     *prometheus.CounterVec // by lane and result
	bytes        prometheus.Counter
	frames       prometheus.Counter
	frameBytes   prometheus.Counter
	failures     prometheus.Counter
	retries      prometheus.Counter
	append       prometheus.Histogram
	request      prometheus.Histogram
}

func newMetrics(r prometheus.Registerer, pipeline string, waiting, working *budget) (*metrics, error) {
	m := &metrics{}
	const space, room = "anabranch", "ingest"
	counter := func(name, help string) prometheus.Counter {
		c := prometheus.NewCounter(prometheus.CounterOpts{Namespace: space, Subsystem: room, Name: name, Help: help})
		m.all = append(m.all, c)
		return c
	}
	vector := func(name, help string, labels ...string) *prometheus.CounterVec {
		c := prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: space, Subsystem: room, Name: name, Help: help}, labels)
		m.all = append(m.all, c)
		return c
	}
	seconds := func(name, help string) prometheus.Histogram {
		h := prometheus.NewHistogram(prometheus.HistogramOpts{Namespace: space, Subsystem: room, Name: name, Help: help, Buckets: prometheus.ExponentialBuckets(0.0005, 2, 16)})
		m.all = append(m.all, h)
		return h
	}
	gauge := func(name, help string, b *budget) {
		m.all = append(m.all, prometheus.NewGaugeFunc(prometheus.GaugeOpts{Namespace: space, Subsystem: room, Name: name, Help: help},
			func() float64 { return float64(b.inUse()) }))
	}
	m.accepted = counter("events_accepted_total", "Events durable in the log.")
	m.deadLettered = vector("events_dead_lettered_total", "Events stored as dead letters.", "code")
	m.requests = vector("requests_total", "Requests, by lane and result: ok, or the code of the error.", "lane", "result")
	m.bytes = counter("body_bytes_total", "Bytes of bodies read, unpacked.")
	m.frames = counter("frames_total", "Frames appended.")
	m.frameBytes = counter("frame_bytes_total", "Bytes of the frames appended.")
	m.failures = counter("append_failures_total", "Frames given up: the log did not acknowledge them.")
	m.retries = counter("append_retries_total", "Appends repeated after a passing failure.")
	m.append = seconds("append_seconds", "Time to append one frame durably, of those that succeeded.")
	m.request = seconds("request_seconds", "Time from the first byte of a request to its answer, of those that succeeded.")
	gauge("waiting_bytes", "Bytes of rows waiting for the log.", waiting)
	gauge("working_bytes", "Bytes set aside for requests in progress.", working)
	if r == nil {
		return m, nil
	}
	m.registerer = prometheus.WrapRegistererWith(prometheus.Labels{"pipeline": pipeline}, r)
	for i, c := range m.all {
		if err := m.registerer.Register(c); err != nil {
			m.all = m.all[:i]
			m.close()
			return nil, err
		}
	}
	return m, nil
}

// close takes the metrics back, so that the pipeline can be opened again.
func (m *metrics) close() {
	if m.registerer == nil {
		return
	}
	for _, c := range m.all {
		m.registerer.Unregister(c)
	}
	m.registerer = nil
}
