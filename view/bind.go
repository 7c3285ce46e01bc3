package view

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"github.com/duckdb/duckdb-go/v2"

	"anabranch/fault"
)

// duck is the database of a Compiler, asked about one text.
type duck struct {
	db  *sql.DB
	src Source
	off int // bytes put in front of src.SQL before DuckDB sees it
}

func quote(name string) string { return `"` + strings.ReplaceAll(name, `"`, `""`) + `"` }

// parse returns the one SELECT in text.
func (d *duck) parse(ctx context.Context, text string) (*astSelect, error) {
	var raw string
	if err := d.db.QueryRowContext(ctx, "SELECT json_serialize_sql(?::VARCHAR)::VARCHAR", text).Scan(&raw); err != nil {
		return nil, d.foreign(ctx, "parse", err)
	}
	var a astAnswer
	if err := json.Unmarshal([]byte(raw), &a); err != nil {
		return nil, fault.Wrap(fault.Bug, fmt.Errorf("read duckdb's tree of %s: %w", d.src.Name, err))
	}
	if a.Error {
		at := -1
		if p, err := strconv.Atoi(a.Position); err == nil {
			at = p
		}
		if d.off > 0 && at >= d.off+len(d.src.SQL) {
			return nil, d.problem(d.off+len(d.src.SQL), "syntax error at the end of the expression", "")
		}
		if strings.Contains(a.Message, "Only SELECT") {
			return nil, d.problem(0, "this is not a SELECT", "a view is one SELECT ... FROM events GROUP BY ALL")
		}
		return nil, d.problem(at, a.Message, "")
	}
	if len(a.Statements) != 1 {
		return nil, d.problem(-1, fmt.Sprintf("%d statements where one is wanted", len(a.Statements)), "write one SELECT ... FROM events GROUP BY ALL")
	}
	return a.Statements[0].Node, nil
}

// column is one column of a SELECT, as DuckDB names and types it.
type column struct{ name, typ string }

// describe binds text and returns the columns of its answer.
func (d *duck) describe(ctx context.Context, text string) ([]column, error) {
	rows, err := d.db.QueryContext(ctx, "SELECT column_name, column_type FROM (DESCRIBE "+strings.TrimRight(text, "; \t\r\n")+"\n)")
	if err != nil {
		return nil, d.foreign(ctx, "bind", err)
	}
	defer rows.Close()
	var cols []column
	for rows.Next() {
		var c column
		if err := rows.Scan(&c.name, &c.typ); err != nil {
			return nil, d.foreign(ctx, "bind", err)
		}
		cols = append(cols, c)
	}
	return cols, rows.Err()
}

// interval returns the months, days and microseconds of an interval's text.
func (d *duck) interval(ctx context.Context, text string) (interval, error) {
	var v duckdb.Interval
	if err := d.db.QueryRowContext(ctx, "SELECT CAST(? AS INTERVAL)", text).Scan(&v); err != nil {
		return interval{}, err
	}
	return interval{int64(v.Months), int64(v.Days), v.Micros}, nil
}

// foreign turns an error of DuckDB into a Problem with a place, or into an
// error of another kind when it is not about the text.
func (d *duck) foreign(ctx context.Context, doing string, err error) error {
	if ctx.Err() != nil {
		return fault.Wrap(fault.Transient, fmt.Errorf("%s %s: %w", doing, d.src.Name, ctx.Err()))
	}
	message, at := d.excerpt(err.Error())
	kind, rest, ok := strings.Cut(message, " Error: ")
	switch {
	case ok && (kind == "Binder" || kind == "Catalog" || kind == "Parser" || kind == "Conversion" || kind == "Invalid Input" || kind == "Out of Range" || kind == "Invalid Type"):
		message = rest
	case ok && kind == "Not implemented":
		message = "not implemented: " + rest
	default:
		return fault.Wrap(fault.Bug, fmt.Errorf("%s %s: %w", doing, d.src.Name, err))
	}
	if strings.Contains(message, "must appear in the GROUP BY clause") {
		message, _, _ = strings.Cut(message, ". Either")
		message, _, _ = strings.Cut(message, ".\nEither")
		return d.problem(at, strings.Join(strings.Fields(message), " "), "add GROUP BY ALL")
	}
	message, hint := candidates(message)
	return d.problem(at, message, hint)
}

var excerptLine = regexp.MustCompile(`(?s)\n+LINE (\d+): ([^\n]*)\n( *)\^.*$`)

// excerpt takes the quoted line with its caret off a message of DuckDB's and
// finds its place in the text, -1 when it cannot.
func (d *duck) excerpt(message string) (string, int) {
	m := excerptLine.FindStringSubmatchIndex(message)
	if m == nil {
		return strings.TrimSpace(message), -1
	}
	number, shown := message[m[2]:m[3]], message[m[4]:m[5]]
	caret := (m[7] - m[6]) - len("LINE "+number+": ")
	text := strings.TrimSpace(message[:m[0]])
	line, _ := strconv.Atoi(number)
	lines := strings.SplitAfter(d.prefix()+d.src.SQL, "\n")
	if line < 1 || line > len(lines) || caret < 0 {
		return text, -1
	}
	at := 0
	for _, l := range lines[:line-1] {
		at += len(l)
	}
	// The excerpt is the line, or a part of it between "...", behind the words
	// that describe put in front of the first line.
	if line == 1 {
		shown = strings.TrimPrefix(shown, "SELECT column_name, column_type FROM (DESCRIBE ")
		caret -= len(message[m[4]:m[5]]) - len(shown)
	}
	part := shown
	if strings.HasPrefix(part, "...") {
		part = part[3:]
		caret -= 3
	}
	part = strings.TrimSuffix(part, "...")
	for len(part) > 0 {
		if i := strings.Index(lines[line-1], part); i >= 0 && caret >= 0 {
			return text, at + i + caret
		}
		// The excerpt may begin inside the words in front of our text.
		part, caret = part[1:], caret-1
	}
	return text, -1
}

func (d *duck) prefix() string {
	if d.off > 0 {
		return predicatePrefix
	}
	return ""
}

var (
	bindings = regexp.MustCompile(`(?s)\s*Candidate bindings: (.*)$`)
	meant    = regexp.MustCompile(`(?s)\s*Did you mean "([^"]*)".*$`)
	overload = regexp.MustCompile(`(?s)\s*(You might need to add explicit type casts\.|In order to select one, please add explicit type casts\.)?\s*Candidate functions:.*$`)
)

// candidates splits DuckDB's suggestions off its message.
func candidates(message string) (text, hint string) {
	if m := bindings.FindStringSubmatchIndex(message); m != nil {
		names := strings.ReplaceAll(strings.TrimSpace(message[m[2]:m[3]]), "\n", " ")
		text, hint = message[:m[0]], "did you mean "+strings.ReplaceAll(names, `", "`, `" or "`)+"?"
	} else if m := meant.FindStringSubmatchIndex(message); m != nil {
		text, hint = message[:m[0]], `did you mean "`+message[m[2]:m[3]]+`"?`
	} else if m := overload.FindStringIndex(message); m != nil {
		text, hint = message[:m[0]], "the types do not fit: add a CAST"
	} else {
		text = message
	}
	text = strings.TrimSuffix(strings.Join(strings.Fields(text), " "), "!")
	return strings.TrimSuffix(text, "."), hint
}
