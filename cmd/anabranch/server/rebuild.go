package server

import (
	"context"
	"net/http"
	"time"

	"go.temporal.io/sdk/client"

	"anabranch/activities"
	"anabranch/archive"
	"anabranch/cmd/anabranch/api"
	"anabranch/fault"
	"anabranch/workflows"
)

func (s *Server) postRebuild(r *http.Request, in api.StartRebuild) (api.Run, error) {
	return s.startRun(r, func(ctx context.Context, c client.Client, p *pipeline) (workflows.Started, error) {
		return workflows.StartRebuildSpeed(ctx, c, s.runs.queue, workflows.RebuildSpeedInput{Pipeline: p.def.Name, Reason: in.Reason, By: in.By, Key: in.Key}, time.Now())
	})
}

// rebuildSpeed builds the speed layer of a pipeline anew and compares what
// comes out: every view with its own SELECT over the raw events, or, where some
// of these have expired, the accounts.
func (s *Server) rebuildSpeed(ctx context.Context, name string) (activities.SpeedRebuilt, error) {
	began := time.Now()
	p, err := s.find(name)
	if err != nil {
		return activities.SpeedRebuilt{}, err
	}
	if p.speed == nil {
		return activities.SpeedRebuilt{}, fault.New(fault.Transient, "this worker does not fold the stream of %s; one with the role speed does", name)
	}
	from, to, err := p.speed.Rebuild(ctx)
	if err != nil {
		return activities.SpeedRebuilt{}, err
	}
	out := activities.SpeedRebuilt{From: from.String(), To: to.String(), Equal: true, Checked: "every view was compared with its own SELECT over the raw events", Views: map[string]int64{}}
	v, err := s.verify(ctx, p)
	switch {
	case err == nil:
		s.alertDrift(v)
		out.Equal, out.At, out.Events = v.Equal, v.At, v.Distinct
		for _, view := range v.Views {
			out.Views[view.View] = view.Differ
		}
	case fault.CodeOf(err) == archive.RawGone:
		l, err := p.ledger(ctx)
		if err != nil {
			return activities.SpeedRebuilt{}, err
		}
		alertImbalance(s.alerts, l)
		out.Equal, out.At, out.Events = l.Balanced, l.At, l.Received
		out.Checked = "raw events have expired, so that views cannot be compared; the ledger was"
	default:
		return activities.SpeedRebuilt{}, err
	}
	out.Seconds = time.Since(began).Seconds()
	return out, nil
}
