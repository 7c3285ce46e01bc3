package sqltext

import (
	"fmt"
	"math/rand/v2"
	"regexp"
	"strings"
	"sync"
	"testing"
	"unicode/utf8"

	bindings "github.com/duckdb/duckdb-go-bindings"
)

// peer is DuckDB, whose lexer ours has to be.
var peer = sync.OnceValue(func() (conn bindings.Connection) {
	var db bindings.Database
	if bindings.Open("", &db) == bindings.StateError || bindings.Connect(db, &conn) == bindings.StateError {
		panic("DuckDB does not open")
	}
	return conn
})

// statements returns how many statements DuckDB finds, and of each how many
// parameters it has, -1 where that is not told.
func statements(text string) (params []int, err string) {
	var all bindings.ExtractedStatements
	defer bindings.DestroyExtracted(&all)
	n := bindings.ExtractStatements(peer(), text, &all)
	if n == 0 {
		return nil, bindings.ExtractStatementsError(all)
	}
	for i := range n {
		var p bindings.PreparedStatement
		if bindings.PrepareExtractedStatement(peer(), all, i, &p) == bindings.StateError {
			params = append(params, -1)
		} else {
			params = append(params, int(bindings.NParams(p)))
		}
		bindings.DestroyPrepare(&p)
	}
	return params, ""
}

// DuckDB takes spaces of more than a byte for plain ones, inside of some quotes
// too, and not at the end of a text.
var wide = regexp.MustCompile("[\u00a0\u2000-\u200f\u202f\u205f\u3000\ufeff]")

var places = regexp.MustCompile(`"query_location":\d+`)

// tree returns what DuckDB makes of a text, without the places; "" of what is no
// SELECT.
func tree(text string) string {
	var r bindings.Result
	defer bindings.DestroyResult(&r)
	if bindings.Query(peer(), "SELECT json_serialize_sql('"+strings.ReplaceAll(text, "'", "''")+"')", &r) == bindings.StateError {
		return ""
	}
	chunk := bindings.FetchChunk(r)
	defer bindings.DestroyDataChunk(&chunk)
	out := bindings.StringTData((*bindings.StringT)(bindings.VectorGetData(bindings.DataChunkGetVector(chunk, 0))))
	if strings.HasPrefix(out, `{"error":true`) {
		return ""
	}
	out = strings.ReplaceAll(out, "BIGINT", "INTEGER") // the 1 of 1e is wider than that of 1 e
	return wide.ReplaceAllString(places.ReplaceAllString(out, ""), " ")
}

// check holds what is read of a text against what DuckDB reads. It returns whether
// DuckDB understands it.
func check(t *testing.T, text string) bool {
	t.Helper()
	tokens, closed := Read(text)
	end := 0
	for _, k := range tokens {
		if k.Start < end || k.Text == "" || text[k.Start:k.End()] != k.Text {
			t.Fatalf("%q: a token %q at %d", text, k.Text, k.Start)
		}
		end = k.End()
	}
	if strings.IndexByte(text, 0) >= 0 || !utf8.ValidString(text) {
		return false // where DuckDB's text ends, or what it drops
	}
	params, err := statements(text)
	if strings.Contains(err, "unterminated") == closed && (err == "" || strings.Contains(err, "unterminated")) {
		t.Fatalf("%q: closed is %v, DuckDB says %q", text, closed, err)
	}
	if len(params) == 0 {
		return false
	}
	got := Split(text)
	if len(got) != len(params) {
		t.Fatalf("%q: %d statements, DuckDB has %d", text, len(got), len(params))
	}
	for i, s := range got {
		seen, asked, numbered := map[string]bool{}, false, false
		for j, k := range s {
			switch n := k.Place(); {
			case n > 0:
				numbered, seen[fmt.Sprint(n)] = true, true
			case k.Kind == Parameter && (k.Text == "?" || isDigit(k.Text[1])): // $0 is ?
				asked, seen[fmt.Sprint("?", k.Start)] = true, true
			case k.Kind == Parameter:
				seen[strings.ToLower(strings.Trim(k.Text, `$"`))] = true
			case k.Is("$") && j+1 < len(s): // $ a is $a, and written by nobody
				seen[s[j+1].Name()] = true
			}
		}
		if asked && numbered {
			continue // they may be the same ones
		}
		if params[i] >= 0 && len(seen) != params[i] {
			t.Fatalf("%q: statement %d has %d parameters, DuckDB finds %d", text, i, len(seen), params[i])
		}
	}
	if was, is := tree(text+"\n "), tree(spaced(text, tokens)); was != "" && was != is {
		n := 0 // where they part
		for n < min(len(was), len(is)) && was[n] == is[n] {
			n++
		}
		n = max(n-20, 0)
		t.Fatalf("%q is %s\nas tokens %q it is %s", text, was[min(n, len(was)):], spaced(text, tokens), is[min(n, len(is)):])
	}
	return true
}

// spaced are tokens with other spaces between them, which are the same query. What
// stands behind operators stays, which DuckDB reads differently before a comment:
// "->--" has its own operator "->", not the arrow of a lambda.
func spaced(text string, tokens []Token) string {
	var b strings.Builder
	for i, k := range tokens {
		b.WriteString(k.Text)
		next := len(text)
		if i+1 < len(tokens) {
			next = tokens[i+1].Start
		}
		if k.Kind == Sign && (next == k.End() || text[k.End()] == '-' || text[k.End()] == '/') {
			b.WriteString(text[k.End():next])
		} else {
			b.WriteString(" /* ; ' \" $$ */ ")
		}
	}
	return b.String()
}

// pieces are what texts are made of: as much of the edges of tokens as can be.
var pieces = []string{
	"SELECT ", "select 1", ";", ";", ", ", "1", "a", "'", "'", "''", `"`, `"a"`, "$", "$$", "$t$", "$a", "$1", "$2", "?", "?1", "--", "/*", "*/", "\n", "\n", "\r", "\t", " ", " ", `\`, "E'", "e'", "x'", "b'", "N'", "é",
	"'x'", "1e5", "1e-5", "1.", ".5", "1_0", "_", "+", "-", "*", "/", "<", ">", "=", "->", "->>", "||", "::", "::INT", "(", ")", "[", "]", "{", "}", ":", ".", "#", "@", "%", "!", "~", "|", "&", "^", "\u00a0", "\u3000", "\u2003", " FROM ", " AS ", " IS NULL", "NULL",
}

func TestAsDuckDBReads(t *testing.T) {
	t.Parallel()
	understood := 0
	const texts = 40_000
	for seed := range uint64(texts) {
		r := rand.New(rand.NewPCG(seed, 38))
		var b strings.Builder
		b.WriteString("SELECT ")
		for range 1 + r.IntN(9) {
			b.WriteString(pieces[r.IntN(len(pieces))])
		}
		if r.IntN(3) == 0 {
			b.WriteString("'; SELECT 2")
		}
		if check(t, b.String()) {
			understood++
		}
	}
	t.Logf("DuckDB understands %d of %d", understood, texts)
	if understood < texts/50 {
		t.Errorf("DuckDB understands only %d of %d texts: they are no test", understood, texts)
	}
}

func FuzzAsDuckDBReads(f *testing.F) {
	for _, text := range []string{
		"SELECT 1 -- x\r;SELECT 2", "SELECT 'a'\n'b'", "SELECT E'a\\''\n-- ;'\n'b\\'c'", "SELECT x'41;', b'0', n'x''y'", "SELECT $x$;$x$, $é$;$é$, $1x", "SELECT ?1 + ?2 + ?", "SELECT 1 /* /* */ ; */ ; SELECT 2", "SELECT 2*/* x;*/3",
		"SELECT\u00a01;SELECT\u20032", "SELECT $\"a;b\", $select", "SELECT 1.e5, 5., .5, 1_000, 1e", "SELECT '{}'::JSON ->> '$.a'", "SELECT a$b$ FROM t", `SELECT U&"x"`, "\ufeffSELECT 1;;", "SELECT [1, 2][1:2], {'a': 1}.a", "SELECT 1 <--x\n2",
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if len(text) < 1000 {
			check(t, text)
		}
	})
}
