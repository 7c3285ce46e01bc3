package archive

import (
	"context"
	"testing"
	"time"

	"anabranch/event"
	"anabranch/fault"
	"anabranch/internal/clock"
)

// asked is a clock that tells what it is asked to wait for.
type asked struct {
	clock.Clock
	times chan time.Duration
	fire  chan time.Time
}

func (a *asked) After(d time.Duration) <-chan time.Time {
	a.times <- d
	return a.fire
}

// TestTurnsOfEncoders: who is not behind waits for a turn until it is, unless
// its context ends.
func TestTurnsOfEncoders(t *testing.T) {
	// Not parallel: all that seal in this process share the turns.
	for range cap(encoders) {
		encoders <- struct{}{}
	}
	tb := setup(t, 1)
	now := &asked{tb.clock, make(chan time.Duration, 1), make(chan time.Time)}
	f := &following{sealing: &sealing{Sealer: &Sealer{a: Open(tb.bucket, "shop", tb.set, Options{Partitions: partitions, Clock: now})}}}
	type turn struct {
		over func()
		err  error
	}
	take := func(ctx context.Context, behind, want time.Duration) chan turn {
		f.open = openSegment{}
		f.open.add(1, event.Header{Ingested: now.Now().Add(-behind).UnixMicro()}, 1, tb.batch(1, 1))
		done := make(chan turn, 1)
		go func() {
			over, err := f.turn(ctx)
			done <- turn{over, err}
		}()
		if want > 0 {
			if d := <-now.times; d != want {
				t.Errorf("%s behind it waits for %s, want %s", behind, d, want)
			}
		}
		return done
	}
	all := func(what string) {
		if len(encoders) != cap(encoders) {
			t.Fatalf("%s: %d of %d turns are taken", what, len(encoders), cap(encoders))
		}
	}
	if got := <-take(t.Context(), patience, 0); got.err != nil {
		t.Error("far behind:", got.err)
	} else {
		got.over()
		all("far behind")
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := take(ctx, 0, patience)
	cancel()
	if got := <-done; !fault.Is(got.err, fault.Transient) {
		t.Error("stopped:", got.err)
	}
	done = take(t.Context(), patience/4, patience*3/4)
	now.fire <- now.Now()
	if got := <-done; got.err != nil {
		t.Error("has waited long enough:", got.err)
	} else {
		got.over()
		all("has waited long enough")
	}
	done = take(t.Context(), -time.Hour, patience) // by another machine's clock
	<-encoders
	got := <-done
	if got.err != nil {
		t.Fatal("in its turn:", got.err)
	}
	all("in its turn")
	got.over()
	for range cap(encoders) - 1 {
		<-encoders
	}
	if len(encoders) > 0 {
		t.Error("a turn was not given back")
	}
}
