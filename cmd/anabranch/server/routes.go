package server

import (
	"cmp"
	"encoding/base64"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	dto "github.com/prometheus/client_model/go"

	"anabranch/cmd/anabranch/api"
	"anabranch/deadletter"
	"anabranch/fault"
	"anabranch/ingest"
	"anabranch/internal/openapi"
	"anabranch/schemas"
	"anabranch/serving/httpapi"
	"anabranch/workflows"
)

// What several routes take.
var (
	wait    = openapi.Span("wait", "answer once the run has ended or waits for a person, or when this time is over", maxWait)
	sameKey = openapi.InHeader("Idempotency-Key", "the key, where the body has none: one key is one run")
)

// routes is the whole HTTP surface of the program.
func (s *Server) routes() http.Handler {
	m := newMux(cmp.Or(s.config.Code, "dev"))
	m.handle("GET /healthz", openapi.Route{Summary: "Whether the process is alive", Answers: []openapi.Content{{Media: "text/plain"}}},
		http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/plain; charset=utf-8")
			_, _ = w.Write([]byte("ok\n"))
		}))
	ask(m, "GET /readyz", openapi.Route{Summary: "What fails just now and is tried again",
		About: "Degraded is 200 too: events are taken and queries answered, from the last version."}, s.readyz)
	m.handle("GET /metrics", openapi.Route{Summary: "Metrics for Prometheus", Params: []openapi.Param{openapi.Text("name[]", "these metrics alone").Several()},
		Answers: []openapi.Content{{Media: "text/plain"}, {Media: "application/openmetrics-text"}}},
		promhttp.HandlerFor(s.gatherers(), promhttp.HandlerOpts{}))

	definition := map[int]string{http.StatusUnprocessableEntity: "the definition has mistakes, which are listed with their places; nothing was applied"}
	ask(m, "GET /v1/pipelines", openapi.Route{Summary: "The pipelines in force"}, s.listPipelines)
	tell(m, "POST /v1/pipelines", openapi.Route{Summary: "Apply a definition", Errors: definition}, s.postPipeline)
	tell(m, "POST /v1/plan", openapi.Route{Summary: "What applying a definition would change, compute and break", Errors: definition}, s.postPlan)
	ask(m, "GET /v1/pipelines/{name}", openapi.Route{Summary: "One pipeline"}, of(s, func(_ *http.Request, p *pipeline) (api.Pipeline, error) { return p.describe(), nil }))
	ask(m, "POST /v1/references", openapi.Route{Summary: "Bring the file of a reference table", About: "CSV or Parquet. The answer stands for it among the files of a definition; what is not applied within a day is deleted.",
		Body: []openapi.Content{{Media: "application/octet-stream"}}, Errors: map[int]string{http.StatusRequestEntityTooLarge: "the file has more than 64 MiB"}}, s.postReference)
	ask(m, "GET /v1/pipelines/{name}/references", openapi.Route{Summary: "The reference tables in force, and those of before"}, of(s, s.listReferences))
	m.handle("POST /v1/pipelines/{name}/events", ingest.Events, s.events())
	s.runRoutes(m)
	s.versionRoutes(m)
	s.scheduleRoutes(m)
	s.deploymentRoutes(m)
	s.letterRoutes(m)
	ask(m, "GET /v1/pipelines/{name}/trace", openapi.Route{Summary: "What became of an event",
		About: "Names one with `event`, or gives a condition with `where`; the first ten that fit it are told.", Params: []openapi.Param{traceEvent, traceWhere}},
		of(s, func(r *http.Request, p *pipeline) (api.Trace, error) { return p.trace(r) }))
	ask(m, "GET /v1/pipelines/{name}/ledger", openapi.Route{Summary: "Where every event is", Params: []openapi.Param{bisect}}, ofSpeed(s, getLedger))
	ask(m, "POST /v1/pipelines/{name}/verify", openapi.Route{Summary: "Compare every view with its own SELECT over the raw events"},
		ofSpeed(s, func(r *http.Request, p *pipeline) (api.Verification, error) {
			v, err := s.verify(r.Context(), p)
			if err == nil {
				s.alertDrift(v)
			}
			return v, err
		}))
	if s.engine != nil {
		m.handle("POST /v1/query", httpapi.AboutQuery, httpapi.Query(s.engine, httpapi.Options{Logger: s.config.Logger}))
		m.handle("GET /v1/views/{view}/watch", httpapi.AboutWatch, s.watches)
		m.handle("GET /v1/views/{view}", httpapi.AboutView, httpapi.View(s.lookup, httpapi.Options{Logger: s.config.Logger}))
	}
	return m
}

// runRoutes are those that start runs and steer them.
func (s *Server) runRoutes(m *mux) {
	const at = "POST /v1/pipelines/{name}/"
	started := []openapi.Param{wait}
	tell(m, at+"batches", openapi.Route{Summary: "Start the nightly batch, or join it", Params: []openapi.Param{wait, sameKey}}, s.postBatch)
	tell(m, at+"backfills", openapi.Route{Summary: "Compute event days again", Params: started}, s.postBackfill)
	tell(m, at+"imports", openapi.Route{Summary: "Bring files in", Params: started}, s.postImport)
	tell(m, at+"audits", openapi.Route{Summary: "Compute event days again from the raw events and compare what is served", Params: started}, s.postAudit)
	tell(m, at+"restores", openapi.Route{Summary: "Make a pipeline of the events that this one had then", Params: started}, s.postRestore)
	tell(m, at+"speed/rebuilds", openapi.Route{Summary: "Build the speed layer anew, and compare every view with the raw events", Params: started}, s.postRebuild)
	tell(m, at+"compactions", openapi.Route{Summary: "Put small files together", Params: started}, s.postCompact)
	tell(m, at+"expiries", openapi.Route{Summary: "Forget what the retention no longer wants", Params: started}, s.postExpire)
	ask(m, "GET /v1/pipelines/{name}/backfills/plan", openapi.Route{Summary: "What a backfill would do", Params: []openapi.Param{planView, planFrom, planTo}}, of(s, planBackfill))
	ask(m, "GET /v1/runs/{id}", openapi.Route{Summary: "How far a run is", Params: started}, s.getRun)
	tell(m, "POST /v1/runs/{id}/{instruction}", openapi.Route{Summary: "Steer a run",
		Params: []openapi.Param{openapi.Path("instruction", "what the run is to do").OneOf(workflows.Updates()...)}}, s.tellRun)
}

// letterRoutes are about dead letters.
func (s *Server) letterRoutes(m *mux) {
	const at = "/v1/pipelines/{name}/deadletters"
	ask(m, "GET "+at, openapi.Route{Summary: "Dead letters, the oldest first", Params: []openapi.Param{letterCode, letterLimit, letterAfter}}, of(s, listLetters))
	tell(m, "POST "+at+"/preview", openapi.Route{Summary: "What a release would make of dead letters"}, toldOf(s, previewRelease))
	tell(m, "POST "+at+"/releases", openapi.Route{Summary: "Send dead letters back to the door", Params: []openapi.Param{wait}}, s.postRelease)
	ask(m, "GET "+at+"/{id}", openapi.Route{Summary: "One dead letter, with its bytes",
		Params: []openapi.Param{openapi.Path("id", "name of a dead letter").Like(letterName.String(), "day.request.number as the list shows it")}}, of(s, getLetter))
}

// events is the front door. A pipeline that changes just now is no unknown one.
func (s *Server) events() http.HandlerFunc {
	events := ingest.Handler(func(name string) (*ingest.Gateway, bool) {
		p, err := s.pipeline(name)
		if err != nil || p.gateway == nil {
			return nil, false
		}
		return p.gateway, true
	}, s.names)
	return func(w http.ResponseWriter, r *http.Request) {
		if _, err := s.find(r.PathValue("name")); err != nil && fault.KindOf(err).Retryable() {
			writeProblem(w, err)
			return
		}
		events.ServeHTTP(w, r)
	}
}

// writeProblem adds the places of a definition's mistakes to a problem.
func writeProblem(w http.ResponseWriter, err error) {
	var found schemas.Problems
	var one *schemas.Problem
	switch {
	case errors.As(err, &found):
	case errors.As(err, &one):
		found = schemas.Problems{*one}
	default:
		httpapi.WriteProblem(w, err)
		return
	}
	p := api.Problem{Title: "the definition has mistakes", Status: http.StatusUnprocessableEntity, Code: "definition",
		Detail: strconv.Itoa(len(found)) + " mistakes, nothing was applied"}
	if len(found) == 1 {
		p.Detail = "1 mistake, nothing was applied"
	}
	for _, f := range found {
		place := api.Place{File: f.File, Line: f.Line, Column: f.Column, Message: f.Message, Hint: f.Hint}
		if f.Field != "" {
			place.Message = "field " + f.Field + ": " + f.Message
		}
		p.Problems = append(p.Problems, place)
	}
	p.Write(w)
}

// gatherers collects the metrics of the process and of every pipeline in
// force.
func (s *Server) gatherers() prometheus.Gatherer {
	process := prometheus.NewRegistry()
	s.memory.register(process)
	process.MustRegister(s.opened.pacing)
	process.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return prometheus.GathererFunc(func() ([]*dto.MetricFamily, error) {
		all := prometheus.Gatherers{process}
		s.mu.RLock()
		for _, p := range s.pipelines {
			all = append(all, p.metrics)
		}
		s.mu.RUnlock()
		return all.Gather()
	})
}

func (s *Server) listPipelines(*http.Request) (api.Pipelines, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	out := api.Pipelines{Pipelines: []api.Pipeline{}}
	for _, p := range s.pipelines {
		out.Pipelines = append(out.Pipelines, p.describe())
	}
	slices.SortFunc(out.Pipelines, func(a, b api.Pipeline) int { return strings.Compare(a.Name, b.Name) })
	return out, nil
}

func (p *pipeline) describe() api.Pipeline {
	d := api.Pipeline{Name: p.def.Name, Description: p.def.Description, Version: p.def.Version(), Schema: p.entry.Schema, Partitions: p.def.Partitions, Applied: p.entry.Applied}
	for _, v := range p.views {
		d.Views = append(d.Views, v.Name())
	}
	for _, r := range p.references {
		d.References = append(d.References, r.Name)
	}
	return d
}

func (s *Server) postPipeline(r *http.Request, in api.Apply) (api.Applied, error) {
	return s.applyAs(r.Context(), in)
}

func (s *Server) postPlan(r *http.Request, in api.Apply) (api.Plan, error) {
	return s.planFiles(r.Context(), in)
}

var (
	letterCode  = openapi.Text("code", "those of this code alone").Several()
	letterLimit = openapi.Whole("limit", "how many at most, 50 without it", 1, 10000)
	letterAfter = openapi.Text("after", "go on behind this one: `next` of the page before")
)

func listLetters(r *http.Request, p *pipeline) (api.Letters, error) {
	limit := letterLimit.Int(r, 50)
	page := api.Letters{Letters: []api.Letter{}}
	for l, err := range p.letters.List(r.Context(), deadletter.Options{Codes: letterCode.All(r), After: letterAfter.Of(r), Limit: limit}) {
		if err != nil {
			return page, err
		}
		page.Letters = append(page.Letters, asLetter(l))
	}
	if n := len(page.Letters); n == limit {
		page.Next = page.Letters[n-1].ID
	}
	return page, nil
}

func getLetter(r *http.Request, p *pipeline) (api.Letter, error) {
	l, err := p.letters.Get(r.Context(), r.PathValue("id"))
	if err != nil {
		return api.Letter{}, err
	}
	return asLetter(l), nil
}

func asLetter(l deadletter.Letter) api.Letter {
	out := api.Letter{ID: l.ID, Code: l.Code, Message: l.Message, Field: l.Field, Source: l.Source, Line: l.Line, Column: l.Column, Received: l.Received, Raw: string(l.Raw)}
	if !utf8.Valid(l.Raw) {
		out.Raw, out.Base64 = base64.StdEncoding.EncodeToString(l.Raw), true
	}
	return out
}
