package main

import "strings"

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
	from, says := 0, false
	piece := func(to int) string {
		if !says {
			return ""
		}
		return strings.TrimSpace(text[from:to])
	}
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case c == '\'' || c == '"':
			says = true
			n := strings.IndexByte(text[i+1:], c)
			if n < 0 {
				return queries, piece(len(text))
			}
			i += n + 1
		case strings.HasPrefix(text[i:], "--"):
			n := strings.IndexByte(text[i:], '\n')
			if n < 0 {
				return queries, piece(len(text))
			}
			i += n
		case strings.HasPrefix(text[i:], "/*"):
			n := strings.Index(text[i+2:], "*/")
			if n < 0 {
				says = true
				return queries, piece(len(text))
			}
			i += n + 3
		case c == ';':
			if says {
				queries = append(queries, piece(i))
			}
			from, says = i+1, false
		case c > ' ':
			says = true
		}
	}
	return queries, piece(len(text))
}
