package pgwire

import (
	"cmp"
	"slices"
	"strings"

	"anabranch/internal/sqltext"
)

// patternsOfSubstring edits substring(text FROM 'pattern'), which is what the
// pattern's first group matches, or the whole of it where there is none: so
// Metabase takes parts out of texts. A parameter is a pattern if it was declared
// a text. DuckDB has only the form with a number.
func patternsOfSubstring(st statement, declared []uint32) (edits []edit) {
	var open []int // parentheses
	for i, t := range st.tokens {
		switch {
		case t.Is("("):
			open = append(open, i)
			continue
		case !t.Is(")") || len(open) == 0:
			continue
		}
		from := open[len(open)-1]
		open = open[:len(open)-1]
		if from == 0 || i < from+4 || !st.tokens[from-1].Is("substring") || !st.tokens[i-2].Is("from") {
			continue
		}
		begin, pattern := st.tokens[from-1].Start, st.tokens[i-1]
		text := st.text[st.tokens[from].End():st.tokens[i-2].Start]
		switch {
		case pattern.Kind == sqltext.String:
			group := "0"
			if hasGroup(pattern.Value()) {
				group = "1"
			}
			edits = append(edits, edit{begin, st.tokens[from].End(), "nullif(regexp_extract("}, edit{st.tokens[i-2].Start, st.tokens[i-2].End(), ","}, edit{t.Start, t.End(), ", " + group + "), '')"})
		case pattern.Kind == sqltext.Parameter && isText(declared, pattern.Place()):
			p := pattern.Text + "::VARCHAR"
			edits = append(edits, edit{begin, t.End(), "nullif(CASE WHEN regexp_matches(replace(" + p + `, '\(', ''), '\([^?]') THEN regexp_extract(` + text + ", " + p + ", 1) ELSE regexp_extract(" + text + ", " + p + ", 0) END, '')"})
		}
	}
	slices.SortFunc(edits, func(a, b edit) int { return cmp.Compare(a.start, b.start) })
	return edits
}

func isText(declared []uint32, n int) bool {
	return n > 0 && n <= len(declared) && (declared[n-1] == 25 || declared[n-1] == 1043)
}

// hasGroup reports whether a regular expression has a group that keeps what it matches.
func hasGroup(pattern string) bool {
	pattern = strings.ReplaceAll(strings.ReplaceAll(pattern, `\\`, ""), `\(`, "")
	for {
		_, rest, found := strings.Cut(pattern, "(")
		if !found {
			return false
		}
		if !strings.HasPrefix(rest, "?") {
			return true
		}
		pattern = rest
	}
}

// textInTime finds to_timestamp(text, 'YYYYMMDDHH24MISS') and to_date at the
// beginning of toks, and returns the name and what stands from the format to the
// end: so Metabase and others read times that are kept as texts.
func textInTime(toks []token, budget *int) (edits []edit) {
	as := timesOfText[toks[0].Name()]
	if as == "" || len(toks) < 6 || !toks[1].Is("(") || *budget < 0 {
		return nil
	}
	args, end := arguments(toks, 1)
	*budget -= end
	if end == len(toks) || len(args) != 2 || len(args[1]) != 1 || args[1][0].Kind != sqltext.String {
		return nil
	}
	format := strftimeOf(args[1][0].Value())
	if format == "" {
		return nil
	}
	if as == "TIMESTAMP" {
		as = "TIMESTAMPTZ"
	}
	last := toks[end]
	return []edit{{toks[0].Start, toks[1].End(), "CAST(strptime(CAST("}, {args[0][len(args[0])-1].End(), args[0][len(args[0])-1].End(), " AS VARCHAR)"},
		{args[1][0].Start, args[1][0].End(), sqlText(format)}, {last.Start, last.End(), ") AS " + as + ")"}}
}
