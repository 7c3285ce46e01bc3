package server

import (
	"context"
	"encoding/json"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"anabranch/internal/clock"
	"anabranch/internal/pace"
	"anabranch/internal/processors"
)

// paceEvery is how often the share of batches is decided anew.
const paceEvery = 100 * time.Millisecond

// delayTopic is about how long events take; every process that takes or folds
// events tells it, every worker hears it.
const delayTopic = "delays"

// pacing keeps the batches of this process out of the way of events, here and
// in other processes.
type pacing struct {
	id    string      // of this process
	pacer *pace.Pacer // nil: no batches here

	mu      sync.Mutex             // guards what follows
	meters  map[string]*pace.Meter // of this process
	heard   pace.Load              // of others, since the last step
	control *pace.Controller
	now     pace.Load // what was heard in the last seconds
}

// delays is what one process tells.
type delays struct {
	From   string                `json:"from"`
	Delays map[string]*pace.Hist `json:"delays"`
	Lag    time.Duration         `json:"lag"`
}

func newPacing(c Config, id string) *pacing {
	p := &pacing{id: id, meters: map[string]*pace.Meter{}}
	if c.has(RoleWorker) {
		p.pacer = pace.NewPacer(processors.Count(), clock.Wall)
		p.control = pace.NewController(pace.Goal{Least: c.BatchLeast, Slower: c.BatchSlower})
	}
	return p
}

// meter returns what counts the delays of one kind of one pipeline. It stays
// when the pipeline is opened anew.
func (p *pacing) meter(kind, pipeline string) *pace.Meter {
	if p == nil {
		return nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	name := kind + " " + pipeline
	if p.meters[name] == nil {
		p.meters[name] = &pace.Meter{}
	}
	return p.meters[name]
}

// batches returns what holds back the batches of this process, or nil.
func (p *pacing) batches() *pace.Pacer {
	if p == nil {
		return nil
	}
	return p.pacer
}

// told takes in what another process tells.
func (p *pacing) told(text []byte) {
	var d delays
	if json.Unmarshal(text, &d) != nil || d.From == p.id {
		return // of another version; or what is known already
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for name, h := range d.Delays {
		if h != nil {
			merge(&p.heard, name, h)
		}
	}
	p.heard.Lag = max(p.heard.Lag, d.Lag)
}

func merge(l *pace.Load, name string, h *pace.Hist) {
	if l.Delays == nil {
		l.Delays = map[string]*pace.Hist{}
	}
	if l.Delays[name] == nil {
		l.Delays[name] = &pace.Hist{}
	}
	l.Delays[name].Merge(h)
}

// step decides what batches may have until the next step, and returns what is
// to be told to others: nothing where nothing happened.
func (p *pacing) step(now time.Time, lag time.Duration) (tell []byte) {
	p.mu.Lock()
	defer p.mu.Unlock()
	own := delays{From: p.id, Delays: map[string]*pace.Hist{}, Lag: lag}
	for name, m := range p.meters {
		h := &pace.Hist{}
		if m.Take(h); h.N() > 0 {
			own.Delays[name] = h
		}
	}
	if len(own.Delays) > 0 || lag > 0 {
		tell, _ = json.Marshal(own) // numbers and names
	}
	all := p.heard
	p.heard = pace.Load{}
	for name, h := range own.Delays {
		merge(&all, name, h)
	}
	all.Lag = max(all.Lag, lag)
	for _, h := range p.now.Delays {
		h.Scale(1 - paceEvery.Seconds()/10)
	}
	for name, h := range all.Delays {
		merge(&p.now, name, h)
	}
	if p.pacer != nil {
		p.pacer.Set(p.control.Step(now, p.pacer.Stats().Busy, all))
	}
	return tell
}

// pace runs the loop until ctx ends.
func (s *Server) pace(ctx context.Context) {
	p := s.opened.pacing
	telling := trouble{logger: s.config.Logger, what: "telling workers how long events take"}
	if p.pacer != nil {
		stop, err := s.log.Hear(delayTopic, p.told)
		if err != nil {
			s.config.Logger.Warn("batches do not hear how events in other processes fare", "error", err)
		} else {
			defer stop()
		}
	}
	tick := time.NewTicker(paceEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-tick.C:
			_, lag := s.speedLoad()
			if tell := p.step(now, lag); tell != nil {
				telling.see(s.log.Tell(delayTopic, tell))
			}
		}
	}
}

var (
	descDelay  = prometheus.NewDesc("anabranch_pace_delay_seconds", "99th percentile of the last ten seconds or so of what events take: from a frame's first row until it is in the log (append) in the views (visible), or of that what came after it was read (fold).", []string{"signal"}, nil)
	descNormal = prometheus.NewDesc("anabranch_pace_normal_seconds", "The same while no batch is at work, as a worker has learned it.", []string{"signal"}, nil)
	descShare  = prometheus.NewDesc("anabranch_pace_share", "Share of its processors that a worker gives to batches: 1 is full speed, 0 a look at what is normal.", nil, nil)
	descWorked = prometheus.NewDesc("anabranch_pace_worked_seconds_total", "Time that steps of batches have worked.", nil, nil)
	descWaited = prometheus.NewDesc("anabranch_pace_waited_seconds_total", "Time that steps of batches have waited, because events come first.", nil, nil)
)

// Describe implements prometheus.Collector.
func (p *pacing) Describe(out chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{descDelay, descNormal, descShare, descWorked, descWaited} {
		out <- d
	}
}

// Collect implements prometheus.Collector.
func (p *pacing) Collect(out chan<- prometheus.Metric) {
	p.mu.Lock()
	defer p.mu.Unlock()
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		out <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	for name, h := range p.now.Delays {
		if h.N() >= 1 {
			gauge(descDelay, h.Quantile(0.99).Seconds(), name)
		}
	}
	if p.pacer == nil {
		return
	}
	for name, d := range p.control.Normal() {
		gauge(descNormal, d.Seconds(), name)
	}
	st := p.pacer.Stats()
	gauge(descShare, st.Share)
	out <- prometheus.MustNewConstMetric(descWorked, prometheus.CounterValue, st.Worked.Seconds())
	out <- prometheus.MustNewConstMetric(descWaited, prometheus.CounterValue, st.Waited.Seconds())
}
