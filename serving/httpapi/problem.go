package httpapi

import (
	"cmp"
	"net/http"

	"anabranch/fault"
	"anabranch/internal/problem"
)

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
func WriteProblem(w http.ResponseWriter, err error) { problemOf(err).Write(w) }

func problemOf(err error) problem.Problem {
	kind := fault.KindOf(err)
	p := problem.Problem{Status: Status(kind), Detail: err.Error(), Code: cmp.Or(fault.CodeOf(err), kind.String())}
	if s, ok := ofCode[p.Code]; ok {
		p.Status = s
	}
	if kind.Retryable() {
		p.RetryAfter = 1
	}
	return p
}
