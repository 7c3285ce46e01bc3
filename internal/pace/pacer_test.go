package pace

import (
	"context"
	"errors"
	"math"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"anabranch/internal/clock"
)

// work does pieces of a millisecond until ctx ends.
func work(ctx context.Context, p *Pacer, pieces *atomic.Int64, at *atomic.Int32, most *atomic.Int32) {
	inner, turn, err := p.Begin(ctx)
	if err != nil {
		return
	}
	defer turn.End()
	for Yield(inner) == nil {
		if n := at.Add(1); n > most.Load() {
			most.Store(n)
		}
		time.Sleep(time.Millisecond)
		at.Add(-1)
		pieces.Add(1)
	}
}

// TestWorkGetsItsShare: of two processors, whatever the number of steps, and
// all of them about the same.
func TestWorkGetsItsShare(t *testing.T) {
	for _, share := range []float64{0.1, 0.3, 0.5, 0.8, 1} {
		synctest.Test(t, func(t *testing.T) {
			const steps = 4
			p := NewPacer(2, clock.Wall)
			p.Set(share)
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			defer cancel()
			var pieces [steps]atomic.Int64
			var at, most atomic.Int32
			var wg sync.WaitGroup
			for i := range steps {
				wg.Go(func() { work(ctx, p, &pieces[i], &at, &most) })
			}
			wg.Wait()
			sum, least := int64(0), int64(math.MaxInt64)
			for i := range pieces {
				sum, least = sum+pieces[i].Load(), min(least, pieces[i].Load())
			}
			want := 2 * share * 10_000 // milliseconds of processors
			if share == 1 {
				want = steps * 10_000 // then nothing is held
			}
			if s := float64(sum); s < 0.9*want || s > 1.05*want+20 {
				t.Errorf("share %v: %d ms worked, want %.0f", share, sum, want)
			}
			if float64(least) < float64(sum)/steps*0.7 {
				t.Errorf("share %v: one step has %d of %d", share, least, sum)
			}
			if share <= 0.5 && most.Load() > 1 {
				t.Errorf("share %v: %d at once", share, most.Load())
			}
			if s := p.Stats(); s.Busy || p.running != 0 || p.waiting != 0 {
				t.Errorf("share %v: %+v, %d run, %d wait after all have ended", share, s, p.running, p.waiting)
			}
		})
	}
}

// TestAllStandStillAtNothing: and go on when the share changes.
func TestAllStandStillAtNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := NewPacer(2, clock.Wall)
		ctx, cancel := context.WithCancel(t.Context())
		var pieces atomic.Int64
		var at, most atomic.Int32
		var wg sync.WaitGroup
		for range 3 {
			wg.Go(func() { work(ctx, p, &pieces, &at, &most) })
		}
		time.Sleep(time.Second)
		p.Set(0)
		time.Sleep(5 * time.Millisecond)
		stood := pieces.Load()
		time.Sleep(time.Minute)
		if n := pieces.Load(); n != stood || !p.Stats().Busy {
			t.Errorf("%d pieces done with a share of nothing, busy %v", n-stood, p.Stats().Busy)
		}
		p.Set(1)
		time.Sleep(time.Second)
		if pieces.Load() < stood+2500 {
			t.Errorf("%d pieces in a second afterwards", pieces.Load()-stood)
		}
		p.Set(0)
		time.Sleep(time.Second)
		cancel() // a cancelled step does not wait for a turn
		wg.Wait()
	})
}

func TestALongPieceIsPaidForUpToABound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := NewPacer(2, clock.Wall)
		p.Set(0.5)
		ctx, turn, err := p.Begin(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer turn.End()
		time.Sleep(time.Hour) // stopped, say
		began := time.Now()
		if err := Yield(ctx); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(began); took > longest {
			t.Errorf("it waits for %s", took)
		}
		if s := turn.Share(); s < 0.4 || s > 1 {
			t.Errorf("its share is %v", s)
		}
	})
}

func TestWithoutAPacer(t *testing.T) {
	var p *Pacer
	ctx, turn, err := p.Begin(t.Context())
	if err != nil || Yield(ctx) != nil || turn.Share() != 1 {
		t.Error("work without a pacer is held up")
	}
	turn.End()
	ended, cancel := context.WithCancel(ctx)
	cancel()
	if !errors.Is(Yield(ended), context.Canceled) {
		t.Error("work goes on after the end of its context")
	}
}
