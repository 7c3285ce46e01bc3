package pgwire

import (
	"slices"
	"strings"
	"unicode/utf8"
)

// A token is a piece of SQL text that means something; space and comments lie
// between tokens.
type token struct {
	kind  tokenKind
	text  string // as written
	start int    // byte offset in the text
}

type tokenKind byte

const (
	word   tokenKind = iota // identifier or keyword without quotes
	quoted                  // "identifier"
	str                     // 'text', E'text', $$text$$
	number
	param // $1
	sign  // operators and punctuation
)

func (t token) end() int { return t.start + len(t.text) }

// is reports whether the token is this keyword or sign.
func (t token) is(s string) bool {
	return (t.kind == word || t.kind == sign) && strings.EqualFold(t.text, s)
}

// name is the identifier that a token names: folded to lower case unless it
// is quoted. Empty for other tokens.
func (t token) name() string {
	switch t.kind {
	case word:
		return strings.ToLower(t.text)
	case quoted:
		if len(t.text) < 2 {
			return ""
		}
		return strings.ReplaceAll(t.text[1:len(t.text)-1], `""`, `"`)
	}
	return ""
}

// value is what a string means.
func (t token) value() string {
	s := t.text
	if t.kind != str || len(s) < 2 {
		return s
	}
	switch {
	case s[0] == '$':
		n := strings.IndexByte(s[1:], '$') + 2
		if len(s) < 2*n {
			return ""
		}
		return s[n : len(s)-n]
	case s[0] == '\'':
		return strings.ReplaceAll(s[1:len(s)-1], "''", "'")
	}
	s = strings.ReplaceAll(s[2:len(s)-1], "''", "'")
	return strings.NewReplacer(`\\`, `\`, `\'`, `'`, `\n`, "\n", `\t`, "\t", `\r`, "\r").Replace(s)
}

// lex splits SQL into tokens. What is not closed ends with the text: the
// parser behind tells about it.
func lex(s string) []token {
	var out []token
	for i := 0; i < len(s); {
		c := s[i]
		switch {
		case c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f' || c == '\v':
			i++
			continue
		case strings.HasPrefix(s[i:], "--"):
			n := strings.IndexByte(s[i:], '\n')
			if n < 0 {
				return out
			}
			i += n + 1
			continue
		case strings.HasPrefix(s[i:], "/*"):
			i = comment(s, i)
			continue
		}
		kind, end := next(s, i)
		out = append(out, token{kind, s[i:end], i})
		i = end
	}
	return out
}

// comment returns where a block comment ends that begins at i; they nest.
func comment(s string, i int) int {
	depth := 0
	for ; i < len(s); i++ {
		switch {
		case strings.HasPrefix(s[i:], "/*"):
			depth++
			i++
		case strings.HasPrefix(s[i:], "*/"):
			depth--
			i++
			if depth == 0 {
				return i + 1
			}
		}
	}
	return len(s)
}

func next(s string, i int) (tokenKind, int) {
	c := s[i]
	switch {
	case c == '\'':
		return str, closing(s, i+1, '\'', false)
	case (c == 'e' || c == 'E') && i+1 < len(s) && s[i+1] == '\'':
		return str, closing(s, i+2, '\'', true)
	case c == '"':
		return quoted, closing(s, i+1, '"', false)
	case c == '$':
		j := i + 1
		for j < len(s) && '0' <= s[j] && s[j] <= '9' {
			j++
		}
		if j > i+1 {
			return param, j
		}
		for j < len(s) && letter(s[j]) {
			j++
		}
		if j < len(s) && s[j] == '$' {
			tag := s[i : j+1]
			if n := strings.Index(s[j+1:], tag); n >= 0 {
				return str, j + 1 + n + len(tag)
			}
			return str, len(s)
		}
		return sign, i + 1
	case '0' <= c && c <= '9', c == '.' && i+1 < len(s) && '0' <= s[i+1] && s[i+1] <= '9':
		j := i + 1
		for j < len(s) && (letter(s[j]) || s[j] == '.' || (s[j] == '+' || s[j] == '-') && (s[j-1] == 'e' || s[j-1] == 'E')) {
			j++
		}
		return number, j
	case letter(c):
		j := i + 1
		for j < len(s) && (letter(s[j]) || s[j] == '$') {
			j++
		}
		return word, j
	}
	for _, op := range []string{"!~~*", "!~~", "~~*", "!~*", "->>", "#>>", "::", "<=", ">=", "<>", "!=", "||", "->", "=>", ":=", "!~", "~~", "~*", "#>", "@>", "<@", "&&", "**", "<<", ">>"} {
		if strings.HasPrefix(s[i:], op) {
			return sign, i + len(op)
		}
	}
	_, n := utf8.DecodeRuneInString(s[i:])
	return sign, i + n
}

func letter(c byte) bool {
	return c == '_' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c >= 0x80
}

// closing returns the end of a text that is quoted by q and began before i. A
// doubled q stands for itself.
func closing(s string, i int, q byte, escapes bool) int {
	for ; i < len(s); i++ {
		switch {
		case escapes && s[i] == '\\':
			i++
		case s[i] == q && i+1 < len(s) && s[i+1] == q:
			i++
		case s[i] == q:
			return i + 1
		}
	}
	return len(s)
}

// A statement is one of the statements of a query string.
type statement struct {
	text   string
	tokens []token // their start is in text
	origin origin
}

// split cuts a query string at its semicolons. Empty statements are left out.
func split(s string) []statement {
	var out []statement
	all := lex(s)
	for len(all) > 0 {
		n := 0
		for n < len(all) && !all[n].is(";") {
			n++
		}
		if n > 0 {
			first := all[0].start
			st := statement{text: s[first:all[n-1].end()], tokens: all[:n:n], origin: origin{sent: s, base: first}}
			for i := range st.tokens {
				st.tokens[i].start -= first
			}
			out = append(out, st)
		}
		all = all[min(n+1, len(all)):]
	}
	return out
}

// begins reports whether the statement begins with these keywords.
func (s statement) begins(words ...string) bool {
	if len(s.tokens) < len(words) {
		return false
	}
	for i, w := range words {
		if !s.tokens[i].is(w) {
			return false
		}
	}
	return true
}

// arguments returns what stands between the commas of the call whose
// parenthesis opens at i, and where it closes.
func arguments(toks []token, i int) (list [][]token, end int) {
	from, depth := i+1, 0
	for end = i; end < len(toks); end++ {
		switch t := toks[end]; {
		case t.is("("), t.is("["):
			depth++
		case t.is(")"), t.is("]"):
			depth--
		}
		if depth == 0 || depth == 1 && toks[end].is(",") {
			list = append(list, slices.Clone(toks[from:end]))
			from = end + 1
		}
		if depth == 0 {
			break
		}
	}
	return list, end
}
