package buckettest

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"syscall"
)

// Fault is what a Wire does to a call.
type Fault string

// The faults of a Wire. Those of a body hit it in its middle, on its way there
// or back; a call without a body loses its answer instead.
const (
	Forbidden   Fault = "403"
	NotFound    Fault = "404"
	Aborted     Fault = "409"
	Failed      Fault = "412"
	Internal    Fault = "500"
	SlowDown    Fault = "503"
	Reset       Fault = "reset in mid-body"
	Short       Fault = "short body"
	Stall       Fault = "stall"
	LostAnswer  Fault = "answer lost"
	MutePut     Fault = "put applied, then silence"
	GoneBucket  Fault = "404, no such bucket"
	EmptyAnswer Fault = "200 without a body"
)

// Faults are all of them.
var Faults = []Fault{Forbidden, NotFound, Aborted, Failed, Internal, SlowDown, Reset, Short, Stall, LostAnswer, MutePut, GoneBucket, EmptyAnswer}

// Wire is a network between an S3 client and its server that harms chosen
// calls.
type Wire struct {
	mu    sync.Mutex // guards what follows
	to    http.RoundTripper
	rule  func(n int) (Fault, bool)
	calls int
	hits  []string
}

// NewWire returns a wire that carries everything.
func NewWire(to http.RoundTripper) *Wire { return &Wire{to: to} }

// Connect leads the wire to another server.
func (w *Wire) Connect(to http.RoundTripper) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.to = to
}

// Set counts calls from 0 again; rule says which are harmed, and how. Nil
// harms none.
func (w *Wire) Set(rule func(n int) (Fault, bool)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.rule, w.calls, w.hits = rule, 0, nil
}

// Clear harms no more calls.
func (w *Wire) Clear() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.rule = nil
}

// Calls returns how many calls there were since Set, and which were harmed.
func (w *Wire) Calls() (n int, harmed []string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.calls, append([]string(nil), w.hits...)
}

// RoundTrip implements http.RoundTripper.
func (w *Wire) RoundTrip(r *http.Request) (*http.Response, error) {
	w.mu.Lock()
	to := w.to
	var f Fault
	hit := false
	if w.rule != nil {
		f, hit = w.rule(w.calls)
	}
	if hit {
		w.hits = append(w.hits, fmt.Sprintf("call %d, %s %s?%s: %s", w.calls, r.Method, r.URL.Path, r.URL.RawQuery, f))
	}
	w.calls++
	w.mu.Unlock()
	if !hit {
		return to.RoundTrip(r)
	}
	return harm(to, r, f)
}

var errReset = &net.OpError{Op: "read", Net: "tcp", Err: syscall.ECONNRESET}

// harm carries a call as f wants it.
func harm(to http.RoundTripper, r *http.Request, f Fault) (*http.Response, error) {
	sends := r.Method == http.MethodPut && r.ContentLength > 0
	switch f {
	case Forbidden:
		return refused(r, "AccessDenied"), nil
	case NotFound:
		return refused(r, "NoSuchKey"), nil
	case GoneBucket:
		return refused(r, "NoSuchBucket"), nil
	case Aborted:
		if sends && r.Header.Get("If-None-Match") != "" {
			return refused(r, "ConditionalRequestConflict"), nil
		}
		return refused(r, "OperationAborted"), nil
	case Failed:
		return refused(r, "PreconditionFailed"), nil
	case Internal:
		return refused(r, "InternalError"), nil
	case SlowDown:
		return refused(r, "SlowDown"), nil
	}
	if sends && f != LostAnswer && f != MutePut && f != EmptyAnswer {
		// Half of the body goes out; the server sees that the rest is missing
		// and has no effect.
		_, _ = io.CopyN(io.Discard, r.Body, r.ContentLength/2)
		r.Body.Close()
		switch f {
		case Stall:
			<-r.Context().Done()
			return nil, r.Context().Err()
		case Short:
			return refused(r, "IncompleteBody"), nil
		}
		return nil, errReset
	}
	answer, err := to.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	if f == EmptyAnswer && r.Method == http.MethodGet {
		answer.Body.Close()
		answer.Body, answer.ContentLength = http.NoBody, 0
		answer.Header.Del("Content-Length")
		return answer, nil
	}
	if r.Method != http.MethodGet || f == LostAnswer || answer.ContentLength == 0 {
		answer.Body.Close()
		if f == Stall || f == MutePut {
			<-r.Context().Done()
			return nil, r.Context().Err()
		}
		return nil, errReset
	}
	b := &harmedBody{ReadCloser: answer.Body, ctx: r.Context(), left: answer.ContentLength / 2, end: errReset}
	switch f {
	case Short:
		b.end, answer.ContentLength = io.EOF, -1
	case Stall, MutePut:
		b.end = nil
	}
	answer.Body = b
	return answer, nil
}

func refused(r *http.Request, code string) *http.Response {
	text := "<Error><Code>" + code + "</Code><Message>as the test wants it</Message></Error>"
	if r.Method == http.MethodHead {
		text = ""
	}
	if r.Body != nil {
		r.Body.Close()
	}
	return &http.Response{
		StatusCode: statuses[code], Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Header: http.Header{"Content-Type": {"application/xml"}},
		Body: io.NopCloser(strings.NewReader(text)), ContentLength: int64(len(text)), Request: r,
	}
}

// harmedBody ends in the middle: with an error, or never.
type harmedBody struct {
	io.ReadCloser
	ctx  context.Context
	left int64
	end  error // nil: silence
}

func (b *harmedBody) Read(p []byte) (int, error) {
	if b.left <= 0 {
		if b.end == nil {
			<-b.ctx.Done()
			return 0, b.ctx.Err()
		}
		return 0, b.end
	}
	n, err := b.ReadCloser.Read(p[:min(int64(len(p)), b.left)])
	b.left -= int64(n)
	return n, err
}
