package server

import (
	"context"
	"net/http"

	"go.temporal.io/sdk/client"

	"anabranch/cmd/anabranch/api"
	"anabranch/fault"
	"anabranch/internal/openapi"
	"anabranch/worker"
)

func (s *Server) deploymentRoutes(m *mux) {
	const at = "/v1/deployments/{name}"
	name := openapi.Path("name", "name of a deployment of workers").Like(`^[ -~]+$`, "printable ASCII")
	list := func(r *http.Request) (worker.Builds, error) {
		c, err := s.temporal()
		if err != nil {
			return worker.Builds{}, err
		}
		return worker.Deployments(r.Context(), c, name.Of(r))
	}
	ask(m, "GET "+at, openapi.Route{Summary: "The builds of the workers of a deployment", Params: []openapi.Param{name}}, list)
	do := openapi.Path("do", "what becomes of a build").OneOf("ramp", "promote", "rollback")
	tell(m, "POST "+at+"/{do}", openapi.Route{Summary: "Give new runs to a build, or no more", Params: []openapi.Param{name, do}},
		func(r *http.Request, in api.SteerDeployment) (out worker.Builds, err error) {
			c, err := s.temporal()
			if err != nil {
				return out, err
			}
			if err := steerDeployment(r.Context(), c, name.Of(r), do.Of(r), in); err != nil {
				return out, err
			}
			return list(r)
		})
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
	return fault.New(fault.Bug, "a deployment cannot be told to %s", do)
}
