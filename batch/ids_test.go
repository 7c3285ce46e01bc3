package batch

import (
	"testing"

	"anabranch/archive"
	"anabranch/event"
)

// Ids that agree in one half are two ids; one that comes again is none.
func TestIDTableComparesWholeIDs(t *testing.T) {
	t.Parallel()
	var table idTable
	const halves = 50
	for round := range 2 {
		for n := range uint64(halves * halves) {
			id := event.ID{Hi: n / halves, Lo: n % halves}
			if i, fresh := table.add(archive.Entry{ID: id, Hash: n}); fresh != (round == 0) || table.entries[i].Hash != n {
				t.Fatalf("round %d: %v is new: %t, its entry %+v", round, id, fresh, table.entries[i])
			}
		}
	}
	if got := table.fresh(); len(got) != halves*halves {
		t.Fatalf("%d ids", len(got))
	}
}
