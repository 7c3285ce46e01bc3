package ingest

import (
	"errors"
	"fmt"
	"os"
	"time"

	"anabranch/fault"
)

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

func (r *request) outOfTime(err error) error {
	return ambiguous(fault.New(fault.Transient, "the request ended before its events were stored: %w", err), CodeTimeout)
}

func appendError(err error) error {
	err = fmt.Errorf("append to the log: %w", err)
	if fault.Is(err, fault.Full) {
		return &later{ambiguous(err, CodeLogFull), fullPause}
	}
	return ambiguousLater(err, CodeAppendFailed)
}

// ambiguousLater is ambiguous, with a time when repeating may help.
func ambiguousLater(err error, code string) error {
	after := RetryAfter(err)
	if after == 0 && (fault.KindOf(err).Retryable() || fault.Is(err, fault.Denied)) {
		after = againPause
	}
	return &later{ambiguous(err, code), after}
}

// bodyError says how far a body was read that could not be read to its end.
func bodyError(err error, read int) error {
	kind, code := fault.Invalid, CodeBodyUnread
	var large *tooLarge
	switch {
	case errors.As(err, &large):
		code = CodeBodyTooLarge
	case errors.Is(err, os.ErrDeadlineExceeded):
		kind, code = fault.Transient, CodeTimeout
	case fault.KindOf(err) == fault.Bug:
		return err
	case fault.KindOf(err) != fault.Unknown:
		kind = fault.KindOf(err)
	}
	err = fault.New(kind, "read the body after %d events: %w", read, err)
	if read == 0 {
		return fault.WithCode(err, code)
	}
	return ambiguous(err, code)
}
