package sql

import (
	"fmt"
	"strings"

	"anabranch/event"
	"anabranch/internal/planted"
	"anabranch/view"
)

// The overlay of a view is the part that speed has touched since the cut:
// rows are the touched groups, batch state and speed state merged; keys names
// them, so that the batch files are read without them. Cost follows the groups
// touched, not the size of the view.
type overlay struct{ keys, rows tableName }

// overlayNames names them in the schema main, which readers have no view in.
func (b *builder) overlayNames(pipeline, v string) overlay {
	return overlay{
		keys: b.table("main", "touched "+pipeline+" "+v),
		rows: b.table("main", "merged "+pipeline+" "+v),
	}
}

// overlay makes both tables of a view and returns the condition that leaves
// out the touched groups of the batch files, which are called b.
func (b *builder) overlay(o overlay, v *view.View, delta *view.State, batch string) string {
	touched, err := delta.Groups()
	if err != nil {
		b.err = err
		return ""
	}
	shape := v.StateShape()
	keys := shape.Fields[:len(shape.Fields)-1]
	keyBatch := &event.Batch{Shape: event.NewShape(keys...), N: touched.N, Columns: touched.Columns[:len(keys)]}
	if len(keys) == 0 {
		// One group for everything: it is touched.
		b.mergeFrom(delta, shape, "SELECT _state FROM "+batch)
		b.fill(o.rows, delta)
		return "false"
	}
	b.create(o.keys, keyBatch)
	same := make([]string, len(keys))
	list := make([]string, len(keys))
	for i, f := range keys {
		list[i] = "b." + name(f.Name)
		column := list[i]
		if f.Type.Kind == event.Huge {
			column = "CAST(" + column + " AS HUGEINT)"
		}
		same[i] = "t." + name(f.Name) + " IS NOT DISTINCT FROM " + column
	}
	exists := fmt.Sprintf("EXISTS (SELECT 1 FROM %s AS t WHERE %s)", o.keys, strings.Join(same, " AND "))
	b.mergeFrom(delta, shape, "SELECT "+strings.Join(list, ", ")+", b._state FROM "+batch+" AS b WHERE "+exists)
	b.fill(o.rows, delta)
	if planted.On(planted.SeamTwice) {
		return "true"
	}
	return "NOT " + exists
}

// mergeFrom adds the states that a query returns to st.
func (b *builder) mergeFrom(st *view.State, shape *event.Shape, query string) {
	if b.err != nil {
		return
	}
	rows, err := b.conn.QueryContext(b.ctx, query)
	if err != nil {
		b.err = fmt.Errorf("read the touched groups: %w", classify(err))
		return
	}
	defer rows.Close()
	states, err := scanBatch(rows, shape)
	if err != nil {
		b.err = fmt.Errorf("read the touched groups: %w", err)
		return
	}
	b.err = st.MergeGroups(states)
}
