package archive

import (
	"fmt"
	"slices"
	"testing"

	"anabranch/event"
)

// TestScanIsRead: a scan of some columns, whose parts of the file alone are
// fetched, has the rows that reading everything has.
func TestScanIsRead(t *testing.T) {
	t.Parallel()
	tb := setup(t, 7)
	a := tb.open(tb.bucket, "")
	o := &openSegment{}
	for i, version := range []uint32{1, 3, 3, 1} {
		b := tb.batch(version, 9000)
		o.add(uint64(i+1), event.Header{Kind: event.Rows, Schema: version, Ingested: int64(i), Producer: "g", Sequence: uint64(i + 1)}, 100, b)
	}
	o.to = 5
	s, err := a.putSegment(t.Context(), 0, o, 1, "")
	if err != nil {
		t.Fatal(err)
	}
	names := a.schemas.Newest().Shape().Names()
	for _, columns := range [][]string{{}, names[:1], {names[len(names)-1], names[0]}, names} {
		var want, got []string
		take := func(rows *[]string, columns []string) func(*event.Batch, []uint64, []int32) error {
			return func(b *event.Batch, offsets []uint64, inFrame []int32) error {
				b, err := project(b, columns)
				for i := range b.N {
					one := row(&event.Batch{Shape: b.Shape, N: b.N, Columns: b.Columns}, i)
					*rows = append(*rows, one, fmt.Sprint(offsets[i], inFrame[i], b.IDs[i]))
				}
				return err
			}
		}
		if err := a.ReadSegment(t.Context(), s, take(&want, columns)); err != nil {
			t.Fatal(err)
		}
		if err := a.ScanSegment(t.Context(), s, columns, take(&got, columns)); err != nil {
			t.Fatal(err)
		}
		if len(got) != 2*4*9000 || !slices.Equal(got, want) {
			t.Fatalf("%v: %d rows, want %d, or they differ", columns, len(got)/2, len(want)/2)
		}
	}
}
