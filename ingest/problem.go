package ingest

import (
	"encoding/json"
	"errors"
	"math"
	"net/http"
	"time"

	"anabranch/fault"
	"anabranch/internal/problem"
)

func writeAnswer(w http.ResponseWriter, a Answer) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.Header().Set("Cache-Control", "no-store")
	_ = json.NewEncoder(w).Encode(a) // fails when the sender has left: there is nobody to tell
}

// problemOf says how an error of Accept is answered.
func problemOf(err error, request string) problem.Problem {
	p := problem.Problem{Code: fault.CodeOf(err), Detail: err.Error(), Request: request, RetryAfter: seconds(RetryAfter(err))}
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
