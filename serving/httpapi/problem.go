package httpapi

import (
	"encoding/json"
	"net/http"

	"anabranch/fault"
)

// problem is an error over HTTP (RFC 9457).
type problem struct {
	Title  string `json:"title"`
	Status int    `json:"status"`
	Detail string `json:"detail"`
	Code   string `json:"code,omitempty"`
}

// Status is the HTTP status of a kind of error.
func Status(k fault.Kind) int {
	switch k {
	case fault.Invalid, fault.Poison:
		return http.StatusBadRequest
	case fault.NotFound:
		return http.StatusNotFound
	case fault.Denied:
		return http.StatusForbidden
	case fault.Conflict:
		return http.StatusConflict
	case fault.Throttled:
		return http.StatusTooManyRequests
	case fault.Full:
		return http.StatusInsufficientStorage
	case fault.Transient, fault.Unknown:
		return http.StatusServiceUnavailable
	}
	return http.StatusInternalServerError
}

// WriteProblem answers with err as application/problem+json. Errors that pass
// by themselves carry Retry-After.
func WriteProblem(w http.ResponseWriter, err error) {
	kind := fault.KindOf(err)
	status := Status(kind)
	w.Header().Set("Content-Type", "application/problem+json")
	if kind.Retryable() {
		w.Header().Set("Retry-After", "1")
	}
	code := fault.CodeOf(err)
	if code == "" {
		code = kind.String()
	}
	w.WriteHeader(status)
	// A client that is gone does not miss the answer.
	_ = json.NewEncoder(w).Encode(problem{Title: http.StatusText(status), Status: status, Detail: err.Error(), Code: code})
}
