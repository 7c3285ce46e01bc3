package pgwire

import (
	"cmp"
	"context"
	"math/big"
	"slices"
	"strings"

	"github.com/duckdb/duckdb-go/v2"

	"anabranch/internal/sqltext"
	"anabranch/serving/sql"
)

// Types of parameters that DuckDB does not tell, and PostgreSQL does: drivers
// that write values by the type they are told depend on them.

// castParameters returns the types that parameters are cast to where they stand,
// $1::int or CAST($1 AS int), of those that have none in told, by their number.
func castParameters(toks []token, told []string) map[int]*pgType {
	types := map[int]*pgType{}
	at := func(i int) token {
		if i < 0 || i >= len(toks) {
			return token{Kind: sqltext.Sign}
		}
		return toks[i]
	}
	for i, t := range toks {
		if t.Kind != sqltext.Parameter {
			continue
		}
		n := t.Place()
		if n < 1 || n > len(told) || told[n-1] != "" && told[n-1] != "VARCHAR" || types[n] != nil {
			continue
		}
		if at(i+1).Is("::") || at(i+1).Is("as") && at(i-1).Is("(") && at(i-2).Is("cast") {
			// JSON is text to DuckDB.
			if oid := typeNamed(toks[i+2:]); told[n-1] == "" || oid == scalars["JSON"].oid {
				types[n] = typeOfOID(oid)
			}
		}
	}
	return types
}

// typeNamed returns the OID of the type, of one value, whose name toks begin
// with, as long as it can be; 0 for another.
func typeNamed(toks []token) (oid uint32) {
	if len(toks) > 2 && toks[0].Name() == "pg_catalog" && toks[1].Is(".") {
		toks = toks[2:]
	}
	words, end := "", 0
	for i := 0; i < len(toks) && i < 4 && toks[i].Name() != ""; i++ {
		words = strings.TrimSpace(words + " " + toks[i].Name())
		if named := oidNamed(words); named != 0 {
			oid, end = named, i+1
		}
	}
	if end < len(toks) && toks[end].Is("[") {
		return 0
	}
	return oid
}

// typeOfOID returns one of the scalar types; nil: it is none of them.
func typeOfOID(oid uint32) *pgType {
	for name, t := range scalars {
		if t.oid == oid {
			return typeOf(name)
		}
	}
	return nil
}

// listsOfPartners takes down in declared which arrays the parameters in = ANY($1)
// and its like are that the client says nothing of: of what they are compared with,
// which DuckDB tells of x = $1.
func (ses *session) listsOfPartners(st statement, declared []uint32) {
	at := func(i int) token {
		if i < 0 || i >= len(st.tokens) {
			return token{Kind: sqltext.Sign}
		}
		return st.tokens[i]
	}
	var edits []edit
	var lists []int
	for i, t := range st.tokens {
		if t.Kind == sqltext.Parameter && at(i-1).Is("(") && (at(i-2).Is("any") || at(i-2).Is("all") || at(i-2).Is("some")) && at(i+1).Is(")") {
			if n := t.Place(); declared[n-1] == 0 {
				edits = append(edits, edit{at(i - 2).Start, at(i + 1).End(), t.Text})
				lists = append(lists, n)
			}
		}
	}
	if lists == nil || ses.tx.status == 'E' || asksCatalog(st) {
		return
	}
	a, err := ses.query(st.edited(edits))
	if err != nil {
		return // the statement itself tells what is wrong with it
	}
	ctx, cancel := context.WithTimeout(ses.srv.ctx, ses.timeout())
	defer cancel()
	types, _, err := a.describe(ctx, declared)
	if err != nil {
		return
	}
	for _, n := range lists {
		if n <= len(types) && types[n-1] != nil && types[n-1].array != 0 && types[n-1].kind != kText {
			declared[n-1] = types[n-1].array
		}
	}
}

// withNullTests casts the parameters without a type in $1 IS NULL, which would keep
// DuckDB from telling any: to the type that they have elsewhere, $1 IS NULL OR day
// > $1, or else to text. It returns the text and its description; "" where that does
// not help.
func (ses *session) withNullTests(ctx context.Context, text string, told []string) (string, sql.Description) {
	toks := sqltext.Lex(text)
	var tests []token
	elsewhere := map[int]bool{}
	for i, t := range toks {
		if t.Kind != sqltext.Parameter {
			continue
		}
		n := t.Place()
		switch {
		case n < 1 || n > len(told) || told[n-1] != "":
		case i+2 < len(toks) && toks[i+1].Is("is") && (toks[i+2].Is("null") || i+3 < len(toks) && toks[i+2].Is("not") && toks[i+3].Is("null")):
			tests = append(tests, t)
		default:
			elsewhere[n] = true
		}
	}
	if tests == nil {
		return "", sql.Description{}
	}
	// A parameter that is nowhere else stays, so that the others keep their numbers.
	var without []edit
	for _, t := range tests {
		as := "CAST(" + t.Text + " AS VARCHAR)"
		if elsewhere[t.Place()] {
			as = "1"
		}
		without = append(without, edit{t.Start, t.End(), as})
	}
	d, err := ses.srv.engine.Describe(ctx, sql.Request{SQL: edited(text, without), User: ses.limitedAs()})
	if err != nil || len(d.Params) != len(told) {
		return "", d
	}
	var edits []edit
	for _, t := range tests {
		as := "VARCHAR"
		if n := t.Place(); elsewhere[n] {
			as = cmp.Or(d.Params[n-1], as)
		}
		edits = append(edits, edit{t.Start, t.End(), "CAST(" + t.Text + " AS " + as + ")"})
	}
	text = edited(text, edits)
	params := d.Params
	if d, err = ses.srv.engine.Describe(ctx, sql.Request{SQL: text, User: ses.limitedAs()}); err != nil {
		return "", d
	}
	for i, of := range params {
		d.Params[i] = cmp.Or(of, d.Params[i])
	}
	return text, d
}

// settled casts the parameters of a query whose columns depend on them, and
// describes it: to what is known of them, and if that does not do the others to
// text, as PostgreSQL takes what it does not know.
func (ses *session) settled(ctx context.Context, text string, told []string, declared []uint32) (string, sql.Description, error) {
	told = slices.Clone(told)
	describe := func(text string) (sql.Description, error) {
		return ses.srv.engine.Describe(ctx, sql.Request{SQL: text, User: ses.limitedAs()})
	}
	for _, rest := range []string{"", "VARCHAR"} {
		as, types := typed(text, told, declared, rest)
		d, err := describe(as)
		switch {
		case err != nil && rest == "":
			continue
		case err != nil:
			return text, d, err
		}
		for i := range told {
			if i < len(d.Params) {
				told[i] = cmp.Or(told[i], types[i+1], d.Params[i])
			}
		}
		if d.Params = told; len(d.Columns) > 0 {
			return as, d, nil
		}
		if rest != "" { // a function in FROM is bound to values
			var edits []edit
			for _, t := range sqltext.Lex(as) {
				if t.Kind == sqltext.Parameter {
					edits = append(edits, edit{t.Start, t.End(), "NULL"})
				}
			}
			if of, err := describe(edited(as, edits)); err == nil {
				d.Columns = of.Columns
			}
			return as, d, nil
		}
	}
	return text, sql.Description{Params: told}, nil
}

// typed casts parameters to what the client declares, or to the types they are
// told to have, or else to what PostgreSQL takes them for, numbers beside one, and
// where that says nothing to rest. It returns these types, by their numbers.
func typed(text string, told []string, declared []uint32, rest string) (string, map[int]string) {
	toks := sqltext.Lex(text)
	types := map[int]string{}
	for i, t := range toks {
		if t.Kind != sqltext.Parameter {
			continue
		}
		n := t.Place()
		switch {
		case types[n] != "":
		case n > 0 && n <= len(declared) && declared[n-1] != 0:
			types[n] = duckName(declared[n-1])
		case n > 0 && n <= len(told) && told[n-1] != "":
			types[n] = told[n-1]
		default:
			types[n] = besideNumber(toks, i)
		}
	}
	var edits []edit
	for _, t := range toks {
		if t.Kind != sqltext.Parameter {
			continue
		}
		as := cmp.Or(types[t.Place()], rest)
		if _, ok := scalars[as]; as != "DECIMAL" && ok || strings.HasPrefix(as, "DECIMAL(") { // of another nobody knows the parts
			edits = append(edits, edit{t.Start, t.End(), "CAST(" + t.Text + " AS " + as + ")"})
		}
	}
	return edited(text, edits), types
}

// besideNumber returns the type of a parameter that is added to a whole number, or
// multiplied with one or with an interval, or counts rows; "" for another.
func besideNumber(toks []token, i int) string {
	at := func(i int) token {
		if i < 0 || i >= len(toks) {
			return token{Kind: sqltext.Sign}
		}
		return toks[i]
	}
	if at(i-1).Is("limit") || at(i-1).Is("offset") {
		return "BIGINT"
	}
	for _, by := range []int{-1, 1} {
		op, other := at(i+by), at(i+2*by)
		times := op.Is("*")
		switch {
		case op.Kind != sqltext.Sign || !times && !op.Is("+") && !op.Is("-") && !op.Is("/") && !op.Is("%"):
		case other.Kind == sqltext.Number && strings.Trim(other.Text, "0123456789") == "":
			return "INTEGER"
		case times && (other.Is("interval") || other.Kind == sqltext.String && at(i+3*by).Is("interval")):
			return "DOUBLE"
		}
	}
	return ""
}

// oidsOf declares numbers as what they are, so that none is rounded.
func oidsOf(args []any) []uint32 {
	oids := make([]uint32, len(args))
	for i, v := range args {
		switch v.(type) {
		case int64:
			oids[i] = 20
		case float64:
			oids[i] = 701
		case duckdb.Decimal, *big.Int:
			oids[i] = 1700
		}
	}
	return oids
}
