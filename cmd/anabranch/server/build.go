package server

import (
	"context"
	"fmt"
	"time"

	"anabranch/cmd/anabranch/api"
	"anabranch/schemas"
	"anabranch/workflows"
)

// startBuild starts what computes a definition that was just put in force: a
// backfill, or a canary. Nil: there is nothing to compute.
func (s *Server) startBuild(ctx context.Context, in api.Apply, planned api.Plan) (*api.Run, error) {
	c, err := s.temporal()
	if err != nil {
		return nil, err
	}
	p, err := s.find(planned.Pipeline)
	if err != nil {
		return nil, err
	}
	names, err := p.unbuilt(ctx)
	if err != nil || len(names) == 0 {
		return nil, err
	}
	key := fmt.Sprintf("apply-%d-%.8s", p.entry.N, planned.To)
	if in.Canary != nil {
		var held []string
		for _, name := range names {
			if p.entry.Held[name] != "" {
				held = append(held, name)
			}
		}
		bound := p.def.Canary.Within
		if in.Within != "" {
			bound, _ = schemas.ReadShare(in.Within) // it was read when the plan was made
		}
		started, err := s.startCanary(ctx, p, workflows.CanaryInput{Share: *in.Canary, Within: bound, Reason: in.Reason, By: in.By, Key: key}, held)
		if err != nil {
			return nil, err
		}
		run, err := s.describeRun(ctx, c, started.ID)
		return &run, err
	}
	started, err := workflows.StartBackfill(ctx, c, s.runs.queue, workflows.BackfillInput{
		Pipeline: planned.Pipeline, Key: key, Build: true, Definition: planned.To, Reason: in.Reason, By: in.By,
	}, time.Now())
	if err != nil {
		return nil, err
	}
	run, err := s.describeRun(ctx, c, started.ID)
	return &run, err
}
