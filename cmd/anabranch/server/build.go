package server

import (
	"context"
	"fmt"
	"time"

	"anabranch/cmd/anabranch/api"
	"anabranch/fault"
	"anabranch/workflows"
)

// startBuild starts what computes a definition that was just put in force: a
// backfill, or a canary. Nil: there is nothing to compute.
func (s *Server) startBuild(ctx context.Context, in api.Apply, planned api.Plan) (*api.Run, error) {
	c, err := s.temporal()
	if err != nil {
		return nil, err
	}
	p, err := s.pipeline(planned.Pipeline)
	if err != nil {
		return nil, err
	}
	names, err := p.unbuilt(ctx)
	if err != nil || len(names) == 0 {
		return nil, err
	}
	if in.Canary != nil {
		return nil, fault.New(fault.Bug, "no canary yet")
	}
	started, err := workflows.StartBackfill(ctx, c, s.runs.queue, workflows.BackfillInput{
		Pipeline: planned.Pipeline, Key: fmt.Sprintf("apply-%d-%.8s", p.entry.N, planned.To), Build: true, Reason: in.Reason, By: in.By,
	}, time.Now())
	if err != nil {
		return nil, err
	}
	run, err := s.describeRun(ctx, c, started.ID)
	return &run, err
}
