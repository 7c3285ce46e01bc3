package batch

import (
	"bytes"
	"maps"
	"math"
	"testing"

	"anabranch/archive"
	"anabranch/event"
)

func floats(values ...float64) event.Column {
	c := event.Column{Type: event.Type{Kind: event.Float64}, Valid: event.NewBitmap(len(values)), Floats: values}
	for i := range values {
		c.Valid.Set(i)
	}
	return c
}

// TestEqualGroupsHaveEqualKeys: units of Finish are told apart by these keys, so
// one group with two of them would be two rows.
func TestEqualGroupsHaveEqualKeys(t *testing.T) {
	t.Parallel()
	c := floats(0, math.Copysign(0, -1), math.NaN(), math.Float64frombits(0xfff8000000000001), 1, -1)
	key := func(i int) []byte { return appendCell(nil, &c, i) }
	if !bytes.Equal(key(0), key(1)) {
		t.Error("0 and -0 are two groups")
	}
	if !bytes.Equal(key(2), key(3)) {
		t.Error("two NaNs are two groups")
	}
	for i, a := range []int{0, 2, 4, 5} {
		for _, b := range []int{0, 2, 4, 5}[i+1:] {
			if bytes.Equal(key(a), key(b)) {
				t.Errorf("%v and %v are one group", c.Floats[a], c.Floats[b])
			}
		}
	}
}

// TestKeysKnowWhichColumnIsNull: (NULL, 1) and (1, NULL) are two groups.
func TestKeysKnowWhichColumnIsNull(t *testing.T) {
	t.Parallel()
	left, right := floats(1, 1), floats(1, 1)
	left.Valid.Clear(0)
	right.Valid.Clear(1)
	b := &event.Batch{N: 2, Columns: []event.Column{left, right}}
	if first, second := appendCells(nil, b, []int{0, 1}, 0), appendCells(nil, b, []int{0, 1}, 1); bytes.Equal(first, second) {
		t.Errorf("both keys are %x", first)
	}
}

// TestNoTimeIsDayZero: what stands where a time is null means nothing.
func TestNoTimeIsDayZero(t *testing.T) {
	t.Parallel()
	shape := event.NewShape(event.Field{Name: "ts", Type: event.Type{Kind: event.Timestamp}})
	c := event.Column{Type: shape.Fields[0].Type, Valid: event.NewBitmap(2), Ints: []int64{5*microsPerDay + 7, 5*microsPerDay + 7}}
	c.Valid.Set(1)
	day := dayColumn(&event.Batch{Shape: shape, N: 2, Columns: []event.Column{c}}, "ts")
	if d, within := day(0); d != 0 || within != 0 {
		t.Errorf("an event without a time is of day %d, %d", d, within)
	}
	if d, within := day(1); d != 5 || within != 7 {
		t.Errorf("day %d, %d", d, within)
	}
}

// TestCanariesEndWithWhatTheyTried keeps the share of a view only while the
// version that answers beside the held one is the same.
func TestCanariesEndWithWhatTheyTried(t *testing.T) {
	t.Parallel()
	parent := &archive.Manifest{Serves: map[string]string{"kept": "kept", "moved": "moved", "gone": "gone"}, Canary: map[string]float64{"kept": 10, "moved": 20, "gone": 30}}
	got := canaries(parent, map[string]string{"kept": "kept", "moved": "moved.12345678"})
	if !maps.Equal(got, map[string]float64{"kept": 10}) {
		t.Errorf("%v", got)
	}
}
