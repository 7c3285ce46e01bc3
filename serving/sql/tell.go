package sql

import (
	"bytes"
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/duckdb/duckdb-go/v2"
)

// Type is a type of DuckDB, by which values are told: what a list holds tells a
// date from a timestamp.
type Type struct {
	Name   string // without parameters; LIST of lists and arrays
	Params string // such as 38,3 of a decimal
	Elem   *Type  // of a list or an array
	Names  []string
	Fields []*Type // of a struct or a union; of a map key and value
}

// TypeNamed reads the name of a type such as STRUCT("a" INTEGER, "b" DATE[])[].
func TypeNamed(duck string) *Type {
	duck = strings.TrimSpace(duck)
	if strings.HasSuffix(duck, "]") {
		return &Type{Name: "LIST", Elem: TypeNamed(duck[:strings.LastIndexByte(duck, '[')])}
	}
	name, inner, _ := strings.Cut(duck, "(")
	inner = strings.TrimSuffix(inner, ")")
	t := &Type{Name: name}
	switch name {
	case "STRUCT", "UNION":
		for _, part := range commas(inner) {
			field, rest := identifier(part)
			t.Names, t.Fields = append(t.Names, field), append(t.Fields, TypeNamed(rest))
		}
	case "MAP":
		for _, part := range commas(inner) {
			t.Fields = append(t.Fields, TypeNamed(part))
		}
	default:
		t.Params = inner
	}
	return t
}

// identifier cuts the name off a field; quotes in a quoted one are doubled.
func identifier(s string) (name, rest string) {
	if !strings.HasPrefix(s, `"`) {
		name, rest, _ = strings.Cut(s, " ")
		return name, rest
	}
	for i := 1; i < len(s); i++ {
		if s[i] != '"' {
			continue
		}
		if i+1 < len(s) && s[i+1] == '"' {
			i++
			continue
		}
		return strings.ReplaceAll(s[1:i], `""`, `"`), s[i+1:]
	}
	return s, ""
}

// commas splits at the commas that stand in no parentheses and no quotes.
func commas(s string) []string {
	var out []string
	depth, from := 0, 0
	quote := byte(0)
	for i := range len(s) {
		switch c := s[i]; {
		case quote != 0:
			if c == quote { // a doubled one ends and begins
				quote = 0
			}
		case c == '"' || c == '\'':
			quote = c
		case c == '(':
			depth++
		case c == ')':
			depth--
		case c == ',' && depth == 0:
			out = append(out, strings.TrimSpace(s[from:i]))
			from = i + 1
		}
	}
	return append(out, strings.TrimSpace(s[from:]))
}

// untyped is the type of what is inside a type that does not tell.
var untyped = &Type{}

// A Teller appends the text of a value that has no parts, never nil, in a
// door's words. Bare tells that JSON has it as it stands: a number, true, null.
type Teller func(dst []byte, t *Type, v any) (out []byte, bare bool)

// AppendJSON appends a value as JSON: lists, structs and maps as such, JSON as
// it was given, all else as tell has it, and the keys of maps, which are texts in
// JSON, as key does: those that have parts are the text of their JSON.
func AppendJSON(dst []byte, t *Type, v any, tell, key Teller) []byte {
	switch x := v.(type) {
	case nil:
		return append(dst, "null"...)
	case JSON:
		return x.append(dst)
	case []any:
		elem := t.Elem
		if elem == nil {
			elem = untyped
		}
		dst = append(dst, '[')
		for i, e := range x {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = AppendJSON(dst, elem, e, tell, key)
		}
		return append(dst, ']')
	case map[string]any:
		if len(t.Names) == 0 {
			break
		}
		dst = append(dst, '{')
		for i, name := range t.Names {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = append(AppendQuoted(dst, name), ':')
			dst = AppendJSON(dst, t.Fields[i], x[name], tell, key)
		}
		return append(dst, '}')
	case duckdb.OrderedMap:
		if len(t.Fields) != 2 {
			break
		}
		dst = append(dst, '{')
		values := x.Values()
		for i, k := range x.Keys() {
			if i > 0 {
				dst = append(dst, ',')
			}
			from := len(dst)
			switch k.(type) {
			case []any, map[string]any, duckdb.OrderedMap, duckdb.Union:
				dst = AppendJSON(dst, t.Fields[0], k, tell, key)
			default:
				dst, _ = key(dst, t.Fields[0], k)
			}
			dst = append(quotedFrom(dst, from), ':')
			dst = AppendJSON(dst, t.Fields[1], values[i], tell, key)
		}
		return append(dst, '}')
	case duckdb.Union:
		for i, name := range t.Names {
			if name == x.Tag {
				return AppendJSON(dst, t.Fields[i], x.Value, tell, key)
			}
		}
	}
	from := len(dst)
	dst, bare := tell(dst, t, v)
	if bare {
		return dst
	}
	return quotedFrom(dst, from)
}

// append appends the document on one line; what is none, as a text.
func (j JSON) append(dst []byte) []byte {
	var b bytes.Buffer
	if err := json.Compact(&b, []byte(j)); err != nil {
		return AppendQuoted(dst, string(j))
	}
	return append(dst, b.Bytes()...)
}

// quotedFrom makes a string of JSON of what dst has behind from.
func quotedFrom(dst []byte, from int) []byte {
	return AppendQuoted(dst[:from], string(dst[from:]))
}

// AppendScaled appends a decimal of so many digits behind its point.
func AppendScaled(dst []byte, unscaled int64, scale int) []byte {
	n := uint64(unscaled)
	if unscaled < 0 {
		dst, n = append(dst, '-'), -n
	}
	from := len(dst)
	dst = strconv.AppendUint(dst, n, 10)
	if scale == 0 {
		return dst
	}
	for len(dst)-from <= scale { // 0.05 of 5
		dst = slices.Insert(dst, from, '0')
	}
	return slices.Insert(dst, len(dst)-scale, '.')
}

// AppendQuoted appends a string of JSON.
func AppendQuoted[S string | []byte](dst []byte, s S) []byte {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c == '"' || c == '\\' || c == '<' || c == '>' || c == '&' || c >= utf8.RuneSelf {
			text, err := json.Marshal(string(s))
			if err != nil {
				return append(dst, `""`...)
			}
			return append(dst, text...)
		}
	}
	return append(append(append(dst, '"'), s...), '"')
}
