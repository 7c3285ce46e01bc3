package sql

import (
	"runtime"
	"sync"
	"testing"
	"time"
)

// A timer of a step that has ended may ring in the next one, when the
// priority's time has come just as the step ended. It means nothing there.
func TestTheTimerOfAStepThatEnded(t *testing.T) {
	before := fallsAfter
	t.Cleanup(func() { fallsAfter = before })
	fallsAfter = time.Nanosecond
	crowd := newCrowd(0)
	defer crowd.close()
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 500 {
				l, err := newLane(crowd)
				if err != nil {
					t.Error(err)
					return
				}
				for range 8 {
					l.run(runtime.Gosched)
				}
				l.close()
			}
		})
	}
	wg.Wait()
	if len(crowd.threads) > 0 {
		t.Errorf("threads %v are at work after the end", crowd.threads)
	}
}
