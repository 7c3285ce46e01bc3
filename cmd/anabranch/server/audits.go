package server

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"go.temporal.io/sdk/client"

	"anabranch/activities"
	"anabranch/batch"
	"anabranch/cmd/anabranch/api"
	"anabranch/fault"
	"anabranch/internal/alert"
	"anabranch/schemas"
	"anabranch/view"
	"anabranch/workflows"
)

func (s *Server) postAudit(r *http.Request, in api.StartAudit) (api.Run, error) {
	return s.startRun(r, func(ctx context.Context, c client.Client, p *pipeline) (workflows.Started, error) {
		return workflows.StartAudit(ctx, c, s.runs.queue, workflows.AuditInput{
			Pipeline: p.def.Name, Days: in.Days, From: in.From, To: in.To, Seed: in.Seed, Reason: in.Reason, By: in.By, Key: in.Key,
		}, time.Now())
	})
}

// drifts remembers which alerts audits have opened: the next audit of the same
// place closes them.
type drifts struct {
	mu   sync.Mutex // guards open
	open map[alert.Key]batch.Drift
}

// audited calls people for what a unit of an audit has found.
func (s *Server) audited(f activities.AuditFound) {
	s.drifts.mu.Lock()
	defer s.drifts.mu.Unlock()
	key := func(d batch.Drift) alert.Key {
		return alert.Key{Name: alert.Drift, Pipeline: f.Pipeline, Subject: strings.TrimPrefix(d.View+", "+d.Where, ", ")}
	}
	cells := map[alert.Key][]batch.Drift{}
	for _, d := range f.Found.Drifts {
		cells[key(d)] = append(cells[key(d)], d)
	}
	for k, of := range cells {
		if s.drifts.open == nil {
			s.drifts.open = map[alert.Key]batch.Drift{}
		}
		s.drifts.open[k] = of[0]
		text := make([]string, len(of))
		for i, d := range of {
			text[i] = d.String()
		}
		s.alerts.Raise(alert.Alert{Key: k,
			Summary: fmt.Sprintf("version %d is not what the raw events give: %s", f.Version, strings.Join(text, "; ")),
			Todo:    "see docs/runbook.md, An audit found a drift"})
	}
	if f.Found.Drifted > int64(len(f.Found.Drifts)) {
		return // not all of them are named
	}
	for k, d := range s.drifts.open {
		if k.Pipeline == f.Pipeline && cells[k] == nil && covers(f.Unit, d.Where) {
			s.alerts.Resolve(k, "it is again what the raw events give")
			delete(s.drifts.open, k)
		}
	}
}

// covers reports whether a unit has compared a place: a day, a month, or all.
func covers(u batch.AuditUnit, where string) bool {
	_, name, _ := strings.Cut(where, " of ")
	return name == "all" && u.Whole || slices.ContainsFunc(u.Days, func(day int32) bool {
		return strings.HasPrefix(time.Unix(int64(day)*24*60*60, 0).UTC().Format(time.DateOnly), name)
	})
}

// filtersThen returns what compiles the filter rules of definitions in history;
// nil when they were always the same.
func (c *compiled) filtersThen(history []entry) func(context.Context, string) ([]view.NamedPredicate, error) {
	text := func(def *schemas.Definition) string {
		var b strings.Builder
		for _, r := range def.Rules {
			if r.Action == schemas.ActionFilter {
				fmt.Fprintf(&b, "%q %q\n", r.Code, r.SQL)
			}
		}
		return b.String()
	}
	now := text(c.def)
	others := map[string]*schemas.Definition{} // by version: those with other rules
	for _, e := range history {
		def, err := definition(e.Files)
		if err != nil {
			continue // nobody could run it
		}
		if text(def) != now {
			others[def.Version()] = def
		}
	}
	if len(others) == 0 {
		return nil
	}
	var mu sync.Mutex // guards known
	known := map[string][]view.NamedPredicate{}
	return func(ctx context.Context, version string) ([]view.NamedPredicate, error) {
		def := others[version]
		if def == nil {
			return c.filters, nil
		}
		mu.Lock()
		defer mu.Unlock()
		if filters, ok := known[version]; ok {
			return filters, nil
		}
		compiler, err := view.NewCompiler(ctx)
		if err != nil {
			return nil, err
		}
		defer compiler.Close()
		var filters []view.NamedPredicate
		for _, r := range def.Rules {
			if r.Action != schemas.ActionFilter {
				continue
			}
			p, err := compiler.Predicate(ctx, view.Source{Name: r.Code, SQL: r.SQL, File: r.File}, c.def.Schema.Shape())
			if err != nil {
				return nil, fault.New(fault.Invalid, "rule %s of that time does not go with the schema of today: %w", r.Code, err)
			}
			filters = append(filters, view.NamedPredicate{Code: r.Code, Predicate: p})
		}
		known[version] = filters
		return filters, nil
	}
}
