package view

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"anabranch/event"
)

// benchBatches returns batches of 4096 sales: 24 hours, 500 merchants (one
// dictionary), an amount, a card, a price.
func benchBatches(n int) []*event.Batch {
	r := rand.New(rand.NewPCG(1, 2))
	dict := &event.Dict{}
	for i := range 500 {
		dict.Append([]byte(fmt.Sprintf("merchant %d", i)))
	}
	types := []event.Type{{Kind: event.Timestamp}, {Kind: event.String}, {Kind: event.Decimal, Precision: 12, Scale: 2}, {Kind: event.Int64}, {Kind: event.Float64}}
	var fields []event.Field
	for i, t := range types {
		fields = append(fields, event.Field{Name: fmt.Sprintf("c%d", i), Type: t})
	}
	shape := event.NewShape(fields...)
	batches := make([]*event.Batch, n)
	for k := range batches {
		b := &event.Batch{Shape: shape, N: 4096, Columns: make([]event.Column, len(types))}
		for i, t := range types {
			b.Columns[i].Type = t
		}
		c := b.Columns
		c[1].Dict = dict
		for i := range b.N {
			row := k*4096 + i
			c[0].Ints = append(c[0].Ints, int64(row*24/(n*4096))*3600_000_000)
			c[1].Codes = append(c[1].Codes, uint32(r.IntN(500)))
			c[2].Ints = append(c[2].Ints, int64(math.Exp(r.NormFloat64()+8)))
			c[3].Ints = append(c[3].Ints, r.Int64N(1<<20))
			c[4].Floats = append(c[4].Floats, math.Round(math.Exp(r.NormFloat64()+4)*100)/100)
		}
		batches[k] = b
	}
	return batches
}

// benchView evaluates nothing: its columns are those of the batch.
func benchView(aggs ...aggregate) *View {
	types := []event.Type{{Kind: event.Timestamp}, {Kind: event.String}}
	args := []event.Type{{Kind: event.Decimal, Precision: 12, Scale: 2}, {Kind: event.Int64}, {Kind: event.Float64}}
	for i := range aggs {
		a := &aggs[i]
		a.by, a.filter = -1, -1
		if a.fn == aggCountStar {
			a.arg = -1
		} else {
			a.in = args[a.arg]
		}
		a.out = outType(a.fn, a.in)
	}
	v := testView(types, args, aggs)
	v.program.newEval = func() evaluator {
		in := &inputs{}
		return func(b *event.Batch, _ []uint32) (*inputs, error) {
			in.n, in.keys, in.args = b.N, b.Columns[:2], b.Columns[2:]
			return in, nil
		}
	}
	return v
}

func BenchmarkFold(b *testing.B) {
	batches := benchBatches(256)
	for _, c := range []struct {
		name string
		aggs []aggregate
	}{
		{"count+sum", []aggregate{{fn: aggCountStar}, {fn: aggSum, arg: 0}}},
		{"sum double", []aggregate{{fn: aggSum, arg: 2}}},
		{"min+max", []aggregate{{fn: aggMin, arg: 0}, {fn: aggMax, arg: 0}}},
		{"distinct", []aggregate{{fn: aggCountDistinct, arg: 1}}},
		{"approx distinct", []aggregate{{fn: aggApproxDistinct, arg: 1}}},
		{"approx quantile", []aggregate{{fn: aggApproxQuantile, arg: 0, quantile: 0.5}}},
		{"count+sum+hll+quantile", []aggregate{{fn: aggCountStar}, {fn: aggSum, arg: 0}, {fn: aggApproxDistinct, arg: 1}, {fn: aggApproxQuantile, arg: 0, quantile: 0.5}}},
	} {
		b.Run(c.name, func(b *testing.B) {
			v := benchView(c.aggs...)
			s := v.New()
			rows := 0
			for b.Loop() {
				k := rows / 4096 % len(batches)
				if k == 0 {
					s.Reset()
				}
				if err := s.Fold(batches[k], nil); err != nil {
					b.Fatal(err)
				}
				rows += 4096
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(rows), "ns/row")
			s = v.New()
			for _, batch := range batches {
				if err := s.Fold(batch, nil); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(s.Bytes())/float64(s.Len()), "B/group")
			groups, err := s.Groups()
			if err != nil {
				b.Fatal(err)
			}
			b.ReportMetric(float64(len(groups.Columns[2].Dict.Data))/float64(groups.N), "written-B/group")
		})
	}
}

func BenchmarkMergeAndWrite(b *testing.B) {
	v := benchView(aggregate{fn: aggCountStar}, aggregate{fn: aggSum, arg: 0}, aggregate{fn: aggApproxDistinct, arg: 1})
	s := v.New()
	for _, batch := range benchBatches(256) {
		if err := s.Fold(batch, nil); err != nil {
			b.Fatal(err)
		}
	}
	groups, err := s.Groups()
	if err != nil {
		b.Fatal(err)
	}
	data, err := s.AppendBinary(nil)
	if err != nil {
		b.Fatal(err)
	}
	for _, c := range []struct {
		name string
		do   func() error
	}{
		{"merge", func() error { return v.New().Merge(s) }},
		{"finish", func() error { _, _, err := s.Finish(); return err }},
		{"merge groups", func() error { return v.New().MergeGroups(groups) }},
		{"append binary", func() error { data, err = s.AppendBinary(data[:0]); return err }},
		{"unmarshal binary", func() error { return v.New().UnmarshalBinary(data) }},
	} {
		b.Run(c.name, func(b *testing.B) {
			for b.Loop() {
				if err := c.do(); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*s.Len()), "ns/group")
		})
	}
}
