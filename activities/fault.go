package activities

import (
	"context"
	"errors"
	"time"

	"go.temporal.io/sdk/temporal"

	"anabranch/batch"
	"anabranch/fault"
)

// details travel with an error through Temporal.
type details struct {
	Kind string `json:"kind"`
	Code string `json:"code,omitempty"`
	Hint string `json:"hint,omitempty"`
}

// How long to leave a receiver alone that said it is busy or full. The first
// passes by itself; for the second somebody has to make room.
const (
	throttledDelay = 5 * time.Second
	fullDelay      = 30 * time.Second
)

// ToTemporal is the one place where the kind of an error becomes what Temporal
// does: retry for what may pass by itself, fail for the rest. Conflict fails
// the step so that the workflow reads who won and plans again. The kind is the
// type of the application error.
func ToTemporal(ctx context.Context, err error) error {
	if err == nil {
		return nil
	}
	// A step that was cancelled must end as cancelled. Its context also ends
	// when the worker stops or time is up; those are retried like any other.
	if ctx.Err() != nil && errors.Is(err, context.Canceled) {
		return ctx.Err()
	}
	kind := fault.KindOf(err)
	opts := temporal.ApplicationErrorOptions{
		NonRetryable: !kind.Retryable(),
		Details:      []any{details{Kind: kind.String(), Code: fault.CodeOf(err), Hint: hintOf(err)}},
	}
	switch kind {
	case fault.Throttled:
		opts.NextRetryDelay = throttledDelay
	case fault.Full:
		opts.NextRetryDelay = fullDelay
	}
	return temporal.NewApplicationErrorWithOptions(err.Error(), kind.String(), opts)
}

// Ended turns an error that a workflow itself ends with, of a kind that is not
// retried, into one of Temporal.
func Ended(err error) error { return ToTemporal(context.Background(), err) }

// carrying is Ended for an error that carries more than its kind; Carried
// takes it out again.
func carrying(err error, found any) error {
	return temporal.NewApplicationErrorWithOptions(err.Error(), fault.KindOf(err).String(), temporal.ApplicationErrorOptions{
		NonRetryable: true, Details: []any{details{Kind: fault.KindOf(err).String(), Code: fault.CodeOf(err), Hint: hintOf(err)}, found},
	})
}

// Carried reads what the error of a workflow carries, and reports whether it
// carries something.
func Carried(err error, into any) bool {
	var app *temporal.ApplicationError
	var d details
	return errors.As(err, &app) && app.HasDetails() && app.Details(&d, into) == nil
}

// FromTemporal turns the error of a workflow or activity back into one with a
// kind. Cancelled is Conflict with code "cancelled": somebody decided so.
func FromTemporal(err error) error {
	if err == nil {
		return nil
	}
	var app *temporal.ApplicationError
	var cancelled *temporal.CanceledError
	var timeout *temporal.TimeoutError
	switch {
	case errors.As(err, &app):
		kind := kindNamed(app.Type())
		var d details
		if app.HasDetails() && app.Details(&d) == nil {
			kind = kindNamed(d.Kind)
		}
		return &fault.Error{Kind: kind, Code: d.Code, Err: errors.New(app.Message())}
	case errors.As(err, &cancelled):
		return fault.WithCode(fault.New(fault.Conflict, "the run was cancelled; nothing of it was published"), "cancelled")
	case errors.As(err, &timeout):
		return fault.New(fault.Transient, "the run took too long: %w", err)
	}
	return err
}

// Rephrase returns an error for the end of a workflow: with another text, and
// the kind and code of the step's error, which stays below it. An error that
// is no step's own is returned as it is.
func Rephrase(err error, phrase func(said string, kind fault.Kind) string) error {
	var app *temporal.ApplicationError
	if !errors.As(err, &app) {
		return err
	}
	opts := temporal.ApplicationErrorOptions{NonRetryable: true, Cause: err}
	var d details
	if app.HasDetails() && app.Details(&d) == nil {
		opts.Details = []any{d}
	}
	return temporal.NewApplicationErrorWithOptions(phrase(app.Message(), kindNamed(app.Type())), app.Type(), opts)
}

// Said returns the kind and the words of a step's error.
func Said(err error) (fault.Kind, string) {
	err = FromTemporal(err)
	return fault.KindOf(err), err.Error()
}

// IsAlreadyPublished reports whether a step answered batch.ErrDone: nothing is
// left to do and nothing is wrong.
func IsAlreadyPublished(err error) bool {
	var app *temporal.ApplicationError
	var d details
	return errors.As(err, &app) && app.HasDetails() && app.Details(&d) == nil && d.Code == fault.CodeOf(batch.ErrDone)
}

// IsConflict reports whether a step failed because another run published
// first.
func IsConflict(err error) bool {
	var app *temporal.ApplicationError
	return errors.As(err, &app) && app.Type() == fault.Conflict.String()
}

func hintOf(err error) string {
	var e *fault.Error
	if errors.As(err, &e) {
		return e.Hint
	}
	return ""
}

func kindNamed(name string) fault.Kind {
	for k := fault.Unknown; k <= fault.Bug; k++ {
		if k.String() == name {
			return k
		}
	}
	return fault.Unknown
}
