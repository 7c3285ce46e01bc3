package schemas

import (
	"fmt"
	"strings"
)

// Problem is one mistake in a schema or pipeline definition, with its place.
// Its kind is fault.Invalid.
type Problem struct {
	File         string // as given by the reader of the file; empty when there was none
	Line, Column int    // 1-based; 0 when the place is not known
	Field        string // the schema field it is about, when it is about one
	Message      string // what is wrong
	Hint         string // what to do; may be empty
}

func (p *Problem) Error() string {
	var b strings.Builder
	if p.File != "" {
		b.WriteString(p.File)
		b.WriteByte(':')
	}
	if p.Line > 0 {
		fmt.Fprintf(&b, "%d:%d:", p.Line, p.Column)
	}
	if b.Len() > 0 {
		b.WriteByte(' ')
	}
	if p.Field != "" {
		fmt.Fprintf(&b, "field %q: ", p.Field)
	}
	b.WriteString(p.Message)
	if p.Hint != "" {
		b.WriteString(": ")
		b.WriteString(p.Hint)
	}
	return b.String()
}

// FaultKind tells package fault the kind of the error.
func (p *Problem) FaultKind() string { return "invalid" }

// Problems are all the mistakes of one definition, in order of file and line.
type Problems []Problem

func (p Problems) Error() string {
	lines := make([]string, len(p))
	for i := range p {
		lines[i] = p[i].Error()
	}
	return strings.Join(lines, "\n")
}

// FaultKind tells package fault the kind of the error.
func (p Problems) FaultKind() string { return "invalid" }
