package server

import (
	"encoding/base64"
	"encoding/json"
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
	"anabranch/schemas"
	"anabranch/serving/httpapi"
)

// routes is the whole HTTP surface of the program.
func (s *Server) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("ok\n")) })
	mux.HandleFunc("GET /readyz", s.readyz)
	mux.Handle("GET /metrics", promhttp.HandlerFor(s.gatherers(), promhttp.HandlerOpts{}))
	mux.HandleFunc("GET /v1/pipelines", answer(s.listPipelines))
	mux.HandleFunc("POST /v1/pipelines", answer(s.postPipeline))
	mux.HandleFunc("POST /v1/plan", answer(s.postPlan))
	mux.HandleFunc("GET /v1/pipelines/{name}", s.withPipeline(func(_ *http.Request, p *pipeline) (any, error) { return p.describe(), nil }))
	events := ingest.Handler(func(name string) (*ingest.Gateway, bool) {
		p, err := s.pipeline(name)
		if err != nil || p.gateway == nil {
			return nil, false
		}
		return p.gateway, true
	}, s.names)
	mux.HandleFunc("POST /v1/pipelines/{name}/events", func(w http.ResponseWriter, r *http.Request) {
		if _, err := s.pipeline(r.PathValue("name")); err != nil && fault.KindOf(err).Retryable() {
			writeProblem(w, err)
			return
		}
		events.ServeHTTP(w, r)
	})
	mux.HandleFunc("POST /v1/pipelines/{name}/batches", answer(s.postBatch))
	mux.HandleFunc("POST /v1/pipelines/{name}/backfills", answer(s.postBackfill))
	mux.HandleFunc("POST /v1/pipelines/{name}/imports", answer(s.postImport))
	mux.HandleFunc("POST /v1/pipelines/{name}/audits", answer(s.postAudit))
	mux.HandleFunc("POST /v1/pipelines/{name}/restores", answer(s.postRestore))
	mux.HandleFunc("POST /v1/pipelines/{name}/speed/rebuilds", answer(s.postRebuild))
	mux.HandleFunc("POST /v1/pipelines/{name}/expiries", answer(s.postExpire))
	mux.HandleFunc("GET /v1/pipelines/{name}/backfills/plan", s.withPipeline(planBackfill))
	mux.HandleFunc("GET /v1/runs/{id}", answer(s.getRun))
	mux.HandleFunc("POST /v1/runs/{id}/{instruction}", answer(s.tellRun))
	s.versionRoutes(mux)
	s.scheduleRoutes(mux)
	s.deploymentRoutes(mux)
	mux.HandleFunc("GET /v1/pipelines/{name}/trace", s.withPipeline(func(r *http.Request, p *pipeline) (any, error) { return p.trace(r) }))
	mux.HandleFunc("GET /v1/pipelines/{name}/ledger", s.withSpeed(func(r *http.Request, p *pipeline) (any, error) {
		l, err := p.ledger(r.Context())
		if err == nil && r.URL.Query().Get("bisect") == "true" {
			l.Bisected, err = p.bisect(r.Context())
		}
		return l, err
	}))
	mux.HandleFunc("GET /v1/pipelines/{name}/deadletters", s.withPipeline(listLetters))
	mux.HandleFunc("POST /v1/pipelines/{name}/deadletters/preview", s.withPipeline(previewRelease))
	mux.HandleFunc("POST /v1/pipelines/{name}/deadletters/releases", answer(s.postRelease))
	mux.HandleFunc("GET /v1/pipelines/{name}/deadletters/{id}", s.withPipeline(getLetter))
	mux.HandleFunc("POST /v1/pipelines/{name}/verify", s.withSpeed(func(r *http.Request, p *pipeline) (any, error) {
		v, err := s.verify(r.Context(), p)
		if err == nil {
			s.alertDrift(v)
		}
		return v, err
	}))
	if s.engine != nil {
		mux.Handle("POST /v1/query", httpapi.Query(s.engine, httpapi.Options{Logger: s.config.Logger}))
	}
	return mux
}

// answer turns a function into a handler that writes JSON or a problem.
func answer(fn func(*http.Request) (any, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		out, err := fn(r)
		if err != nil {
			writeProblem(w, err)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(out) // a client that is gone does not miss it
	}
}

// withPipeline finds the pipeline that a request names.
func (s *Server) withPipeline(fn func(*http.Request, *pipeline) (any, error)) http.HandlerFunc {
	return answer(func(r *http.Request) (any, error) {
		p, err := s.pipeline(r.PathValue("name"))
		if err != nil {
			return nil, err
		}
		return fn(r, p)
	})
}

// withSpeed is for resources that only a process with the speed role has.
func (s *Server) withSpeed(fn func(*http.Request, *pipeline) (any, error)) http.HandlerFunc {
	return s.withPipeline(func(r *http.Request, p *pipeline) (any, error) {
		if p.speed == nil {
			return nil, fault.New(fault.NotFound, "this process does not fold the stream: ask one started with --role speed")
		}
		return fn(r, p)
	})
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
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(p.Status)
	_ = json.NewEncoder(w).Encode(p)
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

func (s *Server) listPipelines(*http.Request) (any, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	out := []api.Pipeline{}
	for _, p := range s.pipelines {
		out = append(out, p.describe())
	}
	slices.SortFunc(out, func(a, b api.Pipeline) int { return strings.Compare(a.Name, b.Name) })
	return map[string]any{"pipelines": out}, nil
}

func (p *pipeline) describe() api.Pipeline {
	d := api.Pipeline{Name: p.def.Name, Description: p.def.Description, Version: p.def.Version(), Schema: p.entry.Schema, Partitions: p.def.Partitions, Applied: p.entry.Applied}
	for _, v := range p.views {
		d.Views = append(d.Views, v.Name())
	}
	return d
}

// maxApply bounds the files of one definition together.
const maxApply = 8 << 20

func (s *Server) postPipeline(r *http.Request) (any, error) {
	var in api.Apply
	if err := readJSON(r, maxApply, &in); err != nil {
		return nil, err
	}
	return s.applyAs(r.Context(), in)
}

func readJSON(r *http.Request, limit int64, into any) error {
	d := json.NewDecoder(http.MaxBytesReader(nil, r.Body, limit))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return fault.New(fault.Invalid, "read the request's JSON: %v", err)
	}
	return nil
}

func listLetters(r *http.Request, p *pipeline) (any, error) {
	q := r.URL.Query()
	limit := 50
	if text := q.Get("limit"); text != "" {
		var err error
		if limit, err = strconv.Atoi(text); err != nil || limit < 1 || limit > 10000 {
			return nil, fault.New(fault.Invalid, "limit %q: want 1 to 10000", text)
		}
	}
	page := api.Letters{Letters: []api.Letter{}}
	for l, err := range p.letters.List(r.Context(), deadletter.Options{Codes: codesOf(q), After: q.Get("after"), Limit: limit}) {
		if err != nil {
			return nil, err
		}
		page.Letters = append(page.Letters, asLetter(l))
	}
	if n := len(page.Letters); n == limit {
		page.Next = page.Letters[n-1].ID
	}
	return page, nil
}

func getLetter(r *http.Request, p *pipeline) (any, error) {
	l, err := p.letters.Get(r.Context(), r.PathValue("id"))
	if err != nil {
		return nil, err
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
