package view

import (
	"fmt"
	"testing"

	"anabranch/event"
)

// TestBytesOfAGroup folds events in the order of time, as speed does, and holds
// what a group of count and sum takes against the promise at every size, what is
// spare included.
func TestBytesOfAGroup(t *testing.T) {
	t.Parallel()
	const merchants, rows, promised = 500, 1000, 64
	dict := &event.Dict{}
	for i := range merchants {
		dict.Append(fmt.Appendf(nil, "merchant_%05d", i))
	}
	amount := event.Type{Kind: event.Decimal, Precision: 12, Scale: 2}
	s := benchView(aggregate{fn: aggCountStar}, aggregate{fn: aggSum, arg: 0}).New()
	shape := event.NewShape(event.Field{Name: "c0", Type: event.Type{Kind: event.Timestamp}},
		event.Field{Name: "c1", Type: event.Type{Kind: event.String}}, event.Field{Name: "c2", Type: amount})
	worst, sum, n := 0.0, 0.0, 0
	for hour := int64(0); s.Len() < 200_000; hour++ {
		b := &event.Batch{Shape: shape, N: rows, Columns: make([]event.Column, 3)}
		for i := range b.Columns {
			b.Columns[i].Type = shape.Fields[i].Type
		}
		b.Columns[1].Dict = dict
		for i := range rows {
			b.Columns[0].Ints = append(b.Columns[0].Ints, hour*3600e6)
			b.Columns[1].Codes = append(b.Columns[1].Codes, uint32(i%merchants))
			b.Columns[2].Ints = append(b.Columns[2].Ints, int64(i))
		}
		if err := s.Fold(b, nil); err != nil {
			t.Fatal(err)
		}
		if s.Len() < 10*merchants {
			continue // the dictionary and scratch for a batch of rows weigh more
		}
		each := float64(s.Bytes()) / float64(s.Len())
		if each > worst {
			worst = each
			t.Logf("%d groups: %.1f bytes each", s.Len(), each)
		}
		sum, n = sum+each, n+1
	}
	t.Logf("%.1f bytes on average", sum/float64(n))
	if worst > promised {
		t.Errorf("a group takes %.1f bytes, %d are promised", worst, promised)
	}
}
