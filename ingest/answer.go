package ingest

import (
	"errors"
	"time"

	"anabranch/fault"
	"anabranch/schemas"
)

// Meta is what a request says about its body.
type Meta struct {
	// Format of the body; a JSONArray may also be one object alone.
	Format schemas.Format
	// Request names the request; its repetition has the same name. Default:
	// random.
	Request string
	// Source is the file or system the events come from, for dead letters.
	Source string
	// Lane is the name of one of the pipeline's lanes; empty: the first.
	Lane string
	// Trace is the trace id of the request, all zero when it has none.
	Trace [16]byte
	// Size is about how long the body is, 0 when that is not known.
	Size int64
}

// Answer says what became of a request's events. All of it is durable.
type Answer struct {
	Accepted     int          `json:"accepted"`
	DeadLettered int          `json:"dead_lettered"`
	Request      string       `json:"request"`
	Receipt      Receipt      `json:"receipt"`
	Errors       []EventError `json:"errors,omitempty"` // the first MaxErrors of them, in the body's order
	ErrorsTotal  int          `json:"errors_total"`
}

// Receipt tells where the accepted events stand: a query that is given it
// waits until its answer covers them.
type Receipt struct {
	Pipeline  string   `json:"pipeline"`
	Positions []string `json:"positions"` // of the last event in each partition touched, as event.Position renders it
}

// EventError says why one event became a dead letter.
type EventError struct {
	Line    int    `json:"line"`
	Column  int    `json:"column,omitempty"`
	Field   string `json:"field,omitempty"`
	Code    string `json:"code"`
	Message string `json:"message"`
}

// MaxErrors is how many errors an answer lists.
const MaxErrors = 100

// Codes of the errors with which Accept refuses or gives up a request.
const (
	CodeBusy          = "busy"           // Throttled: too much in flight for this lane
	CodeDraining      = "draining"       // Transient: this gateway stops
	CodeLogFull       = "log_full"       // Full: the log takes nothing
	CodeAppendFailed  = "append_failed"  // the log did not acknowledge
	CodeLettersFailed = "letters_failed" // dead letters could not be stored
	CodeUnknownLane   = "unknown_lane"   // Invalid
	CodeBodyUnread    = "body_unread"    // Invalid: the body could not be read to its end
	CodeBodyTooLarge  = "body_too_large" // Invalid
	CodeTimeout       = "timeout"        // Transient: the request's time was up, or its sender left
)

// later is an error that tells when to come again.
type later struct {
	error
	after time.Duration
}

func (l *later) Unwrap() error { return l.error }

// RetryAfter returns after how long a refused request should be repeated, 0
// when the error does not say.
func RetryAfter(err error) time.Duration {
	var l *later
	if errors.As(err, &l) {
		return l.after
	}
	return 0
}

// ambiguous says what repeating means after err, which left open which events
// are durable.
func ambiguous(err error, code string) error {
	return fault.WithHint(fault.WithCode(err, code), "some events of this request may be stored already; repeat it as it was: event ids make that safe")
}
