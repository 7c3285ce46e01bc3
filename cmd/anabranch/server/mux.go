package server

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"reflect"
	"strings"
	"sync"
	"time"

	"anabranch/cmd/anabranch/api"
	"anabranch/fault"
	"anabranch/internal/openapi"
	"anabranch/internal/problem"
	"anabranch/serving/httpapi"
)

// mux is the HTTP surface: every route with what the OpenAPI document says of
// it, by which requests are checked before a handler has them.
type mux struct {
	serve http.ServeMux
	doc   openapi.Document
	// A page of another site that somebody has open asks in their name, of what listens
	// on their loopback, too.
	origins http.CrossOriginProtection
}

func newMux(version string) *mux {
	m := &mux{doc: openapi.Document{
		Title: "Anabranch", Version: version, Problem: api.Problem{},
		About: "Events, queries and control. See docs/http.md for the meaning of it all.",
		Plain: []string{"api", "httpapi", "ingest", "problem"},
		Paths: []openapi.Param{
			openapi.Path("name", "name of a pipeline"),
			openapi.Path("id", "name of a run, as the answer has it that started it").Like(`^[ -~]+$`, "printable ASCII"),
			openapi.Path("version", "number of a published version").Like(`^[1-9][0-9]{0,18}$`, "a number such as 17"),
			openapi.Path("view", "pipeline.view, or the view alone where only one pipeline has it"),
		},
		Errors: httpapi.Statuses(),
	}}
	document := sync.OnceValues(func() (_ []byte, err error) {
		if m.doc.Comments, err = openapi.Comments(reflect.TypeFor[api.Run]().PkgPath(), api.Source); err != nil {
			return nil, err
		}
		return m.doc.JSON()
	})
	m.handle("GET /openapi.json", openapi.Route{Summary: "This document", Answers: openapi.JSON[json.RawMessage]()},
		http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			text, err := document()
			if err != nil {
				writeProblem(w, fault.Wrap(fault.Bug, err))
				return
			}
			w.Header().Set("Content-Type", "application/json")
			_, _ = w.Write(text) // a client that is gone does not miss it
		}))
	return m
}

// handle adds a route.
func (m *mux) handle(pattern string, about openapi.Route, h http.Handler) {
	m.doc.Add(pattern, about)
	m.serve.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
		if m.origins.Check(r) != nil {
			writeProblem(w, fault.WithCode(fault.New(fault.Denied, "a page of another site (%s) may not ask this: ask from a program, or from a page of this address", cmp.Or(r.Header.Get("Origin"), "it does not say which")), "cross_origin"))
			return
		}
		if err := m.doc.Check(pattern, r); err != nil {
			writeProblem(w, fault.WithCode(fault.Wrap(fault.Invalid, err), "parameter"))
			return
		}
		h.ServeHTTP(w, r)
	})
}

// ask adds a route whose requests have no body: what fn returns is its answer.
func ask[Out any](m *mux, pattern string, about openapi.Route, fn func(*http.Request) (Out, error)) {
	about.Answers = openapi.JSON[Out]()
	m.handle(pattern, about, answer(fn))
}

// tell adds a route whose requests are the JSON of an In.
func tell[In, Out any](m *mux, pattern string, about openapi.Route, fn func(*http.Request, In) (Out, error)) {
	about.Body = openapi.JSON[In]()
	about.Errors = maps.Clone(about.Errors)
	if about.Errors == nil {
		about.Errors = map[int]string{}
	}
	maps.Copy(about.Errors, httpapi.ReadErrors)
	ask(m, pattern, about, func(r *http.Request) (out Out, err error) {
		var in In
		if err = httpapi.ReadJSON(nil, r, maxBody, &in); err == nil {
			out, err = fn(r, in)
		}
		return out, err
	})
}

// answer turns a function into a handler that writes JSON or a problem.
func answer[Out any](fn func(*http.Request) (Out, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		httpapi.Within(w, r, bodyWithin)
		out, err := fn(r)
		if err != nil {
			writeProblem(w, err)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(out) // a client that is gone does not miss it
	}
}

// maxBody bounds a request that is told something; the files of a definition
// are the longest.
const maxBody = 8 << 20

// bodyWithin is how long the body of a request may take to come, but that of events,
// which may be long.
const bodyWithin = 5 * time.Minute

// ServeHTTP answers as the routes do, and with a problem where there is none.
func (m *mux) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	_, pattern := m.serve.Handler(r)
	if pattern != "" && m.doc.Fits(pattern, r.URL.EscapedPath()) {
		m.serve.ServeHTTP(w, r)
		return
	}
	if allowed := m.methods(r); len(allowed) > 0 {
		list := strings.Join(allowed, ", ")
		w.Header().Set("Allow", list)
		problem.Problem{Status: http.StatusMethodNotAllowed, Code: "method_not_allowed", Detail: fmt.Sprintf("%s %s: there is %s only", r.Method, r.URL.Path, list)}.Write(w)
		return
	}
	if pattern != "" {
		m.serve.ServeHTTP(w, r) // which says what is wrong with the path
		return
	}
	problem.Problem{Status: http.StatusNotFound, Code: "unknown_path", Detail: fmt.Sprintf("there is nothing at %s: GET /openapi.json lists what there is", r.URL.Path)}.Write(w)
}

// methods are those that a path can be asked with.
func (m *mux) methods(r *http.Request) []string {
	var out []string
	for _, method := range []string{http.MethodGet, http.MethodPost} {
		other := *r
		other.Method = method
		_, pattern := m.serve.Handler(&other)
		if pattern == "" || !m.doc.Fits(pattern, r.URL.EscapedPath()) {
			continue
		}
		if out = append(out, method); method == http.MethodGet {
			out = append(out, http.MethodHead)
		}
	}
	return out
}

// of makes a function of a pipeline one of a request that names it.
func of[Out any](s *Server, fn func(*http.Request, *pipeline) (Out, error)) func(*http.Request) (Out, error) {
	return func(r *http.Request) (out Out, err error) {
		p, err := s.find(r.PathValue("name"))
		if err != nil {
			return out, err
		}
		return fn(r, p)
	}
}

// toldOf is the same for a function that is told something.
func toldOf[In, Out any](s *Server, fn func(*http.Request, *pipeline, In) (Out, error)) func(*http.Request, In) (Out, error) {
	return func(r *http.Request, in In) (Out, error) {
		return of(s, func(r *http.Request, p *pipeline) (Out, error) { return fn(r, p, in) })(r)
	}
}

// ofSpeed is of for what only a process with the speed role has.
func ofSpeed[Out any](s *Server, fn func(*http.Request, *pipeline) (Out, error)) func(*http.Request) (Out, error) {
	return of(s, func(r *http.Request, p *pipeline) (out Out, err error) {
		if p.speed == nil {
			return out, fault.New(fault.NotFound, "this process does not fold the stream: ask one started with --role speed")
		}
		return fn(r, p)
	})
}
