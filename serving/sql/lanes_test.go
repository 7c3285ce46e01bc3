package sql

import (
	"testing"
	"time"
)

// A lane whose query was short works for the next one; one whose priority has
// fallen ends, for it would take the next one down with it.
func TestLanesAreUsedAgain(t *testing.T) {
	before := fallsAfter // not parallel: it is everybody's
	t.Cleanup(func() { fallsAfter = before })
	fallsAfter = time.Hour
	crowd := newCrowd(0)
	defer crowd.close()
	var all lanes
	defer all.close()
	take := func() *lane {
		l, err := all.lane(crowd)
		if err != nil {
			t.Fatal(err)
		}
		return l
	}
	first := take()
	first.run(func() {})
	all.done(first)
	if again := take(); again != first || again.taken != 0 {
		t.Errorf("got %p, which has taken %s, want %p", again, again.taken, first)
	}
	fallsAfter = 0
	first.run(func() {
		for !first.hasFallen() {
			time.Sleep(time.Millisecond)
		}
	})
	all.done(first)
	second := take()
	if second == first {
		t.Error("a lane of low priority works for the next query")
	}
	others := []*lane{second}
	for range mostIdle {
		others = append(others, take())
	}
	for _, l := range others {
		all.done(l)
	}
	if n := len(all.idle); n != mostIdle {
		t.Errorf("%d lanes wait, want %d", n, mostIdle)
	}
	all.close()
	late, err := newLane(crowd)
	if err != nil {
		t.Fatal(err)
	}
	if all.done(late); len(all.idle) > 0 {
		t.Error("a lane waits after the end")
	}
}
