package view

import (
	"database/sql"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"testing"

	"anabranch/event"
)

// TestApproxDistinctWithinItsStandardError checks, for several kinds of values
// and numbers of them, the error of many independent sketches: their root mean
// square stays near 2.3 %, none is beyond five times that, and there is no bias.
func TestApproxDistinctWithinItsStandardError(t *testing.T) {
	t.Parallel()
	const sketches = 40
	value := map[string]func(r *rand.Rand, i int) uint64{
		"consecutive": func(_ *rand.Rand, i int) uint64 { return uint64(i) },
		"stride 4096": func(_ *rand.Rand, i int) uint64 { return uint64(i) << 12 },
		"random":      func(r *rand.Rand, _ int) uint64 { return r.Uint64() },
		"doubles":     func(_ *rand.Rand, i int) uint64 { return uint64(ordFloat(float64(i) / 100)) },
	}
	for name, of := range value {
		for _, n := range []int{0, 1, 2, 10, 100, 500, 2000, 5000, 40000} {
			r := rand.New(rand.NewPCG(uint64(n), 7))
			s := &hllSlab{}
			s.grow(sketches)
			sumSquares, sum := 0.0, 0.0
			for g := range sketches {
				for i := range n {
					s.add(uint32(g), hllEntry(mix(of(r, g*n+i))))
				}
				got := hllEstimate(s.entries(nil, uint32(g)))
				e := 0.0
				if n > 0 {
					e = (float64(got) - float64(n)) / float64(n)
				} else if got != 0 {
					t.Fatalf("estimate of nothing: %d", got)
				}
				if math.Abs(e*float64(n)) > max(5*0.023*float64(n), 1) { // two of few may share a register
					t.Errorf("%s, %d values: estimate %d", name, n, got)
				}
				if n < 100 {
					continue
				}
				sumSquares += e * e
				sum += e
			}
			if rms := math.Sqrt(sumSquares / sketches); rms > 0.023*1.35 {
				t.Errorf("%s, %d values: root mean square error %.4f", name, n, rms)
			}
			if bias := math.Abs(sum / sketches); bias > 0.023*4/math.Sqrt(sketches) {
				t.Errorf("%s, %d values: bias %.4f", name, n, bias)
			}
		}
	}
}

// TestHLLIsTheSameSparseDenseAndMerged walks a sketch past every change of its
// form and compares its bytes with those of a sketch merged from halves.
func TestHLLIsTheSameSparseDenseAndMerged(t *testing.T) {
	t.Parallel()
	s := &hllSlab{}
	s.grow(3)
	encode := func(g uint32) string { return string(s.encoder(nil)(nil, g)) }
	for i := range 4000 {
		e := hllEntry(mix(uint64(i)))
		s.add(0, e)
		s.add(uint32(1+i%2), e)
		if i%97 != 0 && i > 300 {
			continue
		}
		o := &hllSlab{}
		o.grow(2)
		o.merge(s, []uint32{0, 1, 1})
		if got, want := string(o.encoder(nil)(nil, 1)), encode(0); got != want {
			t.Fatalf("%d values: %d bytes merged, %d bytes whole", i+1, len(got), len(want))
		}
		back := &hllSlab{}
		back.grow(1)
		r := &reader{b: []byte(encode(0))}
		if back.decode(r, 0); r.bad || len(r.b) > 0 || string(back.encoder(nil)(nil, 0)) != encode(0) {
			t.Fatalf("%d values: does not read back", i+1)
		}
	}
	if !s.cells[0].dense {
		t.Fatal("never dense")
	}
}

func TestApproxQuantileWithinOnePercent(t *testing.T) {
	t.Parallel()
	distributions := map[string]func(r *rand.Rand) float64{
		"uniform":     func(r *rand.Rand) float64 { return r.Float64() * 1000 },
		"lognormal":   func(r *rand.Rand) float64 { return math.Exp(r.NormFloat64() * 3) },
		"normal":      func(r *rand.Rand) float64 { return r.NormFloat64() },
		"negative":    func(r *rand.Rand) float64 { return -math.Exp(r.NormFloat64()) },
		"pareto":      func(r *rand.Rand) float64 { return math.Pow(r.Float64(), -2) },
		"mostly zero": func(r *rand.Rand) float64 { return max(0, r.NormFloat64()-1) },
		"two values":  func(r *rand.Rand) float64 { return float64(r.IntN(2))*1e300 - 1e-300 },
		"constant":    func(*rand.Rand) float64 { return 42 },
	}
	for name, draw := range distributions {
		r := rand.New(rand.NewPCG(8, 9))
		for _, n := range []int{1, 2, 10, 1000, 20000} {
			xs := make([]float64, n)
			s := &quantileSlab{in: event.Type{Kind: event.Float64}}
			s.grow(1)
			for i := range xs {
				xs[i] = draw(r)
				s.add(0, bucketOf(xs[i]), 1)
			}
			slices.Sort(xs)
			entries := s.entries(nil, 0)
			for _, q := range []float64{0, 0.01, 0.25, 0.5, 0.75, 0.95, 0.999, 1} {
				want, got := xs[max(1, int(math.Ceil(q*float64(n))))-1], quantileOf(entries, q)
				if math.Abs(got-want) > 0.01*math.Abs(want) {
					t.Errorf("%s, %d values, quantile %v: %v, want %v", name, n, q, got, want)
				}
			}
		}
	}
}

// TestQuantileRankIsDuckDBs: of few values, too, the quantile is the one that
// quantile_disc takes.
func TestQuantileRankIsDuckDBs(t *testing.T) {
	t.Parallel()
	db, err := sql.Open("duckdb", "")
	check(t, err)
	defer db.Close()
	for _, q := range []string{"0", "0.01", "0.05", "0.07", "0.1", "0.25", "0.29", "0.5", "0.57", "0.75", "0.9", "0.95", "0.99", "0.999", "1"} {
		share, err := strconv.ParseFloat(q, 64)
		check(t, err)
		rows, err := db.Query("SELECT n, quantile_disc(x, " + q + ") FROM range(1, 121) AS a(n), range(120) AS b(x) WHERE x < n GROUP BY n")
		check(t, err)
		for rows.Next() {
			var n, want uint64
			check(t, rows.Scan(&n, &want))
			if got := quantileRank(share, n); got != want {
				t.Errorf("%s of %d values: rank %d, want %d", q, n, got, want)
			}
		}
		check(t, rows.Err())
	}
}

func TestQuantileBuckets(t *testing.T) {
	t.Parallel()
	xs := []float64{math.Inf(-1), -math.MaxFloat64, -3, -1, -1e-300, 0, math.SmallestNonzeroFloat64, 0x1p-1022, 1e-300, 1, 1.001, 2, 3, 1e300, math.MaxFloat64, math.Inf(1), math.NaN()}
	last := uint64(0)
	for _, x := range xs {
		k := bucketOf(x)
		if k < last || k >= 1<<(64-bucketShift) || k == 0 {
			t.Errorf("bucket of %v is %d behind %d", x, k, last)
		}
		last = k
		switch v := bucketValue(k); {
		case x != x:
			if v == v {
				t.Errorf("NaN became %v", v)
			}
		case math.IsInf(x, 0) || x == 0:
			if v != x {
				t.Errorf("%v became %v", x, v)
			}
		case math.Abs(x) >= 0x1p-1022 && math.Abs(v/x-1) > 1.0/129+1e-12:
			t.Errorf("%v became %v", x, v)
		}
	}
	// Estimates stay in their types, and small integers are exact.
	r := rand.New(rand.NewPCG(1, 1))
	for _, typ := range []event.Type{{Kind: event.Int32}, {Kind: event.Int64}, {Kind: event.Decimal, Precision: 4, Scale: 2}, {Kind: event.Decimal, Precision: 38}, {Kind: event.Huge}} {
		low, high := limits128(typ)
		if typ.Storage() == event.InInts {
			l, h := limits64(typ)
			low, high = event.Int128Of(l), event.Int128Of(h)
		}
		for _, v := range []event.Int128{low, high, event.Int128Of(r.Int64N(100)), event.Int128Of(-r.Int64N(100)), {}} {
			s := &quantileSlab{q: 0.5, in: typ}
			s.grow(1)
			c := event.Column{Type: typ, Ints: []int64{v.Int64()}, Wide: []event.Int128{v}}
			s.fold(&folding{slots: []uint32{0}, sel: []uint32{0}, all: true, arg: &c})
			out := event.Column{Type: typ}
			s.finish(&out, []uint32{0})
			got := event.Int128{}
			if out.Ints != nil {
				got = event.Int128Of(out.Ints[0])
			} else {
				got = out.Wide[0]
			}
			if got.Compare(low) < 0 || got.Compare(high) > 0 || math.Abs(got.Float64()-v.Float64()) > 0.01*math.Abs(v.Float64()) || math.Abs(v.Float64()) <= 100 && got != v {
				t.Errorf("%v: %v became %v", typ, v, got)
			}
		}
	}
}

func TestOrdFloat(t *testing.T) {
	t.Parallel()
	xs := []float64{math.Inf(-1), -math.MaxFloat64, -1, -math.SmallestNonzeroFloat64, 0, math.SmallestNonzeroFloat64, 1, math.Inf(1), math.NaN()}
	for i, x := range xs {
		if i > 0 && ordFloat(xs[i-1]) >= ordFloat(x) {
			t.Errorf("%v is not below %v", xs[i-1], x)
		}
		if back := floatOfOrd(ordFloat(x)); fmt.Sprint(back) != fmt.Sprint(x) {
			t.Errorf("%v came back as %v", x, back)
		}
	}
	if ordFloat(math.Copysign(0, -1)) != ordFloat(0) || ordFloat(math.Float64frombits(0xfff8000000000001)) != ordFloat(math.NaN()) {
		t.Error("-0 and 0, or two NaN, differ")
	}
}
