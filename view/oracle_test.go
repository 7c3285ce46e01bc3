package view

import (
	"fmt"
	"math"
	"math/big"
	"testing"

	"anabranch/event"
)

// oracle is one group as a plain list of rows.
type oracle struct{ rows [][]any }

// value is row i of c as a comparable Go value; nil is null.
func value(c *event.Column, i int) any {
	if !c.Valid.Get(i) {
		return nil
	}
	switch c.Type.Storage() {
	case event.InInts:
		return c.Ints[i]
	case event.InFloats:
		switch f := c.Floats[i]; {
		case f != f:
			return "NaN"
		case f == 0:
			return 0.0
		default:
			return f
		}
	case event.InWide:
		return c.Wide[i]
	}
	return string(c.Bytes(i))
}

// less orders values of one column.
func less(a, b any) bool {
	switch x := a.(type) {
	case int64:
		return x < b.(int64)
	case float64:
		if y, ok := b.(float64); ok {
			return x < y
		}
		return true // b is NaN
	case event.Int128:
		return x.Compare(b.(event.Int128)) < 0
	}
	if y, ok := b.(string); ok {
		return a.(string) < y
	}
	return false // a is NaN
}

func compareWithOracle(t *testing.T, seed uint64, v *View, s *State, batches []*event.Batch) {
	t.Helper()
	p := v.program
	groups := map[string]*oracle{}
	for _, b := range batches {
		for i := range b.N {
			if b.Column("where").Ints[i] == 0 {
				continue
			}
			row := make([]any, len(b.Columns))
			for c := range b.Columns {
				row[c] = value(&b.Columns[c], i)
			}
			key := fmt.Sprint(row[:len(p.keys)])
			if groups[key] == nil {
				groups[key] = &oracle{}
			}
			groups[key].rows = append(groups[key].rows, row)
		}
	}
	if len(p.keys) == 0 && len(groups) == 0 {
		groups["[]"] = &oracle{}
	}
	result, err := s.Result()
	if err != nil {
		// Only sums that leave their type are errors here.
		for _, g := range groups {
			for _, a := range p.aggs {
				if w, bad := g.finish(&a, len(p.keys)); bad {
					_ = w
					return
				}
			}
		}
		t.Fatalf("seed %d: %v", seed, err)
	}
	if result.N != len(groups) {
		t.Fatalf("seed %d: %d groups, want %d", seed, result.N, len(groups))
	}
	for i := range result.N {
		var key []any
		for k := range p.keys {
			key = append(key, value(&result.Columns[k], i))
		}
		g := groups[fmt.Sprint(key)]
		if g == nil {
			t.Fatalf("seed %d: group %v should not be", seed, key)
		}
		for k := range p.aggs {
			a := &p.aggs[k]
			if a.fn == aggApproxDistinct || a.fn == aggApproxQuantile {
				continue // has tests of its own
			}
			got := value(&result.Columns[len(p.keys)+k], i)
			want, bad := g.finish(a, len(p.keys))
			if bad || got != want {
				t.Fatalf("seed %d, group %v: %v of %v = %v, want %v (out of range: %v)", seed, key, a.fn, a.in, got, want, bad)
			}
		}
	}
}

// finish computes an aggregate the plain way, and whether it leaves its type.
func (o *oracle) finish(a *aggregate, keys int) (any, bool) {
	var args, bys []any
	count := int64(0)
	for _, row := range o.rows {
		if a.filter >= 0 && row[keys+a.filter] != any(int64(1)) {
			continue
		}
		count++
		if a.arg < 0 || row[keys+a.arg] == nil || a.by >= 0 && row[keys+a.by] == nil {
			continue
		}
		args = append(args, row[keys+a.arg])
		if a.by >= 0 {
			bys = append(bys, row[keys+a.by])
		}
	}
	switch a.fn {
	case aggCountStar:
		return count, false
	case aggCount:
		return int64(len(args)), false
	case aggCountDistinct:
		set := map[any]bool{}
		for _, v := range args {
			set[v] = true
		}
		return int64(len(set)), false
	}
	if len(args) == 0 {
		return nil, false
	}
	best := 0
	switch a.fn {
	case aggMin, aggMax:
		for i := range args {
			if a.fn == aggMin && less(args[i], args[best]) || a.fn == aggMax && less(args[best], args[i]) {
				best = i
			}
		}
		return args[best], false
	case aggArgMin, aggArgMax:
		for i := range args {
			up, down := less(bys[best], bys[i]), less(bys[i], bys[best])
			if !up && !down {
				up, down = less(args[best], args[i]), less(args[i], args[best])
			}
			if a.fn == aggArgMin && down || a.fn == aggArgMax && up {
				best = i
			}
		}
		return args[best], false
	}
	// sum and avg
	if a.in.Kind == event.Float64 {
		f := plainSum(args)
		if a.fn == aggAvg {
			f /= float64(len(args))
		}
		return value(&event.Column{Type: a.in, Floats: []float64{f}}, 0), false
	}
	sum := new(big.Int)
	for _, v := range args {
		switch x := v.(type) {
		case int64:
			sum.Add(sum, big.NewInt(x))
		case event.Int128:
			sum.Add(sum, x.Big())
		}
	}
	w, fits := event.Int128FromBig(sum)
	if a.fn == aggSum {
		if low, high := limits128(a.out); !fits || w.Compare(low) < 0 || w.Compare(high) > 0 {
			return nil, true
		}
		return w, false
	}
	if !fits {
		return nil, true
	}
	by := new(big.Float).SetPrec(64).SetInt(new(big.Int).Mul(big.NewInt(int64(len(args))), big.NewInt(int64(math.Pow10(int(a.in.Scale))))))
	f, _ := new(big.Float).SetPrec(64).Quo(new(big.Float).SetPrec(64).SetInt(sum), by).Float64()
	return value(&event.Column{Type: a.out, Floats: []float64{f}}, 0), false
}

// plainSum adds doubles with enough digits for all of them.
func plainSum(args []any) float64 {
	sum := new(big.Float).SetPrec(2200)
	special := 0.0
	for _, v := range args {
		if f, ok := v.(float64); !ok {
			special = math.NaN()
		} else if math.IsInf(f, 0) {
			special += f
		} else {
			sum.Add(sum, new(big.Float).SetFloat64(f))
		}
	}
	if special != 0 {
		return special
	}
	f, _ := sum.Float64()
	return f
}
