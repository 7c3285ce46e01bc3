package server

import (
	"context"
	"net/http"
	"time"

	"go.temporal.io/sdk/client"

	"anabranch/cmd/anabranch/api"
)

// maxWait is how long a request may wait for a run: proxies cut off what is
// silent for longer.
const maxWait = 5 * time.Minute

// awaitRun tells how far a run is; with ?wait=30s once it has ended or waits
// for a person, or else when that time is over.
func (s *Server) awaitRun(r *http.Request, c client.Client, id string) (api.Run, error) {
	if wait.Of(r) == "" {
		return s.describeRun(r.Context(), c, id)
	}
	ctx, cancel := context.WithTimeout(r.Context(), wait.Duration(r))
	over, ended := ctx.Done(), make(chan struct{})
	go func() {
		defer close(ended)
		_ = c.GetWorkflow(ctx, id, "").Get(ctx, nil) // how it ended is asked below
	}()
	defer func() { cancel(); <-ended }()
	for end := ended; ; {
		out, err := s.describeRun(r.Context(), c, id)
		if err != nil || out.State != "running" || out.Progress != nil && out.Progress.Waits != "" {
			return out, err
		}
		select {
		case <-over:
			return out, nil
		case <-end:
			end = nil
		case <-time.After(time.Second):
		}
	}
}
