package sql_test

import (
	"context"
	stdsql "database/sql"
	"errors"
	"testing"

	_ "github.com/duckdb/duckdb-go/v2"

	"anabranch/fault"
	"anabranch/serving/sql"
)

// What is asked of a door's own tables is left to itself a little behind the end
// of its reader, and gives back what it holds when it is done.
func TestAside(t *testing.T) {
	db, err := stdsql.Open("duckdb", "")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	conn, err := db.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	refused := errors.New("refused")
	given := make(chan struct{})
	give := func() { close(given) }
	if left, err := sql.Aside(t.Context(), conn, func() error { return refused }, give); left || !errors.Is(err, refused) {
		t.Errorf("in time: left %v, %v", left, err)
	}
	defer sql.SetGrace(0)()
	ctx, cancel := context.WithCancel(t.Context())
	begun, done := make(chan struct{}), make(chan struct{})
	go func() {
		<-begun
		cancel()
	}()
	left, err := sql.Aside(ctx, conn, func() error {
		close(begun)
		<-done
		return nil
	}, give)
	if !left || fault.CodeOf(err) != "cancelled" {
		t.Errorf("behind its reader: left %v, %v", left, err)
	}
	select {
	case <-given:
		t.Error("given back before it is done")
	default:
	}
	close(done)
	<-given
}

// One user has half of the places.
func TestPlaces(t *testing.T) {
	t.Parallel()
	p := sql.NewPlaces(2)
	over, err := p.Take(t.Context(), "ann")
	if err != nil {
		t.Fatal(err)
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := p.Take(gone, "ann"); err == nil {
		t.Error("a second one of a user was taken")
	}
	other, err := p.Take(t.Context(), "bob")
	if err != nil {
		t.Fatal(err)
	}
	over()
	other()
	if over, err = p.Take(t.Context(), "ann"); err != nil {
		t.Fatal(err)
	}
	over()
}
