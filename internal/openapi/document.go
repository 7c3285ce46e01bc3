package openapi

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"anabranch/internal/problem"
)

// Document gathers routes.
type Document struct {
	Title, About, Version string
	// Plain are packages, by the last part of their path, whose types go by their
	// name alone among the schemas; the others' have their package's before it.
	Plain []string
	// Paths says what the parameters of paths are; a route may say it better.
	Paths []Param
	// Errors are the statuses that any route can answer with, and what they
	// mean; Problem is a value of the type they come with.
	Errors  map[int]string
	Problem any
	// Comments tells what the source says about a type, or one of its fields;
	// nil: nothing.
	Comments func(t reflect.Type, field string) string

	routes map[string]Route
}

// Add keeps what a pattern such as "GET /v1/runs/{id}" answers.
func (d *Document) Add(pattern string, r Route) {
	if d.routes == nil {
		d.routes = map[string]Route{}
	}
	d.routes[pattern] = r
}

// Fits tells whether the parameters in a path that a pattern matches can be
// what the document says of them.
func (d *Document) Fits(pattern, path string) bool {
	is := strings.Split(path, "/")
	for i, part := range strings.Split(pattern[strings.Index(pattern, "/"):], "/") {
		if !strings.HasPrefix(part, "{") || i >= len(is) {
			continue
		}
		text, err := url.PathUnescape(is[i])
		if err != nil || d.pathParam(part, d.routes[pattern]).check(text) != nil {
			return false
		}
	}
	return true
}

// Check says what is wrong with the parameters of a request that a pattern
// matches.
func (d *Document) Check(pattern string, req *http.Request) error {
	route := d.routes[pattern]
	for part := range strings.SplitSeq(pattern, "/") {
		if !strings.HasPrefix(part, "{") {
			continue
		}
		p := d.pathParam(part, route)
		if err := p.check(p.Of(req)); err != nil {
			return err
		}
	}
	return route.check(req)
}

// pathParam is what is said of a part of a pattern such as {id}.
func (d *Document) pathParam(part string, r Route) Param {
	name := strings.Trim(part, "{}")
	for _, all := range [][]Param{r.Params, d.Paths} {
		for _, p := range all {
			if p.In == "path" && p.Name == name {
				return p
			}
		}
	}
	panic(fmt.Sprintf("openapi: nobody says what {%s} of a path is", name))
}

// Patterns lists the patterns there are, in order.
func (d *Document) Patterns() []string { return slices.Sorted(maps.Keys(d.routes)) }

type (
	document struct {
		OpenAPI    string                           `json:"openapi"`
		Info       info                             `json:"info"`
		Paths      map[string]map[string]*operation `json:"paths"`
		Components components                       `json:"components"`
	}
	info struct {
		Title       string `json:"title"`
		Version     string `json:"version"`
		Description string `json:"description,omitempty"`
	}
	components struct {
		Schemas   map[string]*Schema   `json:"schemas"`
		Responses map[string]*response `json:"responses"`
	}
	operation struct {
		ID          string               `json:"operationId"`
		Tags        []string             `json:"tags"`
		Summary     string               `json:"summary"`
		Description string               `json:"description,omitempty"`
		Parameters  []parameter          `json:"parameters,omitempty"`
		Body        *body                `json:"requestBody,omitempty"`
		Responses   map[string]*response `json:"responses"`
	}
	parameter struct {
		Name        string  `json:"name"`
		In          string  `json:"in"`
		Description string  `json:"description,omitempty"`
		Required    bool    `json:"required,omitempty"`
		Style       string  `json:"style,omitempty"`
		Explode     bool    `json:"explode,omitempty"`
		Schema      *Schema `json:"schema"`
	}
	body struct {
		Required bool             `json:"required,omitempty"`
		Content  map[string]media `json:"content"`
	}
	response struct {
		Ref         string            `json:"$ref,omitempty"`
		Description string            `json:"description,omitempty"`
		Headers     map[string]header `json:"headers,omitempty"`
		Content     map[string]media  `json:"content,omitempty"`
	}
	header struct {
		Description string  `json:"description,omitempty"`
		Schema      *Schema `json:"schema"`
	}
	media struct {
		Schema *Schema `json:"schema,omitempty"`
	}
)

// JSON returns the document.
func (d *Document) JSON() ([]byte, error) {
	s := &schemas{named: map[string]*Schema{}, types: map[string]reflect.Type{}, plain: d.Plain, about: d.Comments}
	out := document{
		OpenAPI: "3.0.3", Info: info{d.Title, d.Version, d.About}, Paths: map[string]map[string]*operation{},
		Components: components{s.named, map[string]*response{}},
	}
	for status, means := range d.Errors {
		out.Components.Responses[strconv.Itoa(status)] = problemResponse(s, status, means, d.Problem)
	}
	for _, pattern := range d.Patterns() {
		method, path, ok := strings.Cut(pattern, " ")
		if !ok {
			return nil, fmt.Errorf("the pattern %q has no method", pattern)
		}
		if out.Paths[path] == nil {
			out.Paths[path] = map[string]*operation{}
		}
		out.Paths[path][strings.ToLower(method)] = d.operation(s, method, path, d.routes[pattern])
	}
	return json.MarshalIndent(out, "", " ")
}

func (d *Document) operation(s *schemas, method, path string, r Route) *operation {
	o := &operation{ID: operationID(method, path), Tags: []string{tag(path)}, Summary: r.Summary, Description: r.About, Responses: map[string]*response{}}
	for part := range strings.SplitSeq(path, "/") {
		if strings.HasPrefix(part, "{") {
			o.Parameters = append(o.Parameters, d.pathParam(part, r).describe())
		}
	}
	for _, p := range r.Params {
		if p.In != "path" {
			o.Parameters = append(o.Parameters, p.describe())
		}
	}
	if len(r.Body) > 0 {
		s.asked = true
		o.Body = &body{Required: !r.Optional, Content: contents(s, r.Body)}
		s.asked = false
	}
	ok := &response{Description: "OK", Content: contents(s, r.Answers)}
	for _, h := range r.Headers {
		if ok.Headers == nil {
			ok.Headers = map[string]header{}
		}
		ok.Headers[h.Name] = header{h.About, &Schema{Type: "string"}}
	}
	o.Responses["200"] = ok
	for status, means := range r.Other {
		o.Responses[strconv.Itoa(status)] = &response{Description: means}
	}
	for status := range d.Errors {
		code := strconv.Itoa(status)
		if o.Responses[code] = (&response{Ref: "#/components/responses/" + code}); r.Problem != nil {
			o.Responses[code] = problemResponse(s, status, d.Errors[status], r.Problem)
		}
	}
	of := r.Problem
	if of == nil {
		of = d.Problem
	}
	for status, means := range r.Errors {
		o.Responses[strconv.Itoa(status)] = problemResponse(s, status, means, of)
	}
	return o
}

func problemResponse(s *schemas, status int, means string, of any) *response {
	if means == "" {
		means = http.StatusText(status)
	}
	out := &response{Description: means, Content: map[string]media{problem.Media: {s.of(reflect.TypeOf(of))}}}
	if status == http.StatusTooManyRequests || status == http.StatusServiceUnavailable || status == http.StatusInsufficientStorage {
		out.Headers = map[string]header{"Retry-After": {"seconds after which the same request may succeed", &Schema{Type: "string"}}}
	}
	return out
}

func contents(s *schemas, all []Content) map[string]media {
	out := map[string]media{}
	for _, c := range all {
		switch {
		case c.Type != nil && !c.Each:
			out[c.Media] = media{s.of(reflect.TypeOf(c.Type))}
		case c.Media == "application/json":
			out[c.Media] = media{&Schema{}}
		case strings.HasPrefix(c.Media, "text/") || strings.HasSuffix(c.Media, "json") || strings.HasSuffix(c.Media, "sql"):
			out[c.Media] = media{&Schema{Type: "string"}}
		default:
			out[c.Media] = media{&Schema{Type: "string", Format: "binary"}}
		}
	}
	return out
}

func (p Param) describe() parameter {
	v := p.schema
	out := parameter{Name: p.Name, In: p.In, Description: p.About, Required: p.Required, Schema: &v}
	if p.others {
		out.Style, out.Explode = "form", true
	}
	if p.Many {
		out.Schema = &Schema{Type: "array", Items: &v}
	}
	return out
}

// operationID makes a name out of a method and a path: getPipelineVersions.
func operationID(method, path string) string {
	id := strings.ToLower(method)
	parts := strings.Split(strings.Trim(strings.TrimPrefix(path, "/v1"), "/"), "/")
	for i, part := range parts {
		if strings.HasPrefix(part, "{") {
			if i > 0 && strings.HasPrefix(parts[i-1], "{") {
				id += title(strings.Trim(part, "{}"))
			}
			continue
		}
		if i+1 < len(parts) && strings.HasPrefix(parts[i+1], "{") {
			part = strings.TrimSuffix(part, "s")
		}
		for word := range strings.FieldsFuncSeq(part, func(r rune) bool { return r == '.' || r == '-' }) {
			id += title(word)
		}
	}
	return id
}

func title(word string) string { return strings.ToUpper(word[:1]) + word[1:] }

// tag is the part of the surface that a path belongs to.
func tag(path string) string {
	rest, versioned := strings.CutPrefix(path, "/v1/")
	if !versioned {
		return "process"
	}
	part, _, _ := strings.Cut(rest, "/")
	return part
}
