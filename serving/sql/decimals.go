package sql

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/duckdb/duckdb-go/v2"
)

// exactly are the edits that give parameters the types of their decimals. Those
// travel as text, of which DuckDB would make what stands beside it: 1.5 would be 2
// beside a BIGINT, and 1.504 equal to a DECIMAL(10,2) of 1.50.
func exactly(text string, args []any) (edits []edit) {
	if !slices.ContainsFunc(args, func(v any) bool { _, ok := v.(duckdb.Decimal); return ok }) {
		return nil
	}
	for _, at := range parametersIn(text) {
		if at.number < 1 || at.number > len(args) {
			continue
		}
		if d, ok := args[at.number-1].(duckdb.Decimal); ok {
			words := fmt.Sprintf("CAST(%s AS DECIMAL(%d,%d))", text[at.from:at.to], d.Width, d.Scale)
			edits = append(edits, edit{at.from, at.to, func(context.Context, *sql.Conn, *epoch) (string, error) { return words, nil }})
		}
	}
	return edits
}

// parameter is one of a text, $1 or ?, and which bytes of it.
type parameter struct{ number, from, to int }

// parametersIn finds the parameters of a text, whose tree does not tell where
// they stand: outside of quotes and comments.
func parametersIn(text string) (found []parameter) {
	// past returns what is behind the next end, or the end of the text.
	past := func(from int, end string) int {
		if n := strings.Index(text[from:], end); n >= 0 {
			return from + n + len(end)
		}
		return len(text)
	}
	asked := 0
	for i := 0; i < len(text); {
		rest := text[i:]
		switch c := text[i]; {
		case c == '\'' && i > 0 && (text[i-1] == 'e' || text[i-1] == 'E') && (i == 1 || !inName(text[i-2])):
			for i++; i < len(text) && text[i] != '\''; i++ {
				if text[i] == '\\' {
					i++
				}
			}
			i++
		case c == '\'' || c == '"':
			i = past(i+1, string(c))
		case strings.HasPrefix(rest, "--"):
			i = past(i, "\n")
		case strings.HasPrefix(rest, "/*"):
			depth := 1
			for i += 2; i < len(text) && depth > 0; i++ {
				switch {
				case strings.HasPrefix(text[i:], "/*"):
					depth, i = depth+1, i+1
				case strings.HasPrefix(text[i:], "*/"):
					depth, i = depth-1, i+1
				}
			}
		case c == '?':
			asked++
			found = append(found, parameter{asked, i, i + 1})
			i++
		case c == '$':
			end := i + 1
			for end < len(text) && inName(text[end]) {
				end++
			}
			if n, err := strconv.Atoi(text[i+1 : end]); err == nil {
				found = append(found, parameter{n, i, end})
			} else if end < len(text) && text[end] == '$' { // $tag$ ... $tag$
				end = past(end+1, text[i:end+1])
			}
			i = end
		case inName(c):
			for i < len(text) && (inName(text[i]) || text[i] == '$') { // a name may have $ in it
				i++
			}
		default:
			i++
		}
	}
	return found
}

func inName(c byte) bool {
	return c == '_' || c >= 0x80 || c >= '0' && c <= '9' || c|0x20 >= 'a' && c|0x20 <= 'z'
}
