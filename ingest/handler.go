package ingest

import (
	"encoding/hex"
	"io"
	"mime"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"anabranch/internal/problem"
	"anabranch/schemas"
)

// Headers of a request.
const (
	HeaderLane      = "Anabranch-Lane"       // one of the pipeline's lanes
	HeaderSource    = "Anabranch-Source"     // the file or system the events come from
	HeaderFirstLine = "Anabranch-First-Line" // the line of the source that the body's first line is
	HeaderKey       = "Idempotency-Key"      // the same for a request and its repetitions
	HeaderRequest   = "Anabranch-Request"    // of the answer: the name the request has
)

// maxHeader bounds the headers that are kept with dead letters.
const maxHeader = 255

// contentTypes lists the formats by the media types they are asked for with.
var contentTypes = map[string]schemas.Format{
	"application/x-ndjson": schemas.NDJSON,
	"application/ndjson":   schemas.NDJSON,
	"application/jsonl":    schemas.NDJSON,
	"application/json":     schemas.JSONArray,
	"text/csv":             schemas.CSV,
}

// Handler answers POST /v1/pipelines/{name}/events with the gateway that find
// returns, and everything else with a problem document. Names lists the
// pipelines there are, for the answer to a request that names none of them.
//
// The body is NDJSON, a JSON array or one JSON object, or CSV with a header
// line, as Content-Type says, packed as Content-Encoding (gzip, zstd) says. A
// body of which not one event is good is answered like any other, with 200 and
// an Answer that says so; a status above 299 means that the request should be
// repeated, changed (400, 404, 413, 415) or as it was (429, 503, 507, 500).
func Handler(find func(name string) (*Gateway, bool), names func() []string) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/v1/pipelines/{name}/events", func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodPost {
			w.Header().Set("Allow", http.MethodPost)
			problem.Problem{Status: http.StatusMethodNotAllowed, Code: "method_not_allowed", Detail: "events are sent with POST"}.Write(w)
			return
		}
		name := r.PathValue("name")
		g, ok := find(name)
		if !ok {
			have := slices.Sorted(slices.Values(names()))
			problem.Problem{
				Status: http.StatusNotFound, Code: "unknown_pipeline", Title: "no such pipeline", Pipelines: have,
				Detail: "there is no pipeline " + quoted(name) + "; there are: " + strings.Join(have, ", "),
			}.Write(w)
			return
		}
		g.serve(w, r)
	})
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		problem.Problem{Status: http.StatusNotFound, Code: "not_found", Detail: "events are sent to POST /v1/pipelines/{name}/events"}.Write(w)
	})
	return mux
}

// quoted shortens and quotes what a sender wrote.
func quoted(s string) string {
	if len(s) > 64 {
		s = s[:64] + "…"
	}
	return `"` + strings.ToValidUTF8(s, "?") + `"`
}

func (g *Gateway) serve(w http.ResponseWriter, r *http.Request) {
	m := Meta{
		Format: g.opts.Format, Request: r.Header.Get(HeaderKey), Source: r.Header.Get(HeaderSource), Lane: r.Header.Get(HeaderLane),
		Trace: traceOf(r.Header.Get("Traceparent")),
	}
	for _, h := range []string{HeaderKey, HeaderSource} {
		if v := r.Header.Get(h); len(v) > maxHeader {
			problem.Problem{Status: http.StatusBadRequest, Code: "bad_header", Detail: "header " + h + " is longer than 255 bytes"}.Write(w)
			return
		}
	}
	if v := r.Header.Get(HeaderFirstLine); v != "" {
		n, err := strconv.ParseUint(v, 10, 31)
		if err != nil || n == 0 {
			problem.Problem{Status: http.StatusBadRequest, Code: "bad_header", Detail: "header " + HeaderFirstLine + ": " + quoted(v) + " is not a line number from 1 on"}.Write(w)
			return
		}
		m.FirstLine = int(n)
	}
	if v := r.Header.Get("Content-Type"); v != "" {
		media, _, err := mime.ParseMediaType(v)
		format, known := contentTypes[media]
		if err != nil || !known {
			accepts := []string{"application/x-ndjson", "application/json", "text/csv"}
			problem.Problem{
				Status: http.StatusUnsupportedMediaType, Code: "unsupported_media_type", Accepts: accepts,
				Detail: "Content-Type " + quoted(v) + " is not one that events come in; use " + strings.Join(accepts, ", "),
			}.Write(w)
			return
		}
		m.Format = format
	}
	// In vain where w is no connection.
	r.Body = &patient{r.Body, func() { _ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(stalled)) }}
	encoding := strings.ToLower(strings.TrimSpace(r.Header.Get("Content-Encoding")))
	body, ok := unpack(r.Body, encoding, g.opts.Limits)
	if !ok {
		w.Header().Set("Accept-Encoding", "gzip, zstd")
		problem.Problem{
			Status: http.StatusUnsupportedMediaType, Code: "unsupported_encoding", Accepts: []string{"gzip", "zstd"},
			Detail: "Content-Encoding " + quoted(encoding) + " is not known; use gzip, zstd or none",
		}.Write(w)
		return
	}
	defer body.Close()
	if r.ContentLength > g.opts.Limits.Wire {
		// Refused before the sender has sent it all.
		problemOf(bodyError(&tooLarge{"as sent", g.opts.Limits.Wire}, 0), m.Request).Write(w)
		return
	}
	if encoding == "" || encoding == "identity" {
		m.Size = max(r.ContentLength, 0)
	}
	answer, err := g.Accept(r.Context(), body, m)
	if answer.Request != "" {
		w.Header().Set(HeaderRequest, answer.Request)
	}
	if err != nil {
		problemOf(err, answer.Request).Write(w)
		return
	}
	writeAnswer(w, answer)
}

// stalled is how long a body may bring nothing: a request holds memory.
const stalled = 30 * time.Second

// patient waits for each piece of a body only so long.
type patient struct {
	io.ReadCloser
	wait func()
}

func (p *patient) Read(b []byte) (int, error) {
	p.wait()
	return p.ReadCloser.Read(b)
}

// traceOf returns the trace id of a W3C traceparent header, zero without one.
func traceOf(header string) (id [16]byte) {
	part := strings.Split(header, "-")
	if len(part) < 4 || len(part[1]) != 32 {
		return id
	}
	if _, err := hex.Decode(id[:], []byte(part[1])); err != nil {
		return [16]byte{}
	}
	return id
}
