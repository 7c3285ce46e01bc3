package ingest

import (
	"encoding/json"
	"errors"
	"math"
	"net/http"
	"strconv"
	"time"

	"anabranch/fault"
)

// problem is an RFC 9457 problem document.
type problem struct {
	Type   string `json:"type"` // a relative reference; the last part is the code
	Title  string `json:"title"`
	Status int    `json:"status"`
	Detail string `json:"detail,omitempty"`

	Code       string   `json:"code"`
	Hint       string   `json:"hint,omitempty"`
	Request    string   `json:"request,omitempty"` // to repeat it under the same name
	RetryAfter int      `json:"retry_after_seconds,omitempty"`
	Pipelines  []string `json:"pipelines,omitempty"` // those there are
	Accepts    []string `json:"accepts,omitempty"`
}

func (p problem) write(w http.ResponseWriter) {
	p.Type = "/problems/" + p.Code
	if p.Title == "" {
		p.Title = http.StatusText(p.Status)
	}
	if p.RetryAfter > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(p.RetryAfter))
	}
	writeJSON(w, "application/problem+json", p.Status, p)
}

func writeJSON(w http.ResponseWriter, contentType string, status int, v any) {
	w.Header().Set("Content-Type", contentType)
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v) // fails when the sender has left: there is nobody to tell
}

// problemOf says how an error of Accept is answered.
func problemOf(err error, request string) problem {
	p := problem{Code: fault.CodeOf(err), Detail: err.Error(), Request: request, RetryAfter: seconds(RetryAfter(err))}
	var f *fault.Error
	if errors.As(err, &f) && f.Hint != "" {
		p.Hint, p.Detail = f.Hint, f.Err.Error()
	}
	switch fault.KindOf(err) {
	case fault.Throttled:
		p.Status, p.Title = http.StatusTooManyRequests, "too much at once"
	case fault.Full:
		p.Status, p.Title = http.StatusInsufficientStorage, "no room left"
	case fault.Transient, fault.Unknown, fault.Denied: // it is we who were denied something; somebody will put that right
		p.Status, p.Title = http.StatusServiceUnavailable, "not now"
	case fault.Invalid:
		p.Status = http.StatusBadRequest
		if p.Code == CodeBodyTooLarge {
			p.Status = http.StatusRequestEntityTooLarge
		}
	default: // damage, bugs: the operator's, not the sender's
		p.Status = http.StatusInternalServerError
	}
	if p.Code == "" {
		p.Code = fault.KindOf(err).String()
	}
	return p
}

func seconds(d time.Duration) int { return int(math.Ceil(d.Seconds())) }
