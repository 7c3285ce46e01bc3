package metamorphic

import (
	"fmt"
	"math"
	"math/big"
	"strconv"

	"github.com/duckdb/duckdb-go/v2"

	"anabranch/event"
	"anabranch/fault"
)

// Some sums DuckDB cannot judge: it adds doubles in some order and rounds each
// time, and decimals until 128 bits are full, or beyond 38 digits. Views of
// such sums have the plain form "SELECT name, sum(x) AS total", and a map of
// exact numbers judges them.

// sums is what a view sums up that a map judges, "" for another view.
func (w *world) sums(name string) string {
	views := w.Views
	if w.definition.later {
		views = w.Case.Later.Views
	}
	for _, v := range views {
		if v.Name == name {
			return v.Sums
		}
	}
	return ""
}

// isVast says that the sum of a view may leave its type.
func (w *world) isVast(name string) bool { return w.sums(name) == "vast" }

// most is the largest DECIMAL(38,0).
var most = new(big.Int).Sub(new(big.Int).Exp(big.NewInt(10), big.NewInt(38), nil), big.NewInt(1))

// exactly sums up a field by name, exactly. Fits is false when some sum leaves
// its type.
func (w *world) exactly(field string, events []int, columns []string) (t table, fits bool) {
	sums := map[string]*big.Rat{}
	for _, v := range events {
		e := w.Events[v/2]
		name := w.text(e, "name")
		if _, there := sums[name]; !there {
			sums[name] = nil
		}
		text := w.text(e, field)
		if text == "" {
			if text = w.defaultOf(field); text == "" {
				continue
			}
		}
		x, ok := new(big.Rat).SetString(text)
		if field != "vast" {
			f, err := strconv.ParseFloat(text, 64)
			ok = err == nil
			x = new(big.Rat).SetFloat64(f)
		}
		if !ok {
			panic(fmt.Sprintf("event %d: %s is %q", v/2, field, text))
		}
		if sums[name] == nil {
			sums[name] = new(big.Rat)
		}
		sums[name].Add(sums[name], x)
	}
	t, fits = table{columns: columns}, true
	for name, sum := range sums {
		switch {
		case sum == nil:
			t.add([]any{name, nil})
		case field == "vast":
			fits = fits && sum.Num().CmpAbs(most) <= 0
			t.add([]any{name, duckdb.Decimal{Width: 38, Value: sum.Num()}})
		default:
			f, _ := sum.Float64()
			fits = fits && !math.IsInf(f, 0)
			t.add([]any{name, f})
		}
	}
	return t, fits
}

func (w *world) defaultOf(field string) string {
	for _, f := range w.newest() {
		if f.Name == field && f.Default != nil {
			return *f.Default
		}
	}
	return ""
}

// checkVast asks for the sums that may leave their type: the answer is the
// right one or an error, never a wrong number.
func (w *world) checkVast() error {
	m, err := w.archive.Newest(w.ctx)
	if err != nil {
		return nil // the store is away
	}
	for _, name := range w.built(m) {
		if !w.isVast(name) {
			continue
		}
		got, receipt, err := w.ask(name, w.fresh())
		if err == nil {
			want, fits := w.exactly("vast", w.oracle.fate(w.rows, receipt.At).events, got.columns)
			if d := differ(got, want, nil); !fits || d != "" {
				return fmt.Errorf("%s at %v, which fits: %v: %s", name, receipt.At, fits, d)
			}
			w.checks++
			continue
		}
		if !fault.Is(err, fault.Invalid) {
			return fmt.Errorf("query %s: %w", name, err)
		}
		if w.held {
			continue // where the answer would stand is not told
		}
		fits := true
		for _, at := range []event.Cut{w.read, m.Cut} {
			_, here := w.exactly("vast", w.oracle.fate(w.rows, at).events, nil)
			fits = fits && here
		}
		if fits {
			return fmt.Errorf("query %s: %w; but every sum fits", name, err)
		}
		w.checks++
		w.saw("a sum left its type, and was not answered")
	}
	return nil
}
