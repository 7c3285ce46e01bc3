package main

import (
	"bytes"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"anabranch/internal/soak"
)

var powerCuts = flag.Int("cuts", 0, "how often TestPowerCut cuts the power; 0: 2, under the race detector 1")

// TestPowerCut runs the program with all its servers on a disk of its own,
// stops the world at random moments, and goes on from what that disk held: the
// log, Temporal's database, snapshots and the object store together. What was
// acknowledged must be there.
func TestPowerCut(t *testing.T) {
	if testing.Short() {
		t.Skip("starts the whole program many times")
	}
	t.Parallel()
	cuts, seed := *powerCuts, *crashSeed
	if cuts == 0 {
		cuts = 2
		if raced {
			cuts = 1
		}
	}
	if seed == 0 {
		seed = uint64(time.Now().UnixNano())
	}
	t.Logf("-cuts %d -seed %d", cuts, seed)
	r := soak.Open(t, "image", seed)
	disk, err := newImage(t)
	if err != nil {
		r.NotRun("power cut under the real log, Temporal and bucket (copy of a mounted disk image)", err.Error())
		return
	}
	c := newCrash(t, r, seed, filepath.Join(disk.at, "state"))
	c.forgets = true
	c.begin()
	for n := 1; n <= cuts; n++ {
		c.feed.open()
		c.work()
		if n%4 == 3 {
			c.progress()
		}
		c.cut(disk, n)
		c.check(fmt.Sprintf("power cut %d", n), n%5 == 0 || n == cuts)
	}
	c.end()
	t.Logf("%v; %d runs; %d copies for %d cuts, the longest took %v; slowest restart %.1f s", c.truth, len(c.runs), disk.tries, disk.cuts, disk.took, c.slowest.Seconds())
}

// progress waits until the runs have ended. Temporal gives the steps of a dead
// worker away only when their heartbeat is overdue, and cuts come faster.
func (c *crash) progress() {
	for until := time.Now().Add(30 * time.Second); c.open() > 0 && time.Now().Before(until); time.Sleep(50 * time.Millisecond) {
	}
	c.ask()
	time.Sleep(time.Duration(c.rng.IntN(1500)) * time.Millisecond)
}

// cut is a power cut: everything that runs on the disk stops, its copy takes
// its place, and the program starts there. A word that was not synced, written
// a moment before, must be gone: else this would be no power cut at all.
func (c *crash) cut(disk *image, n int) {
	c.Helper()
	word := fmt.Appendf(nil, "cut %d", n)
	kept, lost := filepath.Join(disk.at, "synced"), filepath.Join(disk.at, "not-synced-"+strconv.Itoa(n))
	if err := writeSynced(kept, word); err != nil {
		c.Fatal(err)
	}
	if err := os.WriteFile(lost, word, 0o644); err != nil {
		c.Fatal(err)
	}
	time.Sleep(time.Duration(c.rng.IntN(40)) * time.Millisecond)
	all := c.program.processes()
	stop(c.T, all)
	copied := disk.shoot()
	for _, pid := range all {
		_ = syscall.Kill(pid, syscall.SIGKILL)
	}
	c.program.kill()
	for _, pid := range all { // Temporal has another parent now
		for until := time.Now().Add(patience); syscall.Kill(pid, 0) == nil && time.Now().Before(until); {
			time.Sleep(time.Millisecond)
		}
	}
	disk.swap(copied)
	c.record.Add("cuts", 1)
	if text, err := os.ReadFile(kept); err != nil || !bytes.Equal(text, word) {
		c.Fatalf("cut %d: what was synced before it reads %q, %v", n, text, err)
	}
	if text, err := os.ReadFile(lost); err != nil || !bytes.Equal(text, word) {
		c.record.Sometimes("what was not synced is gone")
	}
	c.how = "power cut"
	c.restart(c.program)
}

func writeSynced(name string, text []byte) error {
	f, err := os.Create(name)
	if err != nil {
		return err
	}
	defer f.Close()
	if _, err := f.Write(text); err != nil {
		return err
	}
	return f.Sync()
}

// processes returns the program and all that it has started.
func (p *program) processes() []int {
	p.t.Helper()
	all := []int{p.cmd.Process.Pid}
	for i := 0; i < len(all); i++ {
		tasks, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", all[i]))
		for _, name := range tasks {
			text, _ := os.ReadFile(name)
			for _, field := range strings.Fields(string(text)) {
				pid, err := strconv.Atoi(field)
				if err != nil {
					p.t.Fatalf("%s says %q", name, text)
				}
				all = append(all, pid)
			}
		}
	}
	return all
}

// stop stops processes and waits until none of their threads runs.
func stop(t *testing.T, pids []int) {
	t.Helper()
	for _, pid := range pids {
		if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
			t.Fatalf("stop process %d: %v", pid, err)
		}
	}
	for until := time.Now().Add(patience); ; time.Sleep(200 * time.Microsecond) {
		running := ""
		for _, pid := range pids {
			tasks, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", pid))
			for _, name := range tasks {
				text, err := os.ReadFile(name)
				if err != nil {
					continue // the thread has ended
				}
				// The name in parentheses may hold anything; the state follows.
				_, rest, _ := strings.Cut(string(text[bytes.LastIndexByte(text, ')'):]), " ")
				if state := rest[:1]; state != "T" && state != "Z" {
					running = string(text)
				}
			}
		}
		if running == "" {
			return
		}
		if time.Now().After(until) {
			t.Fatalf("not stopped after %v: %s", patience, running)
		}
	}
}

// The disk image forgets what was not synced, and nothing else: what makes
// TestPowerCut worth anything.
func TestImageForgets(t *testing.T) {
	disk, err := newImage(t)
	if err != nil {
		t.Logf("not run: %v", err)
		return
	}
	seed := uint64(time.Now().UnixNano())
	rng := rand.New(rand.NewPCG(seed, 0))
	t.Logf("seed %d", seed)
	forgotten := 0
	for n := range 3 {
		word := bytes.Repeat([]byte{byte('a' + n)}, 1+rng.IntN(100_000))
		kept, lost := filepath.Join(disk.at, fmt.Sprint("kept", n)), filepath.Join(disk.at, fmt.Sprint("lost", n))
		if err := writeSynced(kept, word); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(lost, word, 0o644); err != nil {
			t.Fatal(err)
		}
		disk.swap(disk.shoot())
		if text, err := os.ReadFile(kept); err != nil || !bytes.Equal(text, word) {
			t.Errorf("cut %d: what was synced has %d bytes, %v; want %d", n, len(text), err, len(word))
		}
		if text, err := os.ReadFile(lost); err != nil || len(text) == 0 {
			forgotten++
		}
	}
	if forgotten == 0 {
		t.Error("three cuts forgot nothing that was not synced")
	}
}
