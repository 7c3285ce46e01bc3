package ingest

import (
	"context"
	"math/rand/v2"
	"sync"
	"testing"
)

func TestBudgetServesInOrder(t *testing.T) {
	t.Parallel()
	b := newBudget(100)
	if err := b.take(t.Context(), 90); err != nil {
		t.Fatal(err)
	}
	order := make(chan int, 3)
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	for i, c := range []struct {
		n   int64
		ctx context.Context
	}{{50, t.Context()}, {5, ctx}, {20, t.Context()}} { // 5 would fit at once, but it is not its turn
		wg.Go(func() {
			if b.take(c.ctx, c.n) == nil {
				order <- i
			}
		})
		until(t, "it waits", func() bool { b.mu.Lock(); defer b.mu.Unlock(); return b.waiting.Len() == i+1 })
	}
	cancel()
	until(t, "one gave up", func() bool { b.mu.Lock(); defer b.mu.Unlock(); return b.waiting.Len() == 2 })
	b.give(45)
	if i := <-order; i != 0 {
		t.Fatalf("%d was served first", i)
	}
	b.give(45)
	if i := <-order; i != 2 {
		t.Fatalf("%d was served second", i)
	}
	wg.Wait()
	b.give(70)
	if b.inUse() != 0 {
		t.Fatal(b.inUse())
	}
	if err := b.take(t.Context(), 1000); err != nil { // more than there is: all of it
		t.Fatal(err)
	}
	if b.try(1, 1) {
		t.Fatal("over the limit")
	}
	b.give(1000)
}

func TestBudgetUnderPressure(t *testing.T) {
	t.Parallel()
	b := newBudget(1000)
	var wg sync.WaitGroup
	for i := range 16 {
		wg.Go(func() {
			r := rand.New(rand.NewPCG(uint64(i), 1))
			for range 200 {
				n := r.Int64N(400)
				ctx, cancel := context.WithCancel(t.Context())
				if r.IntN(4) == 0 {
					go cancel()
				}
				if b.take(ctx, n) == nil {
					if used := b.inUse(); used > 1000 {
						t.Errorf("%d in use", used)
					}
					b.give(n)
				}
				cancel()
			}
		})
	}
	wg.Wait()
	if b.inUse() != 0 || b.waiting.Len() != 0 {
		t.Fatal(b.inUse(), b.waiting.Len())
	}
}

// Whoever gives up at the moment at which its turn comes has taken nothing.
func TestBudgetGivenUpAtItsTurn(t *testing.T) {
	t.Parallel()
	b := newBudget(10)
	for range 500 {
		if err := b.take(t.Context(), 10); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() {
			if b.take(ctx, 7) == nil {
				b.give(7)
			}
		})
		until(t, "it waits", func() bool { b.mu.Lock(); defer b.mu.Unlock(); return b.waiting.Len() == 1 })
		cancel()
		b.give(10)
		wg.Wait()
		if n := b.inUse(); n != 0 {
			t.Fatalf("%d are taken and nobody has them", n)
		}
	}
}
