package sql_test

import (
	"context"
	"testing"
	"time"

	"anabranch/internal/processors"
	"anabranch/serving/sql"
)

// TestLargeAnswersLeaveAProcessor: as many large answers as there are processors
// are not read at once, until one of their readers waits for something else, is
// done, or has no time any more.
func TestLargeAnswersLeaveAProcessor(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ask := func(ctx context.Context) *sql.Answer {
		a, err := b.engine.Query(ctx, sql.Request{SQL: "SELECT * FROM range(1000000)"})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { a.Close() })
		return a
	}
	read := func(a *sql.Answer, n int) error {
		for range n {
			if row, err := a.Next(); err != nil || row == nil {
				return err
			}
		}
		return nil
	}
	const rows = 100_000
	seats := processors.ButOne()
	sitting := make([]*sql.Answer, seats)
	for i := range sitting {
		sitting[i] = ask(t.Context())
		if err := read(sitting[i], rows); err != nil {
			t.Fatal(err)
		}
	}
	// A small one, and the beginning of a large one, are read meanwhile.
	if err := read(ask(t.Context()), 30_000); err != nil {
		t.Fatal(err)
	}
	for _, free := range []func() error{
		func() error { sitting[0].Rest(); return nil },
		func() error { return sitting[0].Close() },
	} {
		ctx, cancel := context.WithCancel(t.Context())
		waits := ask(ctx)
		done := make(chan error, 1)
		go func() { done <- read(waits, rows) }()
		select {
		case err := <-done:
			t.Fatalf("%d of %d seats are taken, and one more has been read: %v", seats, seats, err)
		case <-time.After(50 * time.Millisecond): // a slow machine may hide a fault here, and makes none
		}
		if err := free(); err != nil {
			t.Fatal(err)
		}
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		waits.Rest()
		if err := read(sitting[0], 1); err != nil {
			t.Fatal(err)
		}
		cancel()
		waits.Close()
	}
	if err := read(ask(t.Context()), rows); err != nil { // which has the seat now
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	late := ask(ctx)
	done := make(chan error, 1)
	go func() { done <- read(late, 1_000_000) }()
	cancel()
	if err := <-done; err == nil {
		t.Error("a query without time was read to its end")
	}
}
