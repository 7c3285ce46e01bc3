package view

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"testing"

	"anabranch/event"
)

var grammarSeed = flag.Uint64("grammar-seed", 20261120, "seed of the random expressions; 0 takes another each time")

// grammar writes random expressions of a wanted kind over wideShape.
type grammar struct{ *rand.Rand }

func (g grammar) one(of ...string) string { return of[g.IntN(len(of))] }

func (g grammar) number(depth int) string {
	if depth <= 0 {
		return g.one("i", "j", "l", "d", "w", "h", "f", "1", "-7", "2.5", "0", "1000", "0.001", "3000000000")
	}
	n := func() string { return g.number(depth - 1 - g.IntN(2)) }
	switch g.IntN(13) {
	case 0, 1:
		return fmt.Sprintf("(%s %s %s)", n(), g.one("+", "-"), n())
	case 2:
		return fmt.Sprintf("(%s * %s)", g.number(0), g.number(0))
	case 3:
		return fmt.Sprintf("(%s %s %s)", n(), g.one("/", "//", "%"), n())
	case 4:
		return fmt.Sprintf("CASE WHEN %s THEN %s ELSE %s END", g.condition(depth-1), n(), n())
	case 5:
		return fmt.Sprintf("COALESCE(%s, %s)", n(), n())
	case 6:
		return fmt.Sprintf("NULLIF(%s, %s)", n(), n())
	case 7:
		return fmt.Sprintf("%s(%s)", g.one("abs", "round", "floor", "ceil", "-"), n())
	case 8:
		return fmt.Sprintf("TRY_CAST(%s AS %s)", n(), g.one("INTEGER", "BIGINT", "DOUBLE", "DECIMAL(12,2)", "DECIMAL(25,1)", "HUGEINT"))
	case 9:
		return fmt.Sprintf("length(%s)", g.text(depth-1))
	case 10:
		return fmt.Sprintf("%s(%s)", g.one("year", "month", "day", "hour", "week"), g.time(depth-1))
	case 11:
		return fmt.Sprintf("%s(%s, %s)", g.one("greatest", "least"), n(), n())
	}
	return g.number(0)
}

func (g grammar) text(depth int) string {
	if depth <= 0 {
		return g.one("s", "n", "'abc'", "''", "s", "n")
	}
	s := func() string { return g.text(depth - 1) }
	switch g.IntN(9) {
	case 0:
		return fmt.Sprintf("%s(%s)", g.one("upper", "lower", "trim", "ltrim"), s())
	case 1:
		return fmt.Sprintf("(%s || %s)", s(), s())
	case 2:
		return fmt.Sprintf("substr(%s, %d, %d)", s(), g.IntN(5), g.IntN(5))
	case 3:
		return fmt.Sprintf("COALESCE(%s, %s)", s(), s())
	case 4:
		return fmt.Sprintf("CASE WHEN %s THEN %s WHEN %s THEN %s END", g.condition(depth-1), s(), g.condition(depth-1), s())
	case 5:
		return fmt.Sprintf("replace(%s, 'a', 'o')", s())
	case 6:
		return fmt.Sprintf("concat(%s, %s)", s(), g.one("i", "d", "dt", "b"))
	case 7:
		return fmt.Sprintf("strftime(%s, '%s')", g.time(depth-1), g.one("%Y-%m-%d", "%Y-%m", "%H:%M", "%d.%m.%y %H"))
	}
	return g.text(0)
}

func (g grammar) time(depth int) string {
	if depth <= 0 {
		return g.one("t", "u", "dt", "t")
	}
	switch g.IntN(5) {
	case 0:
		return fmt.Sprintf("date_trunc('%s', %s)", g.one("year", "month", "week", "day", "hour"), g.time(depth-1))
	case 1:
		return fmt.Sprintf("time_bucket(INTERVAL '%s', %s)", g.one("1 hour", "20 minutes", "3 days", "2 months"), g.time(depth-1))
	case 2:
		return fmt.Sprintf("(%s + INTERVAL '%s')", g.time(depth-1), g.one("1 hour", "40 days", "1 month"))
	case 3:
		return fmt.Sprintf("CAST(%s AS DATE)", g.time(depth-1))
	}
	return g.time(0)
}

func (g grammar) condition(depth int) string {
	if depth <= 0 {
		return g.one("b", "b", "true", "(i > 3)", "(s = 'abc')", "(j IS NULL)", "starts_with(s, 'C')")
	}
	c := func() string { return g.condition(depth - 1) }
	switch g.IntN(9) {
	case 0, 1:
		return fmt.Sprintf("(%s %s %s)", c(), g.one("AND", "OR"), c())
	case 2:
		return fmt.Sprintf("(NOT %s)", c())
	case 3:
		return fmt.Sprintf("(%s %s %s)", g.number(depth-1), g.one("=", "<>", "<", "<=", ">", ">=", "IS DISTINCT FROM", "IS NOT DISTINCT FROM"), g.number(depth-1))
	case 4:
		return fmt.Sprintf("(%s %s %s)", g.text(depth-1), g.one("=", "<>", "<", ">="), g.text(depth-1))
	case 5:
		return fmt.Sprintf("(%s %s %s)", g.time(depth-1), g.one("=", "<", ">"), g.time(depth-1))
	case 6:
		return fmt.Sprintf("(%s IN (%s, %s))", g.number(depth-1), g.number(0), g.number(0))
	case 7:
		return fmt.Sprintf("(%s LIKE '%s')", g.text(depth-1), g.one("a%", "%b%", "_%", "%"))
	}
	return fmt.Sprintf("(%s IS %s NULL)", g.one(g.text(depth-1), g.number(depth-1)), g.one("", "NOT"))
}

// TestRandomExpressionsAgainstDuckDB compares expressions from a grammar; of
// those that DuckDB takes, only few may be refused here.
func TestRandomExpressionsAgainstDuckDB(t *testing.T) {
	t.Parallel()
	seed := *grammarSeed
	if seed == 0 {
		seed = rand.Uint64()
	}
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 2))
	g := grammar{r}
	// Smaller rows than in the table of expressions, so that few fail.
	b := randomRows(r, 150)
	for c := range b.Columns {
		for i, v := range b.Columns[c].Ints {
			if k := b.Columns[c].Type.Kind; k == event.Int64 || k == event.Decimal {
				b.Columns[c].Ints[i] = v % 5000
			}
		}
	}
	m := openMirror(t, b)
	compared := 0
	const count = 400
	for range count {
		expression := ""
		switch depth := 1 + r.IntN(3); r.IntN(4) {
		case 0:
			expression = g.number(depth)
		case 1:
			expression = g.text(depth)
		case 2:
			expression = g.time(depth)
		default:
			expression = g.condition(depth)
		}
		if checkScalar(t, m, expression, false) {
			compared++
		}
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
	t.Logf("%d of %d compared", compared, count)
	if compared < count*8/10 {
		t.Errorf("only %d of %d expressions compiled", compared, count)
	}
}
