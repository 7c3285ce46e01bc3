package bench

import (
	"bytes"
	"context"
	"testing"
)

// TestLoadKnowsWhatItSends: the generator counts different events as those who
// receive them must, copies and laps included.
func TestLoadKnowsWhatItSends(t *testing.T) {
	t.Parallel()
	task := Task{Dir: t.TempDir(), Data: Data{Seed: 7}}
	if _, err := bodyFile(&task); err != nil {
		t.Fatal(err)
	}
	made, err := newLoadJob(context.Background(), &task)
	if err != nil {
		t.Fatal(err)
	}
	j := made.(*loadJob)
	ids := map[string]bool{}
	take := func(from, units int64) {
		for line := range bytes.Lines(j.request(from, int(units))) {
			ids[string(line[idAt:idAt+idLength])] = true
		}
	}
	const units = 500 // 100,000 events, with copies
	for from := int64(0); from < units; from += 25 {
		take(from, 25)
	}
	if j.next.Store(units); j.distinct() != int64(len(ids)) || len(ids) >= units*unitEvents {
		t.Fatalf("%d events, %d different, it counts %d", units*unitEvents, len(ids), j.distinct())
	}
	whole := int64(len(ids))
	for from := int64(lapUnits); from < lapUnits+units; from += 5 {
		take(from, 5)
	}
	if int64(len(ids)) != 2*whole {
		t.Fatalf("a second lap has %d events that are not in the first, want %d", int64(len(ids))-whole, whole)
	}
	if j.next.Store(lapUnits + units); j.distinct() != int64(j.first[lapUnits])+whole {
		t.Fatalf("after a lap and %d units it counts %d", units, j.distinct())
	}
}
