package view

import (
	"fmt"
	"testing"

	"anabranch/event"
)

// Where columns come from is read off the typed tree: aliases, casts and
// repeated columns do not hide it.
func TestLineage(t *testing.T) {
	t.Parallel()
	c, err := NewCompiler(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	shape := event.NewShape(
		event.Field{Name: "id", Type: typeString}, event.Field{Name: "ts", Type: typeTimestamp}, event.Field{Name: "item", Type: typeString, Nullable: true},
		event.Field{Name: "n", Type: typeInt64}, event.Field{Name: "price", Type: typeDecimal(10, 2)},
	)
	v, err := c.View(t.Context(), Source{Name: "v", SQL: `SELECT item, date_trunc('day', ts) AS day, item || '!' AS loud, count(*) AS lines, sum(n * price) AS total,
  sum(n) FILTER (WHERE price > 1) AS dear, max(CASE WHEN item = 'a' THEN n ELSE 0 END) AS most, arg_min(price, ts) AS first_price, sum(n) + count(item) AS both
FROM events WHERE id <> '' GROUP BY ALL`}, shape, "ts")
	if err != nil {
		t.Fatal(err)
	}
	names := map[Way]string{Identity: "identity", Transformation: "transformation", Aggregation: "aggregation", Conditional: "conditional", Filter: "filter", Sort: "sort"}
	want := map[string]string{
		"item": "[item identity]", "day": "[ts transformation]", "loud": "[item transformation]", "lines": "[]", "total": "[n aggregation price aggregation]",
		"dear": "[n aggregation price filter]", "most": "[item conditional n aggregation]", "first_price": "[ts sort price aggregation]", "both": "[item aggregation n aggregation]",
	}
	l := v.Lineage()
	for _, col := range l.Columns {
		var got []string
		for _, in := range col.Inputs {
			got = append(got, in.Field, names[in.Way])
		}
		if fmt.Sprint(got) != want[col.Column] {
			t.Errorf("%s: %v, want %s", col.Column, got, want[col.Column])
		}
	}
	if len(l.Columns) != len(want) || fmt.Sprint(l.Groups, l.Filters) != "[ts item] [id]" {
		t.Errorf("%+v", l)
	}
}
