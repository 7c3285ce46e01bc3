package server

import (
	"context"
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"anabranch/cmd/anabranch/api"
	"anabranch/fault"
	"anabranch/internal/alert"
	"anabranch/internal/outbox"
)

// startAlerts opens the receivers that the configuration names; without any
// nobody is called and s.alerts stays nil.
func (s *Server) startAlerts() error {
	c := s.config
	open := func(kind string, names []string) (boxes []*outbox.Outbox, err error) {
		for _, name := range names {
			sink, err := outbox.Parse(name, c.Logger, os.Getenv)
			if err != nil {
				return nil, fmt.Errorf("--alert: %w", err)
			}
			b := outbox.New(sink, outbox.Options{Log: c.Logger, Dir: s.outboxDir(kind, name)})
			s.close = append(s.close, b.Stop)
			boxes = append(boxes, b)
		}
		return boxes, nil
	}
	hooks, err := open("alert", c.Alert)
	if err != nil {
		return err
	}
	escalation, err := open("escalate", c.AlertEscalate)
	if err != nil {
		return err
	}
	if c.AlertAfter < 0 {
		return fault.New(fault.Invalid, "--alert-after %d: want a number above zero", c.AlertAfter)
	}
	if len(hooks)+len(escalation) > 0 {
		s.alerts = alert.New(alert.Options{Hooks: hooks, Escalation: escalation, After: c.AlertAfter, Log: c.Logger})
	}
	return nil
}

// outboxDir is where messages to a receiver wait. The receiver is not in its
// name, as it may hold a secret.
func (s *Server) outboxDir(kind, receiver string) string {
	sum := sha256.Sum256([]byte(receiver))
	return filepath.Join(s.config.Dir, "outbox", fmt.Sprintf("%s-%x", kind, sum[:8]))
}

// lookEvery is how often what fails is looked over for damage.
const lookEvery = 10 * time.Second

// watchDamage calls people for damage that a part of a pipeline has met: unlike
// other trouble it does not go away by itself.
func (s *Server) watchDamage(ctx context.Context) {
	open := map[alert.Key]bool{}
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(lookEvery):
		}
		seen := map[alert.Key]bool{}
		s.eachProblem(func(pipeline, part string, _ *time.Time, err error) {
			if !fault.Is(err, fault.Corrupt) {
				return
			}
			key := alert.Key{Name: alert.Damage, Pipeline: pipeline, Subject: part}
			seen[key], open[key] = true, true
			s.alerts.Raise(alert.Alert{Key: key, Summary: err.Error(), Todo: "see docs/runbook.md, Damaged files"})
		})
		for key := range open {
			if !seen[key] {
				s.alerts.Resolve(key, "it reads well again")
				delete(open, key)
			}
		}
	}
}

// alertDrift calls people when a view is not what its SELECT says.
func (s *Server) alertDrift(v api.Verification) {
	for _, view := range v.Views {
		key := alert.Key{Name: alert.Drift, Pipeline: v.Pipeline, Subject: view.View}
		if view.Differ == 0 {
			s.alerts.Resolve(key, "it is again what its SELECT says")
			continue
		}
		s.alerts.Raise(alert.Alert{Key: key,
			Summary: fmt.Sprintf("%d of %d rows differ from what its SELECT gives over the raw events at %s", view.Differ, view.Rows, v.At),
			Todo:    "see `anabranch verify " + v.Pipeline + "`"})
	}
}

// alertImbalance calls people when the ledger does not add up.
func alertImbalance(a *alert.Alerts, l api.Ledger) {
	key := alert.Key{Name: alert.Imbalance, Pipeline: l.Pipeline}
	if l.Balanced {
		a.Resolve(key, "it adds up again")
		return
	}
	a.Raise(alert.Alert{Key: key,
		Summary: fmt.Sprintf("%d of %d received events are unaccounted for at %s", l.Imbalance, l.Received, l.At),
		Todo:    "see `anabranch ledger " + l.Pipeline + " --bisect` and docs/runbook.md, Ledger imbalance"})
}
