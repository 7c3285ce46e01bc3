package server

import (
	"context"
	"net/http"
	"time"

	"go.temporal.io/sdk/client"

	"anabranch/cmd/anabranch/api"
	"anabranch/workflows"
)

func (s *Server) postCompact(r *http.Request, in api.StartCompact) (api.Run, error) {
	return s.startRun(r, func(ctx context.Context, c client.Client, p *pipeline) (workflows.Started, error) {
		return workflows.StartCompact(ctx, c, s.runs.queue, workflows.CompactInput{
			Pipeline: p.def.Name, DryRun: in.DryRun, Reason: in.Reason, By: in.By, Key: in.Key, Parallel: in.Parallel,
		}, time.Now())
	})
}
