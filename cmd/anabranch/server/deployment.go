package server

import (
	"context"
	"net/http"

	"go.temporal.io/sdk/client"

	"anabranch/cmd/anabranch/api"
	"anabranch/fault"
	"anabranch/worker"
)

func (s *Server) deploymentRoutes(mux *http.ServeMux) {
	list := func(r *http.Request, c client.Client) (any, error) {
		return worker.Deployments(r.Context(), c, r.PathValue("name"))
	}
	mux.HandleFunc("GET /v1/deployments/{name}", answer(s.withTemporal(list)))
	mux.HandleFunc("POST /v1/deployments/{name}/{do}", answer(s.withTemporal(func(r *http.Request, c client.Client) (any, error) {
		var in api.SteerDeployment
		if err := readJSON(r, 1<<16, &in); err != nil {
			return nil, err
		}
		if err := steerDeployment(r.Context(), c, r.PathValue("name"), r.PathValue("do"), in); err != nil {
			return nil, err
		}
		return list(r, c)
	})))
}

func steerDeployment(ctx context.Context, c client.Client, name, do string, in api.SteerDeployment) error {
	if in.Build == "" && do != "rollback" {
		return fault.New(fault.Invalid, "%s: which build?", do)
	}
	switch do {
	case "ramp":
		return worker.Ramp(ctx, c, name, in.Build, in.Percent)
	case "promote":
		return worker.Promote(ctx, c, name, in.Build)
	case "rollback":
		return worker.Rollback(ctx, c, name)
	}
	return fault.New(fault.NotFound, "a deployment cannot be told to %s: want ramp, promote or rollback", do)
}

func (s *Server) withTemporal(fn func(*http.Request, client.Client) (any, error)) func(*http.Request) (any, error) {
	return func(r *http.Request) (any, error) {
		c, err := s.temporal()
		if err != nil {
			return nil, err
		}
		return fn(r, c)
	}
}
