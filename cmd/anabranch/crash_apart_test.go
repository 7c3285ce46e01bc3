package main

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/url"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"anabranch/internal/soak"
)

// newApart makes a scene whose roles are processes of their own: one has the
// log, Temporal and a front door; a second front door, speed and the worker
// know them by their addresses. They share the object store. via, if not nil,
// says by which way a process reaches one of the two addresses.
func newApart(t *testing.T, record *soak.Run, seed uint64, dir string, via func(name, server, at string) string) *crash {
	at := fixedAddresses(t, 2)
	if via == nil {
		via = func(_, _, at string) string { return at }
	}
	store := filepath.Join(dir, "bucket")
	where := (&url.URL{Scheme: "file", Path: store}).String()
	often := []string{"--http", "127.0.0.1:0", "--pg", "127.0.0.1:0", "--flight", "127.0.0.1:0", "--snapshot-every", "700ms", "--seal-every", "400ms", "--bucket", where}
	role := func(name, role string, more ...string) *program {
		args := append([]string{"run", "--role", role}, often...)
		return newProgram(t, filepath.Join(dir, name), append(args, more...)...)
	}
	there := func(name, as string) *program {
		return role(name, as, "--nats", "nats://"+via(name, "the log", at[0]), "--temporal-address", via(name, "Temporal", at[1]))
	}
	base := role("base", "gateway", "--nats-listen", at[0], "--temporal-listen", at[1], "--temporal-ui", "127.0.0.1:0")
	gateway, speed, worker := there("gateway", "gateway"), there("speed", "speed"), there("worker", "worker")
	c := newScene(t, record, seed, store, speed)
	c.doors = []*program{base, gateway}
	c.more = there
	c.parts = []part{{"of the base", 2, base}, {"of a gateway", 3, gateway}, {"of speed", 6, speed}, {"of the worker", 9, worker}}
	return c
}

// part is a process that may be killed alone.
type part struct {
	name   string
	weight int
	*program
}

// fixedAddresses picks free ports that stay the same over restarts. They are
// below those that the kernel gives to connections, of which one might have the
// port of a process that is not there for a moment.
func fixedAddresses(t *testing.T, n int) []string {
	t.Helper()
	var all []string
	for len(all) < n {
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", 20_000+rand.IntN(12_000)))
		if errors.Is(err, syscall.EADDRINUSE) {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close() // held until all are found, so that they differ
		all = append(all, l.Addr().String())
	}
	return all
}

// killPart kills one process, or all of them, and brings them back.
func (c *crash) killPart() {
	sum := 3
	for _, p := range c.parts {
		sum += p.weight
	}
	n := c.rng.IntN(sum)
	for _, p := range c.parts {
		if n -= p.weight; n >= 0 {
			continue
		}
		c.how = p.name
		_ = p.cmd.Process.Kill()
		c.died(p.name == "of the worker")
		c.restart(p.program)
		return
	}
	c.how = "of every process"
	for _, p := range c.parts {
		_ = p.cmd.Process.Kill()
	}
	c.died(false)
	c.restart(c.all()...)
}

// all returns every process of the scene, in the order in which they start.
func (c *crash) all() []*program {
	if len(c.parts) == 0 {
		return []*program{c.program}
	}
	var all []*program
	for _, p := range c.parts {
		all = append(all, p.program)
	}
	return all
}

// restart starts processes at once and waits for all of them.
func (c *crash) restart(all ...*program) {
	c.Helper()
	began := time.Now()
	var starting sync.WaitGroup
	for _, p := range all {
		p.launch()
		starting.Go(p.await)
	}
	starting.Wait()
	for _, p := range all {
		p.mustBeReady()
	}
	c.slowest = max(c.slowest, time.Since(began))
}

// aim waits, sometimes, until a batch run has come to a stage that is chosen
// by chance: the later ones take so little time that few random moments hit
// them.
func (c *crash) aim() {
	if c.rng.IntN(3) > 0 {
		return
	}
	want := c.rng.IntN(len(stages))
	for until := time.Now().Add(1500 * time.Millisecond); time.Now().Before(until); time.Sleep(2 * time.Millisecond) {
		if _, stage := c.stage(); stage >= want {
			time.Sleep(time.Duration(c.rng.IntN(15)) * time.Millisecond)
			return
		}
	}
}

// died looks at what the killed have left.
func (c *crash) died(worker bool) {
	if _, stage := c.stage(); stage >= 0 {
		c.record.Sometimes("killed in a batch run")
		if worker {
			c.record.Sometimes("a worker killed alone in a batch run")
		}
		if stage == len(stages)-1 {
			c.record.Sometimes("killed when a batch had made its files and not published")
		}
	}
	if half, _ := filepath.Glob(filepath.Join(c.bucket, "@temp", "*", "*")); len(half) > 0 {
		c.record.Sometimes("killed while an object was being written")
	}
}

func rngOf(seed, n uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, n)) }

// rounds kills so many times, comparing after each.
func (c *crash) rounds(kills int) {
	c.begin()
	for n := 1; n <= kills; n++ {
		c.feed.open()
		c.work()
		c.kill()
		c.check(fmt.Sprintf("kill %d, %s", n, c.how), n%5 == 0)
	}
	c.end()
	c.record.Add("kills", int64(kills))
	c.Logf("%v; %d runs; killed: %v; slowest restart %.1f s", c.truth, len(c.runs), c.killed, c.slowest.Seconds())
}
