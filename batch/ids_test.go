package batch

import (
	"testing"

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
			if i, fresh := table.addOne(id, first{hash: n}); fresh != (round == 0) || table.firsts[i].hash != n {
				t.Fatalf("round %d: %v is new: %t, its first %+v", round, id, fresh, table.firsts[i])
			}
		}
	}
	if got := table.fresh(); len(got) != halves*halves {
		t.Fatalf("%d ids", len(got))
	}
}

func (t *idTable) addOne(id event.ID, f first) (i int, fresh bool) {
	var place [1]int32
	var isNew [1]bool
	t.add([]event.ID{id}, []first{f}, place[:], isNew[:])
	return int(place[0]), isNew[0]
}
