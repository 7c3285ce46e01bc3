package pgwire

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/duckdb/duckdb-go/v2"

	"anabranch/fault"
	"anabranch/internal/sqltext"
)

// DuckDB takes no list as an argument. So arrays travel as text, and the
// parameter is cast to a list where it stands.

// withArrays writes the casts, and takes down in declared what is an array.
func withArrays(st statement, declared []uint32) statement {
	var edits []edit
	at := func(i int) token {
		if i < 0 || i >= len(st.tokens) {
			return token{Kind: sqltext.Sign}
		}
		return st.tokens[i]
	}
	for i, t := range st.tokens {
		if t.Kind != sqltext.Parameter {
			continue
		}
		oid := &declared[t.Place()-1]
		elem := elementOf(*oid)
		switch {
		case at(i+1).Is("::") && castOf(st.tokens[i+2:]) != 0:
			if *oid == 0 || *oid == 25 || *oid == 705 {
				*oid = arrayOf(castOf(st.tokens[i+2:]))
			}
			continue
		case at(i-1).Is("(") && (at(i-2).Is("any") || at(i-2).Is("all") || at(i-2).Is("some")) && at(i+1).Is(")"):
			if elem == 0 {
				elem = 25
				*oid = 1009
			}
		case elem == 0:
			continue
		}
		edits = append(edits, edit{t.Start, t.End(), fmt.Sprintf("CAST(%s AS %s[])", t.Text, duckName(elem))})
	}
	return st.edited(edits)
}

// withLists writes x = ANY('{a,b}') as x IN ('a', 'b'), and x <> ALL as NOT IN:
// the elements are then of the type that x has, as in PostgreSQL.
func withLists(st statement) statement {
	var edits []edit
	at := func(i int) token {
		if i < len(st.tokens) {
			return st.tokens[i]
		}
		return token{Kind: sqltext.Sign}
	}
	for i, t := range st.tokens {
		in := ""
		switch {
		case t.Is("=") && (at(i+1).Is("any") || at(i+1).Is("some")):
			in = "IN"
		case (t.Is("<>") || t.Is("!=")) && at(i+1).Is("all"):
			in = "NOT IN"
		}
		if in == "" || !at(i+2).Is("(") || at(i+3).Kind != sqltext.String {
			continue
		}
		end, named := i+4, ""
		if at(end).Is("::") && regTypes[at(end+1).Name()] {
			named = "::" + at(end+1).Name() // what the catalog knows by names and by numbers
		}
		if at(end).Is("::") && castOf(st.tokens[end+1:]) != 0 {
			for end++; !at(end).Is("]"); end++ {
			}
			end++
		}
		list, err := parseArray(at(i + 3).Value())
		if err != nil || !at(end).Is(")") {
			continue
		}
		elements := make([]string, len(list))
		for k, v := range list {
			elements[k] = "NULL"
			if text, ok := v.(string); ok {
				elements[k] = sqlText(text) + named
			}
		}
		if len(list) == 0 {
			elements = []string{"SELECT NULL WHERE false"}
		}
		edits = append(edits, edit{t.Start, at(end).End(), in + " (" + strings.Join(elements, ", ") + ")"})
	}
	return st.edited(edits)
}

// castOf returns the OID of the elements that a cast to an array names, 0 for
// another cast.
func castOf(toks []token) uint32 {
	if len(toks) > 2 && toks[0].Name() == "pg_catalog" && toks[1].Is(".") {
		toks = toks[2:]
	}
	n, i := "", 0
	for i < len(toks) && toks[i].Name() != "" {
		n += " " + toks[i].Name()
		i++
	}
	if i+1 >= len(toks) || !toks[i].Is("[") || !toks[i+1].Is("]") {
		return 0
	}
	return oidNamed(strings.TrimSpace(n))
}

// oidNamed is the OID of a type by one of its names.
func oidNamed(name string) uint32 {
	for _, t := range pgTypes() {
		if t.name == name || t.written == name {
			return t.oid
		}
	}
	if t, ok := scalars[strings.ToUpper(name)]; ok {
		return t.oid
	}
	return map[string]uint32{"int": 23, "decimal": 1700, "double": 701, "string": 25}[name]
}

// arrayOf is the OID of arrays of a type.
func arrayOf(elem uint32) uint32 {
	for _, t := range pgTypes() {
		if t.oid == elem {
			n, _ := strconv.ParseUint(t.array, 10, 32)
			return uint32(n)
		}
	}
	return 1009
}

// duckName is what DuckDB calls a type.
func duckName(oid uint32) string {
	switch oid {
	case 26:
		return "UINTEGER"
	case 1700:
		return "DECIMAL(38,9)"
	}
	for _, name := range []string{"BOOLEAN", "SMALLINT", "INTEGER", "BIGINT", "FLOAT", "DOUBLE", "BLOB", "DATE", "TIME", "TIMESTAMP", "TIMESTAMPTZ", "INTERVAL", "UUID"} {
		if scalars[name].oid == oid {
			return name
		}
	}
	return "VARCHAR"
}

// duckList writes a list as the text that DuckDB casts to one.
func duckList(list []any) string {
	out := make([]string, len(list))
	for i, v := range list {
		switch x := v.(type) {
		case nil:
			out[i] = "NULL"
		case string:
			out[i] = `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(x) + `"`
		case time.Time:
			out[i] = `"` + x.UTC().Format("2006-01-02 15:04:05.999999-07") + `"`
		case duckdb.Decimal:
			out[i] = string(appendDecimal(nil, x))
		default:
			out[i] = fmt.Sprint(x)
		}
	}
	return "[" + strings.Join(out, ", ") + "]"
}

// arrayLiteral turns '{a,b}' into '[a, b]'.
func arrayLiteral(s string) (string, bool) {
	list, err := parseArray(s)
	if err != nil {
		return "", false
	}
	return sqlText(duckList(list)), true
}

// parseArray reads PostgreSQL's text of an array of one dimension.
func parseArray(s string) ([]any, error) {
	s = strings.TrimSpace(s)
	if len(s) < 2 || s[0] != '{' || s[len(s)-1] != '}' {
		return nil, fault.New(fault.Invalid, "%q is no array", s)
	}
	list := []any{}
	var b strings.Builder
	inside, wasQuoted, any := false, false, false
	done := func() {
		text := b.String()
		if !wasQuoted {
			text = strings.TrimSpace(text)
		}
		if !wasQuoted && strings.EqualFold(text, "null") {
			list = append(list, nil)
		} else {
			list = append(list, text)
		}
		b.Reset()
		wasQuoted = false
	}
	body := s[1 : len(s)-1]
	for i := 0; i < len(body); i++ {
		c := body[i]
		any = true
		switch {
		case c == '\\' && i+1 < len(body):
			i++
			b.WriteByte(body[i])
		case c == '"':
			if !wasQuoted && strings.TrimSpace(b.String()) == "" {
				b.Reset() // spaces before the quotes are not the element's
			}
			inside, wasQuoted = !inside, true
		case c == ',' && !inside:
			done()
		case c == '{' && !inside:
			return nil, fault.New(fault.Invalid, "%q has more than one dimension", s)
		case wasQuoted && !inside && strings.ContainsRune(" \t\n\r\v\f", rune(c)): // nor are those behind
		default:
			b.WriteByte(c)
		}
	}
	if any {
		done()
	}
	return list, nil
}
