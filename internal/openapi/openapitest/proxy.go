// Package openapitest holds what a running server answers against the OpenAPI
// document that it serves, as kin-openapi reads it.
package openapitest

import (
	"bytes"
	"io"
	"mime"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/gorillamux"
)

// Proxy stands in front of a server and fails the test for every answer that
// is not as the server's document has it. It checks answers, not requests,
// except that what was answered with 200 must have been a request that the
// document allows.
type Proxy struct {
	URL string

	t     testing.TB
	base  string
	doc   *openapi3.T
	find  routers.Router
	plain http.Client

	mu   sync.Mutex
	seen map[string]map[int]int // operation -> status -> how often
}

// New starts a Proxy in front of the server at base, until the test ends.
func New(t testing.TB, base string) *Proxy {
	t.Helper()
	p := &Proxy{t: t, base: base, seen: map[string]map[int]int{}}
	p.plain.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	resp, err := p.plain.Get(base + "/openapi.json")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	if p.doc, err = openapi3.NewLoader().LoadFromData(text); err != nil {
		t.Fatal(err)
	}
	if err := p.doc.Validate(t.Context()); err != nil {
		t.Fatal(err)
	}
	p.tighten()
	if p.find, err = gorillamux.NewRouter(p.doc); err != nil {
		t.Fatal(err)
	}
	door := httptest.NewServer(p)
	t.Cleanup(door.Close)
	p.URL = door.URL
	return p
}

// tighten has answers be refused for what the document does not name, too.
func (p *Proxy) tighten() {
	no := false
	for _, s := range p.doc.Components.Schemas {
		if len(s.Value.Properties) > 0 {
			s.Value.AdditionalProperties = openapi3.AdditionalProperties{Has: &no}
		}
	}
}

// Document returns the server's document.
func (p *Proxy) Document() *openapi3.T { return p.doc }

// Seen tells how often each operation of the document was answered with each
// status.
func (p *Proxy) Seen() map[string]map[int]int {
	p.mu.Lock()
	defer p.mu.Unlock()
	out := map[string]map[int]int{}
	for path, item := range p.doc.Paths.Map() {
		for method := range item.Operations() {
			out[method+" "+path] = p.seen[method+" "+path]
		}
	}
	return out
}

// ServeHTTP hands a request on, and the answer back when it is checked.
func (p *Proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return // the client is gone
	}
	req := r.Clone(r.Context())
	req.RequestURI = ""
	req.URL.Scheme, req.URL.Host = "http", p.base[len("http://"):]
	req.Host = req.URL.Host
	req.Body, req.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	resp, err := p.plain.Do(req)
	if err != nil {
		panic(http.ErrAbortHandler) // as the server broke off, or nobody is there
	}
	defer resp.Body.Close()
	for k, v := range resp.Header {
		w.Header()[k] = v
	}
	if resp.Header.Get("Content-Type") == "text/event-stream" {
		p.count(r, resp.StatusCode)
		w.WriteHeader(resp.StatusCode)
		flush(w, resp.Body)
		return
	}
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	p.check(r, body, resp, text)
	w.WriteHeader(resp.StatusCode)
	_, _ = w.Write(text)
}

func medium(contentType string) string {
	m, _, _ := mime.ParseMediaType(contentType) // "" where it is none
	return m
}

func flush(w http.ResponseWriter, from io.Reader) {
	part := make([]byte, 32<<10)
	for {
		n, err := from.Read(part)
		if _, gone := w.Write(part[:n]); gone != nil || err != nil {
			return
		}
		_ = http.NewResponseController(w).Flush()
	}
}

func (p *Proxy) count(r *http.Request, status int) {
	req := &http.Request{Method: r.Method, URL: r.URL, Header: r.Header, Host: r.Host}
	route, _, err := p.find.FindRoute(req)
	if err != nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	of := route.Method + " " + route.Path
	if p.seen[of] == nil {
		p.seen[of] = map[int]int{}
	}
	p.seen[of][status]++
}

// check reports what is wrong with an answer.
func (p *Proxy) check(r *http.Request, body []byte, resp *http.Response, text []byte) {
	req := r.Clone(r.Context())
	req.Body = io.NopCloser(bytes.NewReader(body))
	route, params, err := p.find.FindRoute(req)
	if err != nil {
		if resp.StatusCode < 400 {
			p.t.Errorf("%s %s: answered with %d, and the document does not have it: %v", r.Method, r.URL, resp.StatusCode, err)
		}
		return
	}
	p.count(r, resp.StatusCode)
	o := &openapi3filter.Options{IncludeResponseStatus: true, SkipSettingDefaults: true, MultiError: true}
	asked := &openapi3filter.RequestValidationInput{Request: req, PathParams: params, Route: route, Options: o}
	media := resp.Header.Get("Content-Type")
	bytewise := media == "" || openapi3filter.RegisteredBodyDecoder(medium(media)) == nil || medium(media) == "text/csv"
	answer := &openapi3filter.ResponseValidationInput{RequestValidationInput: asked, Status: resp.StatusCode, Header: resp.Header, Options: o}
	if bytewise {
		o.ExcludeResponseBody = true
		if of := route.Operation.Responses.Status(resp.StatusCode); len(text) > 0 && of != nil && of.Value.Content.Get(media) == nil {
			p.t.Errorf("%s %s: %d is answered as %q, which the document does not have", r.Method, r.URL, resp.StatusCode, media)
		}
	}
	answer.SetBodyBytes(text)
	if err := openapi3filter.ValidateResponse(r.Context(), answer); err != nil {
		p.t.Errorf("%s %s: the answer %d is not as the document has it: %v\n%.2000s", r.Method, r.URL, resp.StatusCode, err, text)
	}
	if resp.StatusCode != http.StatusOK {
		return
	}
	// Without a type a body is taken as what a route takes first.
	if sent := r.Header.Get("Content-Type"); openapi3filter.RegisteredBodyDecoder(medium(sent)) == nil || medium(sent) == "text/csv" {
		o.ExcludeRequestBody = true
	}
	if err := openapi3filter.ValidateRequest(r.Context(), asked); err != nil {
		p.t.Errorf("%s %s: was answered, and is no request that the document has: %v\n%.2000s", r.Method, r.URL, err, body)
	}
}
