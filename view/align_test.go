package view

import (
	"slices"
	"testing"

	"anabranch/event"
	"anabranch/fault"
)

func TestFoldFindsColumnsByName(t *testing.T) {
	t.Parallel()
	ints := event.Type{Kind: event.Int64}
	field := func(n string) event.Field { return event.Field{Name: n, Type: ints} }
	full := event.NewShape(field("unused"), field("k"), field("idle"), field("x"))
	v, err := Compile(t.Context(), Source{Name: "v", SQL: "SELECT k, sum(x) AS s FROM events WHERE x > 0 GROUP BY ALL"}, full, "")
	if err != nil {
		t.Fatal(err)
	}
	column := func(values ...int64) event.Column { return event.Column{Type: ints, Ints: values} }
	batches := []*event.Batch{
		{Shape: full, N: 3, Columns: []event.Column{column(9, 9, 9), column(1, 1, 2), column(8, 8, 8), column(10, -1, 20)}},
		{Shape: event.NewShape(field("x"), field("k")), N: 3, Columns: []event.Column{column(10, -1, 20), column(1, 1, 2)}},
		{Shape: event.NewShape(field("k"), field("unused"), field("x")), N: 3, Columns: []event.Column{column(1, 1, 2), column(7, 7, 7), column(10, -1, 20)}},
	}
	var want []byte
	for i, b := range batches {
		st := v.New()
		for range 2 {
			if err := st.Fold(b, nil); err != nil {
				t.Fatal(err)
			}
		}
		groups, _, err := st.Finish()
		if err != nil {
			t.Fatal(err)
		}
		got := groups.Columns[len(groups.Columns)-1].Dict.Data
		if i == 0 {
			want = got
		} else if !slices.Equal(got, want) {
			t.Fatalf("batch %d: other states", i)
		}
	}
	if err := v.New().Fold(&event.Batch{Shape: event.NewShape(field("k"))}, nil); !fault.Is(err, fault.Bug) {
		t.Fatal(err)
	}
	other := event.NewShape(field("k"), event.Field{Name: "x", Type: event.Type{Kind: event.Int32}})
	if err := v.New().Fold(&event.Batch{Shape: other}, nil); !fault.Is(err, fault.Bug) {
		t.Fatal(err)
	}
}
