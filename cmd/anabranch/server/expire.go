package server

import (
	"context"
	"net/http"
	"time"

	"go.temporal.io/sdk/client"

	"anabranch/cmd/anabranch/api"
	"anabranch/fault"
	"anabranch/workflows"
)

func (s *Server) postExpire(r *http.Request, in api.StartExpire) (api.Run, error) {
	return s.startRun(r, func(ctx context.Context, c client.Client, p *pipeline) (workflows.Started, error) {
		k := p.def.Retention
		if k.Raw == 0 && k.Versions == 0 && k.Comparisons == 0 {
			return workflows.Started{}, fault.WithHint(fault.New(fault.Invalid, "pipeline %s keeps everything", p.def.Name), "give its pipeline.yaml a batch.retention and apply it")
		}
		return workflows.StartExpire(ctx, c, s.runs.queue, workflows.ExpireInput{
			Pipeline: p.def.Name, DryRun: in.DryRun, Reason: in.Reason, By: in.By, Key: in.Key,
		}, time.Now())
	})
}
