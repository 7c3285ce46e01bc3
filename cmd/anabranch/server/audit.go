package server

import (
	"context"
	"log/slog"
	"math"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"anabranch/internal/alert"
)

const (
	auditEvery = time.Minute
	// imbalanceAge is how old the figure of a scrape may be.
	imbalanceAge = 5 * time.Second
	// imbalanceWait bounds how long a scrape waits for a new one.
	imbalanceWait = 2 * time.Second
)

// imbalance returns the gauge of the ledger: NaN while it cannot be computed,
// because speed is catching up for example.
func (p *pipeline) imbalance() prometheus.Collector {
	var mu sync.Mutex // guards at and n
	var at time.Time
	n := math.NaN()
	return prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "anabranch_ledger_imbalance", ConstLabels: prometheus.Labels{"pipeline": p.def.Name},
		Help: "Events received less those whose fate is known: 0, or events were lost or counted twice.",
	}, func() float64 {
		mu.Lock()
		defer mu.Unlock()
		if time.Since(at) < imbalanceAge {
			return n
		}
		ctx, cancel := context.WithTimeout(context.Background(), imbalanceWait)
		defer cancel()
		n = math.NaN()
		if l, err := p.ledger(ctx); err == nil {
			n = float64(l.Imbalance)
		}
		at = time.Now()
		return n
	})
}

// audit computes the ledger again and again and says when it does not add up.
func (p *pipeline) audit(ctx context.Context, logger *slog.Logger, alerts *alert.Alerts, every time.Duration) {
	failing := trouble{logger: logger, what: "computing the ledger"}
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(every):
		}
		l, err := p.ledgerSoon(ctx, every)
		if ctx.Err() != nil {
			return
		}
		failing.see(err)
		if err != nil {
			continue
		}
		alertImbalance(alerts, l)
		if !l.Balanced {
			logger.Error("the ledger does not add up: see `anabranch ledger --bisect` and docs/runbook.md",
				"imbalance", l.Imbalance, "received", l.Received, "counted", l.Counted, "duplicate", l.Duplicate, "at", l.At)
		}
	}
}
