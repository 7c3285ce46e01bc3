package event

import "fmt"

// Error is what this package reports. It stands on the lowest floor, so it
// names its kind for package fault instead of importing it.
type Error struct {
	Kind string // "corrupt", "invalid" or "bug", as in package fault
	Text string
}

func (e *Error) Error() string { return e.Text }

// FaultKind tells package fault the kind of the error.
func (e *Error) FaultKind() string { return e.Kind }

func corrupt(format string, args ...any) error {
	return &Error{"corrupt", fmt.Sprintf(format, args...)}
}

func invalid(format string, args ...any) error {
	return &Error{"invalid", fmt.Sprintf(format, args...)}
}
