package temporalserver

import "fmt"

// Error is what this package reports. Its kind is a name of package fault,
// which stands on the same floor and is therefore not imported.
type Error struct {
	Kind string // "invalid" or "transient"
	Err  error
}

func (e *Error) Error() string { return e.Err.Error() }

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// FaultKind tells package fault the kind of the error.
func (e *Error) FaultKind() string { return e.Kind }

func invalid(format string, args ...any) error {
	return &Error{"invalid", fmt.Errorf(format, args...)}
}

func transient(format string, args ...any) error {
	return &Error{"transient", fmt.Errorf(format, args...)}
}
