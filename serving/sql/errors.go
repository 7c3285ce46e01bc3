package sql

import (
	"context"
	"errors"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/duckdb/duckdb-go/v2"
	"github.com/rivo/uniseg"

	"anabranch/fault"
	"anabranch/schemas"
)

// classify gives DuckDB's errors a kind: this is the edge where they are
// understood.
func classify(err error) error {
	var d *duckdb.Error
	if !errors.As(err, &d) {
		if strings.Contains(err.Error(), "empty name") { // the driver has no such type
			return fault.WithCode(fault.New(fault.Invalid, "a struct without names, such as (a, b), is not answered here: write {'a': a, 'b': b}"), "unnamed_struct")
		}
		if m := counted.FindStringSubmatch(err.Error()); m != nil { // nor for this
			return fault.WithCode(fault.New(fault.Invalid, "the query has %s parameters, and was given %s", m[2], m[1]), "parameters")
		}
		return fault.Wrap(fault.Transient, err)
	}
	if d.Msg == "" { // the driver's own: an argument that cannot be bound
		return fault.WithCode(fault.New(fault.Invalid, "%s", err.Error()), "sql")
	}
	d = &duckdb.Error{Type: d.Type, Msg: shortened(d.Msg)}
	switch d.Type {
	case duckdb.ErrorTypeOutOfMemory:
		return fault.WithCode(fault.New(fault.Throttled, "the query needs more memory than queries may have at this moment: %s", strings.SplitN(prefixed.ReplaceAllString(d.Msg, ""), "\n", 2)[0]), "memory_limit")
	case duckdb.ErrorTypeInterrupt:
		return fault.WithCode(fault.New(fault.Transient, "the query was interrupted"), "cancelled")
	case duckdb.ErrorTypeInternal, duckdb.ErrorTypeExecutor: // sturdy_linux.c makes the one of the other
		message, _, _ := strings.Cut(prefixed.ReplaceAllString(d.Msg, ""), "\n") // the rest tells addresses
		return fault.WithCode(fault.New(fault.Bug, "the engine has failed on this query, and on no other: %s", message), "engine_failed")
	case duckdb.ErrorTypeIO, duckdb.ErrorTypeFatal, duckdb.ErrorTypeSerialization:
		return fault.New(fault.Corrupt, "run the query: %s", d.Msg)
	case duckdb.ErrorTypePermission:
		return fault.New(fault.Denied, "%s", d.Msg)
	case duckdb.ErrorTypeInvalidInput:
		if strings.Contains(d.Msg, tooLong) {
			return fault.WithCode(fault.New(fault.Invalid, "%s", prefixed.ReplaceAllString(d.Msg, "")), "work_limit")
		}
	case duckdb.ErrorTypeConversion, duckdb.ErrorTypeMismatchType, duckdb.ErrorTypeOutOfRange:
		return fault.WithCode(fault.New(fault.Invalid, "%s", d.Msg), "conversion")
	}
	return fault.WithCode(fault.New(fault.Invalid, "%s", d.Msg), "sql")
}

// mostTold is how many bytes an error tells of what DuckDB says, which may hold
// all of a value.
const mostTold = 8 << 10

// shortened leaves out the middle of what is longer: its end tells the place.
func shortened(message string) string {
	if len(message) <= mostTold {
		return message
	}
	head, tail := mostTold/2, len(message)-mostTold/2
	for !utf8.RuneStart(message[head]) {
		head--
	}
	for !utf8.RuneStart(message[tail]) {
		tail++
	}
	return message[:head] + "..." + message[tail:]
}

// ended prefers why ctx has ended to what broke off because of it.
func ended(ctx context.Context, err error) error {
	if ctx.Err() == nil || err == nil {
		return err
	}
	cause := context.Cause(ctx)
	if fault.CodeOf(cause) != "" {
		return cause
	}
	return fault.WithCode(fault.New(fault.Transient, "the query was cancelled: %w", cause), "cancelled")
}

// What DuckDB's messages are made of.
var (
	counted   = regexp.MustCompile(`incorrect argument count for command: have (\d+) want (\d+)`)
	prefixed  = regexp.MustCompile(`^[A-Z][A-Za-z]+(?: [A-Z][A-Za-z]+)* Error: `)
	pointed   = regexp.MustCompile(`(?s)\n+LINE (\d+): ([^\n]*)\n( *)\^.*$`)
	noColumn  = regexp.MustCompile(`^Referenced column "(.+?)" (?:not found|was not found because the FROM clause is missing)|does not have a column named "(.+?)"`)
	candidate = regexp.MustCompile(`(?s)\n+Candidate bindings: .*$`)
	inCatalog = regexp.MustCompile(`"cut \d+"\.|\bcut \d+\.`)
	advice    = regexp.MustCompile(` Use "SET [^.]*\.`)
)

// explained is an error of running text in the reader's words: with its place,
// the nearest columns, and nothing of where things lie on this machine.
func (e *Engine) explained(err error, text wording, columns []string) error {
	if err == nil {
		return nil
	}
	kind, code, message := fault.KindOf(err), fault.CodeOf(err), err.Error()
	var d *duckdb.Error
	if errors.As(err, &d) || code == "sql" || code == "conversion" {
		message = prefixed.ReplaceAllString(message, "")
		message, at := cutPlace(message, text)
		if err := notListed(message, text.asked, columns); err != nil {
			return err
		}
		if m := noColumn.FindStringSubmatch(message); m != nil {
			word := m[1] + m[2]
			err = fault.WithCode(fault.New(fault.Invalid, "there is no column %q%s", word, at), "unknown_column")
			hint := nearColumns(word, columns)
			if strings.Contains(text.asked, strconv.Quote(word)) && !strings.HasPrefix(hint, "did you mean") {
				hint = "a text stands in single quotes, '" + word + "', a name in double ones. " + hint
			}
			return fault.WithHint(err, "%s", hint)
		}
		return fault.WithCode(fault.New(kind, "%s%s", e.hide(strings.Join(strings.Fields(message), " ")), at), code)
	}
	if hidden := e.hide(message); hidden != message {
		return fault.WithCode(fault.New(kind, "%s", hidden), code)
	}
	return err
}

func nearColumns(word string, columns []string) string {
	if len(columns) == 0 {
		return "the query reads no view"
	}
	_, last, qualified := strings.Cut(word, ".")
	if !qualified {
		last = word
	}
	near := ""
	if n := schemas.Nearest(last, columns); n != "" {
		near = "did you mean " + strconv.Quote(n) + "? "
	}
	return near + "There is " + strings.Join(columns, ", ")
}

// cutPlace takes the line that DuckDB shows off a message and returns where in
// the text that was asked it points at.
func cutPlace(message string, text wording) (rest, at string) {
	m := pointed.FindStringSubmatchIndex(message)
	if m == nil {
		return message, ""
	}
	rest = message[:m[0]]
	line, _ := strconv.Atoi(message[m[2]:m[3]])
	shown := message[m[4]:m[5]]
	under := m[7] - m[6] - len("LINE : ") - (m[3] - m[2]) // the caret's column in what is shown
	begin := 0                                            // of the line in what runs
	for range line - 1 {
		end := strings.IndexByte(text.runs[begin:], '\n')
		if end < 0 {
			return rest, ""
		}
		begin += end + 1
	}
	whole, _, _ := strings.Cut(text.runs[begin:], "\n")
	// A long line is shown in part, between dots.
	part := strings.TrimSuffix(shown, "...")
	if cut := strings.TrimPrefix(part, "..."); len(cut) < len(part) {
		part, under = cut, under-len("...")
	}
	from := strings.Index(whole, part)
	if from < 0 || under < 0 {
		return rest, " (line " + strconv.Itoa(line) + ")"
	}
	return rest, placeAt(text.asked, text.back(begin+from+underneath(part, under)))
}

// underneath returns how many bytes of a line are before a column of it as it is
// shown, where some characters take two columns and others none.
func underneath(line string, columns int) int {
	rest, state := line, -1
	for columns > 0 && rest != "" {
		var width int
		_, rest, width, state = uniseg.FirstGraphemeClusterInString(rest, state)
		columns -= width
	}
	return len(line) - len(rest)
}

// hide takes the names of folders and of cuts out of a message.
func (e *Engine) hide(message string) string {
	message = candidate.ReplaceAllString(message, "")
	message = inCatalog.ReplaceAllString(advice.ReplaceAllString(message, ""), "")
	return e.folders.ReplaceAllString(message, "a local file")
}

// folders matches what lies in the folders that the engine may read.
func folders(dirs []string) *regexp.Regexp {
	quoted := make([]string, 0, len(dirs)+1)
	for _, d := range dirs {
		quoted = append(quoted, regexp.QuoteMeta(strings.TrimRight(d, "/"))+`(?:/[^\s"']*)?`)
	}
	if len(quoted) == 0 {
		return regexp.MustCompile(`$^`)
	}
	return regexp.MustCompile(strings.Join(quoted, "|"))
}
