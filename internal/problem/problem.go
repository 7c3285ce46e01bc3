// Package problem is how errors are told over HTTP, by every door alike
// (RFC 9457).
package problem

import (
	"encoding/json"
	"net/http"
	"strconv"
)

// Media is the content type of a Problem.
const Media = "application/problem+json"

// Problem is an error. The doors fill in what they know.
type Problem struct {
	Type   string `json:"type,omitempty"` // a relative reference; its last part is the code
	Title  string `json:"title"`
	Status int    `json:"status"`
	Detail string `json:"detail,omitempty"`

	Code       string   `json:"code"` // short and stable, for scripts
	Hint       string   `json:"hint,omitempty"`
	Request    string   `json:"request,omitempty"` // of events: to repeat them under the same name
	RetryAfter int      `json:"retry_after_seconds,omitempty"`
	Pipelines  []string `json:"pipelines,omitempty"` // those there are
	Accepts    []string `json:"accepts,omitempty"`   // what would have been taken instead
	Problems   []Place  `json:"problems,omitempty"`  // of a definition: all its mistakes
}

// Place is one mistake in a folder of definitions.
type Place struct {
	File    string `json:"file"`
	Line    int    `json:"line,omitempty"`
	Column  int    `json:"column,omitempty"`
	Message string `json:"message"`
	Hint    string `json:"hint,omitempty"`
}

// Write answers with p. A RetryAfter goes into the header of that name too.
func (p Problem) Write(w http.ResponseWriter) {
	p.Type = "/problems/" + p.Code
	if p.Title == "" {
		p.Title = http.StatusText(p.Status)
	}
	h := w.Header()
	if p.RetryAfter > 0 {
		h.Set("Retry-After", strconv.Itoa(p.RetryAfter))
	}
	h.Set("Content-Type", Media)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cache-Control", "no-store")
	w.WriteHeader(p.Status)
	_ = json.NewEncoder(w).Encode(p) // a client that is gone does not miss it
}
