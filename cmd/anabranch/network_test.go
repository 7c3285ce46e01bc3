package main

import (
	"context"
	"flag"
	"fmt"
	"testing"
	"time"

	"anabranch/fault"
	"anabranch/internal/soak"
)

var networkIlls = flag.Int("ills", 0, "how often TestNetwork harms a connection; 0: 2, under the race detector 1")

// TestNetwork has the roles apart, and something between each of them and the
// log, and Temporal, that breaks connections, lets nothing pass, or lets pass
// one direction only: for a moment, or for longer than leases and heartbeats.
// When all is well again everything goes on by itself.
func TestNetwork(t *testing.T) {
	if testing.Short() {
		t.Skip("starts many processes")
	}
	t.Parallel()
	ills, seed := *networkIlls, *crashSeed
	if ills == 0 {
		ills = 2
		if raced {
			ills = 1
		}
	}
	if seed == 0 {
		seed = uint64(time.Now().UnixNano())
	}
	t.Logf("-ills %d -seed %d", ills, seed)
	n := &network{}
	n.crash = newApart(t, soak.Open(t, "network", seed), seed, t.TempDir(), func(name, server, at string) string {
		w := newWire(t, at)
		n.wires = append(n.wires, namedWire{name + " and " + server, w})
		return w.address()
	})
	n.refused = n.see
	n.begin()
	for i := 1; i <= ills; i++ {
		n.feed.open()
		n.work()
		what := n.harm()
		n.answers(what)
		n.check(fmt.Sprintf("%d: %s", i, what), i%5 == 0)
		n.record.Add("ills", 1)
	}
	n.end()
	t.Logf("%v; %d runs", n.truth, len(n.runs))
}

// network is the scene: a crash in which nobody dies.
type network struct {
	*crash
	wires []namedWire
}

type namedWire struct {
	between string
	*wire
}

// answers waits for the first answer to a query: connections are made again,
// and until then the program says so.
func (n *network) answers(when string) {
	n.Helper()
	for until := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
		ctx, cancel := context.WithDeadline(context.Background(), until)
		_, err := queryCSV(ctx, n.program.client(), "SELECT sum(lines) FROM retail.day")
		cancel()
		switch {
		case err == nil:
			return
		case time.Now().After(until):
			n.Fatalf("%s: no answer %v after all is well: %v", when, patience, err)
		case !fault.KindOf(err).Retryable():
			n.Fatalf("%s: %v", when, err)
		}
		n.record.Sometimes("a query was refused for a while")
	}
}

// see hears of every request that was not acknowledged.
func (n *network) see(error) { n.record.Sometimes("an event was sent again") }

// harm makes one wire or all of them ill, lets the others go on with a new run,
// and makes it well again.
func (n *network) harm() string {
	n.aim()
	hit := n.wires[n.rng.IntN(len(n.wires)):][:1]
	if n.rng.IntN(6) == 0 {
		hit = n.wires
	}
	what := ill(1 + n.rng.IntN(len(ills)-1))
	long := time.Duration(50+n.rng.IntN(4000)) * time.Millisecond
	if n.rng.IntN(6) == 0 {
		long = heartbeat + time.Duration(n.rng.IntN(8000))*time.Millisecond
	}
	if _, stage := n.stage(); stage >= 0 {
		n.record.Sometimes("harmed in a batch run")
	}
	versions := n.versions()
	for _, w := range hit {
		w.become(what)
	}
	time.Sleep(long / 2)
	if n.open() < 2 {
		n.ask()
	}
	time.Sleep(long / 2)
	if n.versions() > versions {
		n.record.Sometimes("a version was published meanwhile")
	}
	broken := n.rng.IntN(2) == 0 // or what was held back arrives late
	for _, w := range hit {
		if broken {
			w.breakUp()
		}
		w.become(well)
	}
	if !broken && what != cut {
		n.record.Sometimes("what was held back arrived late")
	}
	between := hit[0].between
	if len(hit) > 1 {
		between = "everybody"
	}
	return fmt.Sprintf("%s %s for %v, broken up %v", between, ills[what], long, broken)
}
