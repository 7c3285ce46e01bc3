package sql_test

import (
	"context"
	"testing"
	"time"

	"anabranch/fault"
	"anabranch/serving/sql"
)

// toItself is a query whose function computes for a second or more, and cannot be
// interrupted.
const toItself = "SELECT list_aggregate(range(4000000 + r), 'histogram') FROM range(1) t(r)"

// A reader is answered where the engine does not stop. The place is given back
// when it does.
func TestReadersDoNotWaitForWhatCannotBeInterrupted(t *testing.T) {
	defer sql.SetGrace(10 * time.Millisecond)()
	b := setup(t)
	e := b.limited(sql.Options{MaxQueries: 2, Limits: sql.Limits{Time: 50 * time.Millisecond}})
	ctx, cancel := context.WithCancel(t.Context())
	for _, c := range []struct {
		ctx  context.Context
		code string
		does func()
	}{
		{t.Context(), "timeout", func() {}},
		{ctx, "cancelled", cancel},
	} {
		c.does()
		_, err := drain(c.ctx, e, sql.Request{SQL: toItself})
		if fault.CodeOf(err) != c.code {
			t.Errorf("%v, code %q, want %s", err, fault.CodeOf(err), c.code)
		}
	}
	if sql.PlacesHeld(e) == 0 {
		t.Error("the reader waited until all was done")
	}
	records, err := e.Records(t.Context(), sql.Request{SQL: toItself})
	if err == nil {
		_, err = records.Next()
		records.Close()
	}
	if fault.CodeOf(err) != "timeout" {
		t.Errorf("records: %v, code %q", err, fault.CodeOf(err))
	}
	for began := time.Now(); sql.PlacesHeld(e) > 0; time.Sleep(10 * time.Millisecond) {
		if time.Since(began) > 5*time.Minute {
			t.Fatalf("%d places are still held", sql.PlacesHeld(e))
		}
	}
	await(t, "nothing is answered afterwards", func() bool { // in 50 ms, which a busy machine may not have at once
		_, err := drain(t.Context(), e, sql.Request{SQL: "SELECT 1"})
		return err == nil
	})
}
