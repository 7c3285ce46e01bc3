package view

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// Problem is one mistake in the text of a view or rule, with its place.
type Problem struct {
	File         string
	Line, Column int // from 1, columns count characters; 0 when the place is not known
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

// problem returns a Problem at byte at of the text DuckDB saw; -1 = unknown.
func (d *duck) problem(at int, message, hint string) error {
	p := &Problem{File: d.src.File, Message: message, Hint: hint}
	if p.File == "" {
		p.File = d.src.Name
	}
	if at -= d.off; at >= 0 {
		before := d.src.SQL[:min(at, len(d.src.SQL))]
		last := strings.LastIndexByte(before, '\n')
		p.Line = 1 + strings.Count(before, "\n")
		p.Column = 1 + utf8.RuneCountInString(before[last+1:])
		if d.src.Line > 0 {
			if p.Line == 1 {
				p.Column += max(d.src.Column, 1) - 1
			}
			p.Line += d.src.Line - 1
		}
	} else if d.src.Line > 0 {
		p.Line, p.Column = d.src.Line, max(d.src.Column, 1)
	}
	return p
}
