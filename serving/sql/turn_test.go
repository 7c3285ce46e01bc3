package sql_test

import (
	"testing"
	"time"

	"anabranch/fault"
	"anabranch/serving"
	"anabranch/serving/sql"
)

// TestTurns runs as many queries as may run: one more is refused as busy until
// one of them ends.
func TestTurns(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.engine.Close()
	src := &serving.Source{Name: "shops", Views: b.views, Speed: b.speed, Batch: b.archive}
	engine, err := sql.New(t.Context(), serving.New(serving.Options{Sources: func() []*serving.Source { return []*serving.Source{src} }}),
		sql.Options{MaxQueries: 2, Patience: 50 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	b.engine = engine
	ask := func() (*sql.Answer, error) {
		return engine.Query(t.Context(), sql.Request{SQL: endless})
	}
	var running []*sql.Answer
	for range 2 {
		a, err := ask()
		if err != nil {
			t.Fatal(err)
		}
		running = append(running, a)
	}
	if _, err := ask(); !fault.Is(err, fault.Throttled) || fault.CodeOf(err) != "busy" {
		t.Fatalf("a third query: %v", err)
	}
	if err := running[0].Close(); err != nil {
		t.Fatal(err)
	}
	a, err := ask()
	if err != nil {
		t.Fatalf("after one has ended: %v", err)
	}
	for _, a := range []*sql.Answer{a, running[1]} {
		if err := a.Close(); err != nil {
			t.Fatal(err)
		}
	}
	// Turns that errors took are given back as well.
	for range 5 {
		if _, err := engine.Query(t.Context(), sql.Request{SQL: "SELECT nothing FROM shops.by_shop"}); !fault.Is(err, fault.Invalid) {
			t.Fatal(err)
		}
	}
	if a, err = ask(); err != nil {
		t.Fatal(err)
	}
	a.Close()
}
