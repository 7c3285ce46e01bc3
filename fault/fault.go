// Package fault says what kind of error an error is.
//
// Every error answers one question for its caller: what shall I do now? Kind
// is that answer. It is decided once, where the foreign error is understood
// (the S3 driver, the NATS driver, the decoder), and never guessed from text
// further in.
package fault

import (
	"context"
	"errors"
	"fmt"
)

// Kind is the answer to "what shall I do now?". Kinds are stored in dead
// letters and cross the wire, so new ones are added at the end and none is
// ever renumbered.
type Kind uint8

// The kinds, each with what its receiver does.
const (
	Unknown   Kind = iota // nobody said: treated as Transient, and a reason to mend the edge it came from
	Transient             // try again, soon
	Throttled             // try again, later: the receiver is full or busy
	Poison                // this event never: it becomes a dead letter
	Conflict              // somebody else won: read and decide
	Corrupt               // stop and keep the bytes: what was read is not what was written
	Denied                // not allowed: credentials or policy
	Invalid               // the caller's mistake: say what and where
	NotFound              // there is no such thing
	Full                  // no room left: writing stops, reading goes on
	Bug                   // cannot happen
)

var names = [...]string{"unknown", "transient", "throttled", "poison", "conflict", "corrupt", "denied", "invalid", "not_found", "full", "bug"}

func (k Kind) String() string {
	if int(k) < len(names) {
		return names[k]
	}
	return fmt.Sprintf("kind(%d)", uint8(k))
}

// Retryable reports whether the same call may succeed later without anyone
// changing anything.
func (k Kind) Retryable() bool {
	return k == Unknown || k == Transient || k == Throttled || k == Full
}

// Error is an error of a known kind, with what an operator needs to act.
type Error struct {
	Kind Kind
	Code string // short and stable, for scripts and metrics: "zero_price", "schema_mismatch"; may be empty
	Hint string // what to do, a whole sentence; may be empty
	Err  error
}

func (e *Error) Error() string {
	if e.Hint == "" {
		return e.Err.Error()
	}
	return e.Err.Error() + ": " + e.Hint
}

// Unwrap returns the error that was classified.
func (e *Error) Unwrap() error { return e.Err }

// New returns an error of kind k whose text is formatted like fmt.Errorf.
func New(k Kind, format string, args ...any) error {
	return &Error{Kind: k, Err: fmt.Errorf(format, args...)}
}

// Wrap classifies err as k. It returns nil for a nil err, and leaves an error
// that already has a kind as it is: the edge nearest to the cause knows best.
func Wrap(k Kind, err error) error {
	if err == nil {
		return nil
	}
	if KindOf(err) != Unknown {
		return err
	}
	return &Error{Kind: k, Err: err}
}

// WithHint adds what to do to err, keeping its kind.
func WithHint(err error, format string, args ...any) error {
	if err == nil {
		return nil
	}
	return &Error{Kind: KindOf(err), Code: CodeOf(err), Hint: fmt.Sprintf(format, args...), Err: err}
}

// WithCode adds a stable code to err, keeping its kind.
func WithCode(err error, code string) error {
	if err == nil {
		return nil
	}
	return &Error{Kind: KindOf(err), Code: code, Err: err}
}

// KindOf returns the kind nearest to the caller in err's chain. A cancelled
// or expired context is Transient; an error that nobody classified is Unknown.
func KindOf(err error) Kind {
	var e *Error
	var n named
	switch {
	case errors.As(err, &e):
		return e.Kind
	case errors.As(err, &n):
		return kindNamed(n.FaultKind())
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return Transient
	}
	return Unknown
}

// named is an error from a package too low to import this one, which tells its
// kind by name.
type named interface {
	error
	FaultKind() string
}

func kindNamed(name string) Kind {
	for k, n := range names {
		if n == name {
			return Kind(k)
		}
	}
	return Unknown
}

// CodeOf returns the first non-empty code in err's chain, or "".
func CodeOf(err error) string {
	for err != nil {
		var e *Error
		if !errors.As(err, &e) {
			return ""
		}
		if e.Code != "" {
			return e.Code
		}
		err = e.Err
	}
	return ""
}

// Is reports whether err is of kind k.
func Is(err error, k Kind) bool { return err != nil && KindOf(err) == k }
