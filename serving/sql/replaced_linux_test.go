package sql_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"anabranch/fault"
	"anabranch/serving/sql"
)

// likeOf is what LIKE is, tried at every place.
func likeOf(text, pattern string, escape int) bool {
	for len(pattern) > 0 && len(text) > 0 {
		switch c := int(pattern[0]); {
		case c == escape:
			if pattern = pattern[1:]; pattern == "" || pattern[0] != text[0] {
				return false
			}
			pattern, text = pattern[1:], text[1:]
		case c == '_':
			for text = text[1:]; len(text) > 0 && text[0]&0xc0 == 0x80; {
				text = text[1:]
			}
			pattern = pattern[1:]
		case c == '%':
			for ; len(text) > 0; text = text[1:] {
				if likeOf(text, pattern[1:], escape) {
					return true
				}
			}
			return likeOf("", pattern[1:], escape)
		case pattern[0] == text[0]:
			pattern, text = pattern[1:], text[1:]
		default:
			return false
		}
	}
	return text == "" && strings.Trim(pattern, "%") == ""
}

// globOf is what GLOB is for patterns without brackets.
func globOf(text, pattern string) bool {
	switch {
	case pattern == "":
		return text == ""
	case pattern[0] == '*':
		return globOf(text, pattern[1:]) || text != "" && globOf(text[1:], pattern)
	case text == "":
		return false
	case pattern[0] == '\\':
		return len(pattern) > 1 && pattern[1] == text[0] && globOf(text[1:], pattern[2:])
	}
	return (pattern[0] == '?' || pattern[0] == text[0]) && globOf(text[1:], pattern[1:])
}

// distanceOf is the Levenshtein distance, cell by cell.
func distanceOf(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		last := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cell := min(row[j]+1, row[j+1]+1, last)
			if a[i] != b[j] {
				cell = min(row[j], row[j+1], last) + 1
			}
			last, row[j+1] = row[j+1], cell
		}
	}
	return row[len(b)]
}

// jaroOf is the Jaro similarity, by looking for each byte in all of the other's.
func jaroOf(a, b string) float64 {
	if a == "" || b == "" {
		return 0
	}
	reach := max(max(len(a), len(b))/2-1, 0)
	ofA, ofB := make([]bool, len(a)), make([]bool, len(b))
	common := 0.0
	for j := range len(b) {
		for i := max(0, j-reach); i < min(len(a), j+reach+1); i++ {
			if !ofA[i] && a[i] == b[j] {
				ofA[i], ofB[j] = true, true
				common++
				break
			}
		}
	}
	if common == 0 {
		return 0
	}
	moved, j := 0, 0
	for i := range len(a) {
		if ofA[i] {
			for ; !ofB[j]; j++ {
			}
			if a[i] != b[j] {
				moved++
			}
			j++
		}
	}
	return (common/float64(len(a)) + common/float64(len(b)) + (common-float64(moved/2))/common) / 3
}

// answerOf returns the rows of an answer.
func answerOf(t *testing.T, e *sql.Engine, r sql.Request) (rows [][]any) {
	t.Helper()
	a, err := e.Query(t.Context(), r)
	if err != nil {
		t.Fatalf("%.300s: %.300v", r.SQL, err)
	}
	defer a.Close()
	for {
		row, err := a.Next()
		if err != nil {
			t.Fatalf("%.300s: %.300v", r.SQL, err)
		}
		if row == nil {
			return rows
		}
		rows = append(rows, slices.Clone(row))
	}
}

func randomText(r *rand.Rand, letters string, n int) string {
	of := []rune(letters)
	text := make([]rune, r.IntN(n+1))
	for i := range text {
		text[i] = of[r.IntN(len(of))]
	}
	return string(text)
}

func literal(text string) string { return "'" + strings.ReplaceAll(text, "'", "''") + "'" }

// What takes the place of DuckDB's functions answers as they do.
func TestReplacedFunctions(t *testing.T) {
	t.Parallel()
	b := setup(t)
	e := b.limited(sql.Options{})
	seed := uint64(time.Now().UnixNano())
	r := rand.New(rand.NewPCG(seed, 0))
	type row struct{ a, b, pattern, wild, escape string }
	for range 12 {
		letters := []string{"ab", "abc", "aéßb", "ab%_"}[r.IntN(4)]
		n := []int{4, 12, 70, 200}[r.IntN(4)]
		var rows []row
		var values []string
		for range 50 {
			x := row{a: randomText(r, letters, n), b: randomText(r, letters, n), pattern: randomText(r, letters+"%_", 9), wild: randomText(r, "ab*?\\", 8), escape: []string{"x", "a", "%"}[r.IntN(3)]}
			if x.escape != "" && strings.HasSuffix(x.pattern, x.escape) {
				x.pattern += "b"
			}
			rows = append(rows, x)
			values = append(values, fmt.Sprintf("(%d, %s, %s, %s, %s, %s)", len(rows)-1, literal(x.a), literal(x.b), literal(x.pattern), literal(x.wild), literal(x.escape)))
		}
		from := " FROM (VALUES " + strings.Join(values, ",") + ") v(i, a, b, pattern, wild, escape) ORDER BY i"
		constant := literal(rows[0].pattern)
		of := func(function string, want func(x row) any) {
			t.Helper()
			got := answerOf(t, e, sql.Request{SQL: "SELECT " + function + from})
			for i, x := range rows {
				if w := want(x); fmt.Sprint(got[i][0]) != fmt.Sprint(w) {
					t.Fatalf("seed %d: %s of %q: %v, not %v", seed, function, x, got[i][0], w)
				}
			}
		}
		lower := strings.ToLower
		of("a LIKE pattern", func(x row) any { return likeOf(x.a, x.pattern, -1) })
		of("a NOT LIKE "+constant, func(x row) any { return !likeOf(x.a, rows[0].pattern, -1) })
		of("upper(a) ILIKE pattern", func(x row) any { return likeOf(lower(strings.ToUpper(x.a)), lower(x.pattern), -1) })
		of("a NOT ILIKE upper(pattern)", func(x row) any { return !likeOf(lower(x.a), lower(strings.ToUpper(x.pattern)), -1) })
		of("a LIKE pattern ESCAPE escape", func(x row) any { return likeOf(x.a, x.pattern, int(x.escape[0])) })
		of("a COLLATE NOCASE LIKE upper(pattern)", func(x row) any { return likeOf(lower(x.a), lower(strings.ToUpper(x.pattern)), -1) })
		of("a GLOB wild", func(x row) any { return globOf(x.a, x.wild) })
		of("contains(a || b || a, b)", func(x row) any { return true })
		of("contains(a, b)", func(x row) any { return strings.Contains(x.a, x.b) })
		of("len(string_split(a || b || a, b))", func(x row) any {
			switch text := x.a + x.b + x.a; {
			case text == "":
				return 1
			case x.b == "":
				return len([]rune(text))
			default:
				return strings.Count(text, x.b) + 1
			}
		})
		of("list_aggregate(string_split(a, '%'), 'string_agg', '%')", func(x row) any { return x.a })
		of("replace(a || b || a, b, pattern)", func(x row) any {
			if x.b == "" {
				return x.a + x.a
			}
			return strings.ReplaceAll(x.a+x.b+x.a, x.b, x.pattern)
		})
		of("levenshtein(a, b)", func(x row) any { return distanceOf(x.a, x.b) })
		of("editdist3(a, "+constant+")", func(x row) any { return distanceOf(x.a, rows[0].pattern) })
		of("jaro_similarity(a, b)", func(x row) any { return jaroOf(x.a, x.b) })
		of("jaro_similarity(a, b, 0.7)", func(x row) any {
			if j := jaroOf(x.a, x.b); j >= 0.7 {
				return j
			}
			return 0
		})
		of("jaro_winkler_similarity('MARTHA' || a, 'MARTHA' || a)", func(x row) any { return 1 })
	}
	for query, want := range map[string]any{
		"SELECT round(jaro_winkler_similarity('MARTHA', 'MARHTA'), 3)":                 0.961,
		"SELECT round(jaro_winkler_similarity('DIXON', 'DICKSONX'), 3)":                0.813,
		"SELECT levenshtein(NULL, 'a') IS NULL AND jaro_similarity('a', NULL) IS NULL": true,
		"SELECT (NULL LIKE 'a') IS NULL AND ('a' ILIKE NULL) IS NULL":                  true,
		"SELECT string_split(NULL, 'a') IS NULL AND string_split('ab', NULL) = ['ab']": true,
	} {
		if got := answerOf(t, e, sql.Request{SQL: query}); fmt.Sprint(got[0][0]) != fmt.Sprint(want) {
			t.Errorf("%s: %v, not %v", query, got[0][0], want)
		}
	}
	for _, query := range []string{"SELECT 'ab' LIKE 'ax' ESCAPE 'x'", "SELECT 'a' LIKE 'a' ESCAPE 'xy'"} {
		if _, err := drain(t.Context(), e, sql.Request{SQL: query}); fault.CodeOf(err) != "sql" {
			t.Errorf("%s: %v, code %q", query, err, fault.CodeOf(err))
		}
	}
}
