package pgwire_test

import (
	"flag"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"testing"
	"time"

	"anabranch/serving/pgwire"
)

var hold = flag.Duration("hold", 0, "keep a door with some views open for so long, for clients that are tried by hand")

var record = flag.String("record", os.DevNull, "with -hold: file for the statements that clients send")

// TestHold keeps a door open: go test ./serving/pgwire -run TestHold -v -args -hold 10m
func TestHold(t *testing.T) {
	if *hold == 0 {
		t.Skip("for clients that are tried by hand: -args -hold 10m")
	}
	f, err := os.Create(*record)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	b := open(t, func(o *pgwire.Options) {
		o.Logger = slog.New(slog.NewJSONHandler(f, &slog.HandlerOptions{Level: slog.LevelDebug}))
	})
	b.fold("shops", 1, 500)
	b.fold("web", 1, 50)
	fmt.Printf("postgres://ada@%s/anabranch\n", b.address)
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, os.Interrupt)
	defer signal.Stop(stop)
	select {
	case <-stop:
	case <-time.After(*hold):
	}
}
