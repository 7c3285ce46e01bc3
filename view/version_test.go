package view

import (
	"testing"

	"anabranch/event"
)

// TestVersionIsOfWhatAViewReads holds when fields that it does not read come
// and change, and when those that it reads change places.
func TestVersionIsOfWhatAViewReads(t *testing.T) {
	t.Parallel()
	a, b, more := event.Field{Name: "a", Type: event.Type{Kind: event.String}}, event.Field{Name: "b", Type: event.Type{Kind: event.Int32}}, event.Field{Name: "more", Type: event.Type{Kind: event.Date}}
	wide := event.Field{Name: "b", Type: event.Type{Kind: event.Int64}}
	version := func(fields ...event.Field) string {
		v, err := Compile(t.Context(), Source{Name: "v", SQL: "SELECT a, sum(b) AS s FROM events GROUP BY ALL"}, event.NewShape(fields...), "")
		if err != nil {
			t.Fatal(err)
		}
		return v.Version()
	}
	want := version(a, b)
	for _, fields := range [][]event.Field{{b, a}, {more, a, b}, {b, more, a}} {
		if got := version(fields...); got != want {
			t.Errorf("with %v: version %s, want %s", fields, got, want)
		}
	}
	if version(a, wide) == want {
		t.Error("a wider column makes the same version")
	}
}
