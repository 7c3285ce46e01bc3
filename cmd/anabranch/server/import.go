package server

import (
	"context"
	"net/http"
	"net/url"
	"time"

	"go.temporal.io/sdk/client"

	"anabranch/activities"
	"anabranch/cmd/anabranch/api"
	"anabranch/fault"
	"anabranch/ingest"
	"anabranch/workflows"
)

// importer hands what imports files to the activities.
func (s *Server) importer(_ context.Context, name string) (activities.Importer, error) {
	p, err := s.find(name)
	if err != nil {
		return nil, err
	}
	return importer{&ingest.Importer{Gateway: p.releaser.Gateway, Notes: p.archive}}, nil
}

// importer opens where files are for each step.
type importer struct{ *ingest.Importer }

func (im importer) List(ctx context.Context, run string, from, format string) (ingest.Listing, error) {
	source, err := importSource(ctx, from)
	if err != nil {
		return ingest.Listing{}, err
	}
	return im.Importer.List(ctx, run, source, format)
}

func (im importer) File(ctx context.Context, run string, from string, n int, dry bool) (ingest.Imported, error) {
	source, err := importSource(ctx, from)
	if err != nil {
		return ingest.Imported{}, err
	}
	return im.Importer.File(ctx, run, source, n, dry)
}

func (s *Server) postImport(r *http.Request, in api.StartImport) (api.Run, error) {
	if u, err := url.Parse(in.From); err != nil || u.Scheme != "file" && u.Scheme != "s3" {
		return api.Run{}, fault.New(fault.Invalid, "from %q: want file:///folder or s3://bucket/prefix?endpoint=URL&region=NAME", in.From)
	}
	return s.startRun(r, func(ctx context.Context, c client.Client, p *pipeline) (workflows.Started, error) {
		return workflows.StartImport(ctx, c, s.runs.queue, workflows.ImportInput{
			Pipeline: p.def.Name, From: in.From, Format: in.Format, DryRun: in.DryRun, Reason: in.Reason, By: in.By, Key: in.Key,
		}, time.Now())
	})
}
