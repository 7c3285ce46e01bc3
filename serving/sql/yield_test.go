package sql

import (
	"context"
	"testing"
	"testing/synctest"
	"time"
)

// Whoever reads a large answer waits for small queries when he sits down, not
// for long, and not for a query that takes long itself.
func TestReadersOfLargeAnswersYield(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSeats()
		sits := func(ctx context.Context) time.Duration {
			began := time.Now()
			s.yield(ctx)
			return time.Since(began)
		}
		if d := sits(t.Context()); d != 0 {
			t.Errorf("waits %s for nobody", d)
		}
		first, second := s.begin(), s.begin()
		if d := sits(t.Context()); d != yielding {
			t.Errorf("waits %s for two that go on, want %s", d, yielding)
		}
		first()
		first()
		if d := sits(t.Context()); d != yielding {
			t.Errorf("waits %s for one that goes on, want %s", d, yielding)
		}
		go func() {
			time.Sleep(time.Millisecond)
			second()
		}()
		if d := sits(t.Context()); d != time.Millisecond {
			t.Errorf("waits %s for one that ends after a millisecond", d)
		}
		third := s.begin()
		time.Sleep(fallsAfter)
		synctest.Wait()
		if d := sits(t.Context()); d != 0 {
			t.Errorf("waits %s for one that takes long", d)
		}
		third()
		defer s.begin()()
		over, cancel := context.WithCancel(t.Context())
		cancel()
		if d := sits(over); d != 0 {
			t.Errorf("waits %s when its own query is over", d)
		}
	})
}
