package main

import (
	"flag"
	"fmt"
	"syscall"
	"testing"
	"time"

	"anabranch/internal/soak"
)

var zombieStops = flag.Int("stops", 0, "how often TestZombieProcesses stops a process; 0: 2, under the race detector 1")

// heartbeat is how long Temporal waits for a sign of life of a step; workflows
// has it.
const heartbeat = 20 * time.Second

// TestZombieProcesses has two processes of each role. One of them is stopped
// (SIGSTOP) while it works, for as long as it takes the others to do without
// it, and then goes on where it stood. Nothing tells it that it was away, and
// no lease keeps it out: what it still does must do no harm.
func TestZombieProcesses(t *testing.T) {
	if testing.Short() {
		t.Skip("starts many processes")
	}
	t.Parallel()
	stops, seed := *zombieStops, *crashSeed
	if stops == 0 {
		stops = 2
		if raced {
			stops = 1
		}
	}
	if seed == 0 {
		seed = uint64(time.Now().UnixNano())
	}
	t.Logf("-stops %d -seed %d", stops, seed)
	z := newZombies(t, soak.Open(t, "zombie", seed), seed)
	z.begin()
	first := z.rng.IntN(3)
	for n := 1; n <= stops; n++ {
		z.feed.open()
		z.work()
		switch (first + n) % 3 {
		case 0:
			z.stopWorker(n)
		case 1:
			z.stopSpeed(n)
		case 2:
			z.stopGateway(n)
		}
		z.record.Add("stops", 1)
	}
	z.end()
	t.Logf("%v; %d runs", z.truth, len(z.runs))
}

// scene of zombies: a crash whose program never stops, and those that do.
type zombieScene struct {
	*crash
	speed, worker, gateway *program
}

func newZombies(t *testing.T, record *soak.Run, seed uint64) *zombieScene {
	c := newApart(t, record, seed, t.TempDir(), nil)
	z := &zombieScene{crash: c, speed: c.more("speed2", "speed"), worker: c.more("worker2", "worker"), gateway: c.doors[1]}
	c.parts = append(c.parts, part{"", 0, z.speed}, part{"", 0, z.worker})
	return z
}

func (z *zombieScene) signal(p *program, s syscall.Signal) {
	z.Helper()
	if err := p.cmd.Process.Signal(s); err != nil {
		z.Fatalf("%v to %v: %v", s, p.args, err)
	}
}

// stopWorker stops a worker in the midst of a run until that has ended
// without it.
func (z *zombieScene) stopWorker(n int) {
	// One run, so that all steps are of it.
	z.until(fmt.Sprintf("stop %d: the runs have not ended", n), func() bool { return z.open() == 0 })
	z.ask()
	run := z.runs[len(z.runs)-1]
	for until := time.Now().Add(2 * time.Second); time.Now().Before(until); time.Sleep(time.Millisecond) {
		if _, stage := z.stage(); stage >= 0 {
			break
		}
	}
	time.Sleep(time.Duration(z.rng.IntN(150)) * time.Millisecond)
	began := time.Now()
	z.signal(z.worker, syscall.SIGSTOP)
	for until := began.Add(patience); !run.done; time.Sleep(100 * time.Millisecond) {
		if z.look(run); time.Now().After(until) {
			z.Fatalf("stop %d: %+v does not end without one of two workers", n, *run)
		}
	}
	if time.Since(began) > heartbeat*3/4 {
		z.record.Sometimes("a run ended without the worker that stood still in it")
	}
	versions := z.versions()
	z.signal(z.worker, syscall.SIGCONT)
	z.check(fmt.Sprintf("stop %d, of a worker", n), true)
	if now := z.versions(); now != versions {
		z.Errorf("stop %d: %d versions when the worker woke, then %d", n, versions, now)
	}
}

// stopSpeed stops one that seals, folds, trims and answers, while the other
// goes on and a version is published. What it answers when it goes on is
// right.
func (z *zombieScene) stopSpeed(n int) {
	versions := z.versions()
	z.signal(z.speed, syscall.SIGSTOP)
	z.ask()
	until := time.Now().Add(time.Duration(500+z.rng.IntN(3000)) * time.Millisecond)
	for time.Now().Before(until) {
		time.Sleep(20 * time.Millisecond)
		if z.versions() > versions {
			z.record.Sometimes("a version was published while speed stood still")
			time.Sleep(time.Duration(z.rng.IntN(600)) * time.Millisecond) // and the log trimmed
			break
		}
	}
	z.signal(z.speed, syscall.SIGCONT)
	z.check(fmt.Sprintf("stop %d, the other speed", n), false)
	z.checkAt(z.speed, fmt.Sprintf("stop %d, of speed", n), true)
}

// stopGateway stops a door with requests inside until their senders have
// given up and gone to the other door.
func (z *zombieScene) stopGateway(n int) {
	z.signal(z.gateway, syscall.SIGSTOP)
	time.Sleep(5*time.Second + time.Duration(z.rng.IntN(1000))*time.Millisecond) // they wait for 5 s
	z.signal(z.gateway, syscall.SIGCONT)
	z.check(fmt.Sprintf("stop %d, of a gateway", n), n%2 == 0)
}
