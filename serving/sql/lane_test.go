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
	before := falls
	t.Cleanup(func() { falls = before })
	falls = append(falls[:0:0], falls...)
	for i := range falls {
		falls[i].after = time.Nanosecond
	}
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 500 {
				l, err := newLane(nil)
				if err != nil {
					t.Error(err)
					return
				}
				for range 8 {
					l.run(runtime.Gosched)
				}
				l.mu.Lock()
				if l.fallen > len(falls) {
					t.Errorf("the priority fell %d times, of %d", l.fallen, len(falls))
				}
				l.mu.Unlock()
				l.close()
			}
		})
	}
	wg.Wait()
}
