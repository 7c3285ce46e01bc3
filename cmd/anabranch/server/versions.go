package server

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"time"

	"anabranch/archive"
	"anabranch/batch"
	"anabranch/cmd/anabranch/api"
	"anabranch/fault"
	"anabranch/internal/openapi"
)

func (s *Server) versionRoutes(m *mux) {
	const at = "/v1/pipelines/{name}/versions"
	ask(m, "GET "+at, openapi.Route{Summary: "What batch has published, the newest first", Params: []openapi.Param{versionsLimit}}, of(s, listVersions))
	ask(m, "GET "+at+"/{version}", openapi.Route{Summary: "One published version"}, of(s, getVersion))
	ask(m, "GET "+at+"/{version}/diff", openapi.Route{Summary: "What is different in a version, cell by cell", Params: []openapi.Param{diffFrom}}, of(s, diffVersions))
	tell(m, "POST "+at+"/promote", openapi.Route{Summary: "Have a version of a view answer"}, toldOf(s, promoteVersion))
	tell(m, "POST "+at+"/rollback", openapi.Route{Summary: "Have the views answer as in an older version, with the events since"}, toldOf(s, rollback))
}

var (
	versionsLimit = openapi.Whole("limit", "how many at most, 20 without it", 1, 0)
	diffFrom      = openapi.Whole("from", "the version to compare with, without it the one before", 1, 0)
)

func listVersions(r *http.Request, p *pipeline) (out api.Versions, err error) {
	limit := versionsLimit.Int(r, 20)
	m, err := p.archive.Newest(r.Context())
	if err != nil {
		return out, err
	}
	out = api.Versions{Pipeline: p.def.Name, Newest: m.Version, Versions: []api.Version{}}
	for v := m.Version; v > 0 && len(out.Versions) < limit; v-- {
		m, err := p.archive.Manifest(r.Context(), v)
		if fault.Is(err, fault.NotFound) {
			break // older ones have expired
		}
		if err != nil {
			return out, err
		}
		out.Versions = append(out.Versions, describeVersion(m))
	}
	return out, nil
}

func getVersion(r *http.Request, p *pipeline) (out api.Version, err error) {
	m, err := p.version(r.Context(), r.PathValue("version"))
	if err != nil {
		return out, err
	}
	return describeVersion(m), nil
}

// version returns the manifest that a request names.
func (p *pipeline) version(ctx context.Context, text string) (*archive.Manifest, error) {
	v, err := strconv.ParseUint(text, 10, 64)
	if err != nil || v == 0 {
		return nil, fault.New(fault.Invalid, "version %q: want a number such as 17", text)
	}
	return p.archive.Manifest(ctx, v)
}

// describeVersion says what a manifest holds.
func describeVersion(m *archive.Manifest) api.Version {
	out := api.Version{
		Version: m.Version, Barrier: m.K, Kind: m.Kind, Created: m.Created, Reason: m.Reason, By: m.By, Definition: m.Definition,
		Run: m.Run, Code: m.Code, Base: m.Base, Rows: m.Rows, Counted: m.Counted,
	}
	for _, key := range slices.Sorted(maps.Keys(m.Views)) {
		files, view := m.Views[key], archive.ViewOf(key)
		v := api.VersionView{View: view, Version: files.Version, Days: len(files.Live)}
		answers, _ := m.Answers(view)
		if v.Answers = answers == key; !v.Answers && key == view {
			v.Canary = m.Canary[view]
		}
		for _, f := range files.Results {
			v.Groups += f.Rows
			v.Bytes += f.Size
		}
		for _, f := range files.States {
			v.Bytes += f.Size
		}
		out.Views = append(out.Views, v)
	}
	return out
}

// diffVersions compares a version with another one, by default the one before.
func diffVersions(r *http.Request, p *pipeline) (out api.Difference, err error) {
	to, err := p.version(r.Context(), r.PathValue("version"))
	if err != nil {
		return out, err
	}
	from := to.Version - 1
	if text := diffFrom.Of(r); text != "" {
		m, err := p.version(r.Context(), text)
		if err != nil {
			return out, err
		}
		from = m.Version
	}
	if from == 0 {
		return out, fault.New(fault.Invalid, "version 1 is the first: there is none before to compare it with")
	}
	c, err := p.runner.CompareVersions(r.Context(), from, to.Version)
	if err != nil {
		return out, err
	}
	return api.Difference{Comparison: c, Markdown: c.Markdown()}, nil
}

func promoteVersion(r *http.Request, p *pipeline, in api.PromoteVersion) (out batch.Published, err error) {
	v := p.view(in.View)
	if v == nil {
		return out, fault.New(fault.Invalid, "pipeline %s has no view %q", p.def.Name, in.View)
	}
	if in.Canary != nil {
		return p.runner.Canary(r.Context(), in.View, *in.Canary, in.Reason, in.By)
	}
	return p.runner.Serve(r.Context(), in.View, cmp.Or(in.Version, v.Version()), in.Reason, in.By)
}

// rollback goes back at once when no event came since; else it takes a run,
// which folds the days that got some.
func rollback(r *http.Request, p *pipeline, in api.Rollback) (batch.Published, error) {
	q := batch.Request{Kind: batch.Rollback, Back: in.To, View: in.View, Reason: in.Reason, By: in.By, RunID: fmt.Sprintf("rollback-%d-%s", in.To, cmp.Or(in.Key, time.Now().UTC().Format("20060102T150405.000")))}
	return batch.Run(r.Context(), p.runner, q)
}
