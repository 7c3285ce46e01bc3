package view

import (
	"fmt"
	"strings"
)

// Problem is one mistake in the text of a view or rule, with its place.
type Problem struct {
	File         string
	Line, Column int // from 1; 0 when the place is not known
	Message      string
	Hint         string // what to write instead, or ""
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
	b.WriteString(p.Message)
	if p.Hint != "" {
		b.WriteString("; ")
		b.WriteString(p.Hint)
	}
	return b.String()
}

// FaultKind tells package fault that a problem is the caller's mistake.
func (p *Problem) FaultKind() string { return "invalid" }
