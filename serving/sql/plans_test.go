package sql_test

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"anabranch/fault"
	"anabranch/serving/sql"
)

// await waits minutes for what must come.
func await(t *testing.T, what string, is func() bool) {
	t.Helper()
	for began := time.Now(); !is(); time.Sleep(5 * time.Millisecond) {
		if time.Since(began) > 5*time.Minute {
			t.Fatal(what)
		}
	}
}

// Questions for parameters and columns are planned as many at once as may be, so
// many of them of one user. Queries have places of their own, and neither waits
// for the other.
func TestPlansHavePlaces(t *testing.T) {
	t.Parallel()
	b := setup(t)
	e := b.limited(sql.Options{MaxQueries: 2, MaxPlans: 3, MaxWaiting: 1, Patience: 50 * time.Millisecond})
	ask := map[string]func(user string) error{
		"describe": func(user string) error {
			_, err := e.Describe(t.Context(), sql.Request{SQL: "SELECT $1::INT", User: user})
			return err
		},
		"shapes": func(user string) error {
			_, _, err := e.Shapes(t.Context(), sql.Request{SQL: "SELECT $1::INT", User: user})
			return err
		},
	}
	// One of ann's is half of three.
	over := []func(){sql.HoldPlan(t, e, "ann")}
	for name, ask := range ask {
		if err := ask("ann"); !fault.Is(err, fault.Throttled) || fault.CodeOf(err) != "user_plans_busy" || !strings.Contains(err.Error(), "ann has 1 plans") {
			t.Errorf("%s: a second of one user: %v (%s)", name, err, fault.CodeOf(err))
		}
		if err := ask("bob"); err != nil {
			t.Errorf("%s: one of another: %v", name, err)
		}
	}
	over = append(over, sql.HoldPlan(t, e, "bob"), sql.HoldPlan(t, e, "cid"))
	for name, ask := range ask {
		if err := ask("dan"); !fault.Is(err, fault.Throttled) || fault.CodeOf(err) != "plans_busy" || !strings.Contains(err.Error(), "3 plans") {
			t.Errorf("%s: a fourth: %v (%s)", name, err, fault.CodeOf(err))
		}
	}
	if n, err := drain(t.Context(), e, sql.Request{SQL: "SELECT 1", User: "ann"}); n != 1 || err != nil {
		t.Errorf("a query beside plans: %d rows, %v", n, err)
	}
	var wg sync.WaitGroup
	codes := make([]string, 8)
	for i := range codes {
		wg.Go(func() { codes[i] = fault.CodeOf(ask["describe"]("")) })
	}
	wg.Wait()
	full := 0
	for _, c := range codes {
		if c == "plans_queue_full" {
			full++
		} else if c != "plans_busy" {
			t.Errorf("code %q", c)
		}
	}
	if full == 0 {
		t.Error("all waited")
	}
	for _, over := range over {
		over()
	}
	// Heavy queries have all their places.
	for _, user := range []string{"ann", "bob"} {
		a, err := e.Query(t.Context(), sql.Request{SQL: endless, User: user})
		if err != nil {
			t.Fatal(err)
		}
		defer a.Close()
	}
	for name, ask := range ask {
		if err := ask("ann"); err != nil {
			t.Errorf("%s: beside heavy queries: %v", name, err)
		}
	}
	// What an error took is given back as well.
	for range 5 {
		if _, err := e.Describe(t.Context(), sql.Request{SQL: "SELECT nothing FROM shops.by_shop"}); !fault.Is(err, fault.Invalid) {
			t.Fatal(err)
		}
	}
	if n := sql.PlansHeld(e); n != 0 {
		t.Errorf("%d plans are held", n)
	}
}

// A crowd of short questions is planned in turn.
func TestShortPlansTakeTurns(t *testing.T) {
	t.Parallel()
	b := setup(t)
	const most = 2
	e := b.limited(sql.Options{MaxPlans: most, Patience: 5 * time.Minute})
	done := make(chan struct{})
	var watch, wg sync.WaitGroup
	watch.Go(func() {
		for {
			if n := sql.PlansHeld(e); n > most {
				t.Errorf("%d plans at once", n)
				return
			}
			select {
			case <-done:
				return
			case <-time.After(50 * time.Microsecond):
			}
		}
	})
	for i := range 16 {
		wg.Go(func() {
			for range 4 {
				var err error
				if i%2 == 0 {
					_, err = e.Describe(t.Context(), sql.Request{SQL: "SELECT shop, n + $1 FROM shops.by_shop"})
				} else {
					_, _, err = e.Shapes(t.Context(), sql.Request{SQL: "SELECT shop, n + $1 FROM shops.by_shop"})
				}
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	close(done)
	watch.Wait()
	if n := sql.PlansHeld(e); n != 0 {
		t.Errorf("%d plans are held", n)
	}
}

// kept is a query whose planning the tests keep going.
const kept = "SELECT 1 AS kept_planning"

// A reader is answered where planning does not stop. Its place is given back when
// it does: no more such plans go on behind their readers than have places.
func TestPlansBehindTheirReadersHoldTheirPlaces(t *testing.T) {
	defer sql.SetGrace(time.Millisecond)()
	end := sql.KeepPlanning("kept_planning")
	b := setup(t)
	e := b.limited(sql.Options{MaxQueries: 2, MaxPlans: 2, Patience: 10 * time.Millisecond})
	ctx, leave := context.WithCancel(t.Context())
	defer leave()
	codes := make(chan string)
	const readers = 16
	for i := range readers {
		go func() {
			var err error
			if i%2 == 0 {
				_, err = e.Describe(ctx, sql.Request{SQL: kept})
			} else {
				_, _, err = e.Shapes(ctx, sql.Request{SQL: kept})
			}
			codes <- fault.CodeOf(err)
		}()
	}
	for range readers - 2 {
		if c := <-codes; c != "plans_busy" {
			t.Errorf("code %q where no place is left", c)
		}
	}
	leave()
	for range 2 {
		if c := <-codes; c != "cancelled" {
			t.Errorf("code %q behind the reader", c)
		}
	}
	if n := sql.PlansHeld(e); n != 2 {
		t.Errorf("%d plans go on, with 2 places", n)
	}
	if _, err := e.Describe(t.Context(), sql.Request{SQL: "SELECT 1"}); fault.CodeOf(err) != "plans_busy" {
		t.Errorf("one more: %v", err)
	}
	if n, err := drain(t.Context(), e, sql.Request{SQL: "SELECT 1"}); n != 1 || err != nil {
		t.Errorf("a query beside them: %d rows, %v", n, err)
	}
	end()
	await(t, "plans are held still", func() bool { return sql.PlansHeld(e) == 0 })
	if _, err := e.Describe(t.Context(), sql.Request{SQL: "SELECT 1"}); err != nil {
		t.Error(err)
	}
}

// So is whoever asks for a cut, or for an explanation: those hold the place of a
// query.
func TestReadersDoNotWaitForPlans(t *testing.T) {
	defer sql.SetGrace(time.Millisecond)()
	b := setup(t)
	e := b.limited(sql.Options{MaxQueries: 2})
	for name, ask := range map[string]func(context.Context) error{
		"hold": func(ctx context.Context) error {
			h, err := e.Hold(ctx, sql.Request{SQL: kept})
			if err == nil {
				h.Close()
			}
			return err
		},
		"explain": func(ctx context.Context) error {
			_, err := drain(ctx, e, sql.Request{SQL: "EXPLAIN " + kept})
			return err
		},
	} {
		end := sql.KeepPlanning("kept_planning")
		ctx, leave := context.WithCancel(t.Context())
		answered := make(chan error)
		go func() { answered <- ask(ctx) }()
		await(t, name+": it does not begin", func() bool { return sql.PlacesHeld(e) == 1 })
		leave()
		if err := <-answered; fault.CodeOf(err) != "cancelled" {
			t.Errorf("%s: %v, code %q", name, err, fault.CodeOf(err))
		}
		end()
		await(t, name+": the place is held still", func() bool { return sql.PlacesHeld(e) == 0 })
	}
	if n, err := drain(t.Context(), e, sql.Request{SQL: "SELECT 1"}); n != 1 || err != nil {
		t.Errorf("afterwards: %d rows, %v", n, err)
	}
}
