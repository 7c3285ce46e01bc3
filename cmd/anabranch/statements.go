package main

import (
	"strings"

	"anabranch/internal/sqltext"
)

// complete reports whether a text is a command, or has nothing that ; outside of
// quotes and comments does not end.
func complete(text string) bool {
	text = strings.TrimSpace(text)
	if strings.HasPrefix(text, `\`) {
		return true
	}
	_, rest := split(text)
	return rest == ""
}

// split returns the queries of a text, which ; outside of quotes and comments
// ends, and what is behind the last of them. What says nothing, being space and
// comments, is left out; a comment that has no end yet says something.
func split(text string) (queries []string, rest string) {
	tokens, closed := sqltext.Read(text)
	from, says := 0, false
	for _, t := range tokens {
		if !t.Is(";") {
			says = true
			continue
		}
		if says {
			queries = append(queries, strings.TrimSpace(text[from:t.Start]))
		}
		from, says = t.End(), false
	}
	if says || !closed {
		rest = strings.TrimSpace(text[from:])
	}
	return queries, rest
}
