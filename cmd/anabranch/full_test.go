package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"anabranch/internal/smalldisk"
	"anabranch/internal/soak"
)

var (
	fullCycles = flag.Int("full-cycles", 0, "how often TestDiskFull fills the disk; 0: 2")
	fullSeed   = flag.Uint64("full-seed", 0, "of TestDiskFull; 0 picks one")
)

const (
	fullDisk    = 320 << 20
	fullReserve = 32 << 20
)

// TestDiskFull runs the program on a small disk and fills it, again and again:
// events are refused with 507, queries go on, and when there is room again
// writing resumes by itself, with everything acknowledged counted once.
func TestDiskFull(t *testing.T) {
	if testing.Short() {
		t.Skip("starts the whole program")
	}
	cycles, seed := *fullCycles, *fullSeed
	if cycles == 0 {
		cycles = 2
	}
	if seed == 0 {
		seed = uint64(time.Now().UnixNano())
	}
	t.Logf("-full-cycles %d -full-seed %d", cycles, seed)
	record := soak.Open(t, "full", seed)
	disk, done, why := smalldisk.Mount(t, fullDisk)
	if done {
		return
	}
	if why != "" {
		record.NotRun("disk full", why)
		return
	}
	f := newFull(t, seed, disk, record, filepath.Join(disk.Dir, "state"), "--min-free", strconv.Itoa(fullReserve))
	f.begin()
	for n := 1; n <= cycles; n++ {
		f.feed.open()
		f.cycle(n)
		f.check(fmt.Sprintf("cycle %d", n), n%10 == 0)
		record.Add("cycles", 1)
	}
	f.ending.Store(true)
	f.end()
	t.Logf("%v; %d runs, slowest to resume %.1f s, %d answers while full", f.truth, len(f.runs), f.slowest.Seconds(), f.answers.Load())
}

// TestPartOfTheDiskFull fills the disk of the object store, or that of the
// snapshots, while the log has room. Snapshots wait and nobody else does. Without
// the object store events are taken that need none, those with dead letters are
// refused with 507; queries go on, and runs do when there is room.
func TestPartOfTheDiskFull(t *testing.T) {
	if *fullCycles == 0 || testing.Short() {
		t.Skip("part of the soak: give -full-cycles")
	}
	seed := *fullSeed
	if seed == 0 {
		seed = uint64(time.Now().UnixNano())
	}
	for _, part := range []string{"bucket", "speed"} {
		t.Run(part, func(t *testing.T) {
			t.Logf("-full-seed %d", seed)
			record := soak.Open(t, "full-"+part, seed)
			disk, done, why := smalldisk.Mount(t, fullDisk)
			if done {
				return
			}
			if why != "" {
				record.NotRun("disk of "+part+" full", why)
				return
			}
			state, args := filepath.Join(t.TempDir(), "state"), []string(nil)
			if part == "bucket" {
				args = []string{"--bucket", "file://" + filepath.Join(disk.Dir, "bucket")}
			} else if err := errors.Join(os.MkdirAll(state, 0o755), os.Symlink(disk.Dir, filepath.Join(state, part))); err != nil {
				t.Fatal(err)
			}
			f := newFull(t, seed, disk, record, state, args...)
			if part == "bucket" {
				f.bucket = filepath.Join(disk.Dir, "bucket")
			}
			f.begin()
			for n := 1; n <= max(1, *fullCycles/10); n++ {
				f.feed.open()
				f.part(n, part)
				f.check(fmt.Sprintf("cycle %d", n), n%10 == 0)
				record.Add("cycles", 1)
			}
			f.ending.Store(true)
			f.end()
		})
	}
}

// part fills the disk of one part and waits until what needs no room there
// has gone on, and what needs it has not.
func (f *full) part(n int, part string) {
	time.Sleep(time.Duration(f.rng.IntN(500)) * time.Millisecond)
	f.mu.Lock()
	f.refusals = 0
	f.mu.Unlock()
	if err := f.disk.Fill(0); err != nil {
		f.Fatal(err)
	}
	f.isFull.Store(true)
	before, _ := f.truth.bounds()
	if f.open() < 2 {
		f.ask()
	}
	taken := false
	f.until(fmt.Sprintf("cycle %d: neither taken nor refused", n), func() bool {
		f.feed.open()
		// Again: a run that found no room gives back what it had taken.
		if err := f.disk.Fill(0); err != nil {
			f.Fatal(err)
		}
		now, _ := f.truth.bounds()
		f.mu.Lock()
		defer f.mu.Unlock()
		if taken = now > before; part == "bucket" {
			// Each producer may have come to a request with a dead letter,
			// which has no room, and repeat it until there is some.
			return f.refusals > 0 && (taken || f.refusals > 30)
		}
		return taken && f.program.said("snapshot not written")
	})
	if taken {
		f.record.Sometimes("events were taken while it was full")
	}
	time.Sleep(time.Duration(f.rng.IntN(1000)) * time.Millisecond)
	f.isFull.Store(false)
	if err := f.disk.Free(); err != nil {
		f.Fatal(err)
	}
}

// full is the scene: a crash test whose disk fills instead.
type full struct {
	*crash
	disk smalldisk.Disk

	mu       sync.Mutex // guards the fields below
	refusals int        // with 507, since the disk was filled
	isFull   atomic.Bool
	ending   atomic.Bool
	answers  atomic.Int64 // of queries while the disk was full
}

func newFull(t *testing.T, seed uint64, disk smalldisk.Disk, record *soak.Run, dir string, args ...string) *full {
	f := &full{disk: disk}
	f.crash = newCrash(t, record, seed, dir, args...)
	f.refused = f.see
	ctx, cancel := context.WithCancel(context.Background())
	var readers sync.WaitGroup
	readers.Go(func() { f.read(ctx) })
	t.Cleanup(func() { cancel(); readers.Wait() })
	return f
}

// see looks at what an event was refused with: while the disk is full that
// must be 507, as a problem that says when to come again.
func (f *full) see(err error) {
	var r *refused
	switch {
	case f.ending.Load(): // it is killed and started again
	case !errors.As(err, &r):
		f.Errorf("an event was neither taken nor refused: %v", err)
	case r.status != http.StatusInsufficientStorage:
		f.Errorf("an event was refused with %v", r)
	case r.media != "application/problem+json" || r.problem.Status != r.status || r.problem.Code == "" || r.problem.Detail == "" || r.retryAfter == "":
		f.Errorf("507 without a problem: %+v", r)
	default:
		f.mu.Lock()
		f.refusals++
		f.mu.Unlock()
	}
}

// read asks all the time while the disk is full. Every question has an answer.
func (f *full) read(ctx context.Context) {
	for ctx.Err() == nil {
		if f.isFull.Load() {
			least, _ := f.truth.bounds()
			asked, cancel := context.WithTimeout(ctx, patience)
			rows, err := queryCSV(asked, f.program.client(), "SELECT sum(lines) FROM retail.day")
			cancel()
			if ctx.Err() != nil {
				return
			}
			_, most := f.truth.bounds()
			if n, e := strconv.ParseInt(rows1(rows), 10, 64); err != nil || e != nil || n < least || n > most {
				f.Errorf("a query while the disk is full: %v %v, want %d to %d", rows, err, least, most)
			}
			f.answers.Add(1)
		}
		pause(ctx, 20*time.Millisecond)
	}
}

func rows1(rows [][]string) string {
	if len(rows) != 2 {
		return ""
	}
	return rows[1][0]
}

// cycle fills the disk under the producers and waits until they are refused,
// then makes room and waits until they are not.
func (f *full) cycle(n int) {
	time.Sleep(time.Duration(f.rng.IntN(200)) * time.Millisecond)
	if f.open() < 2 && f.rng.IntN(2) == 0 {
		f.ask()
	}
	time.Sleep(time.Duration(f.rng.IntN(300)) * time.Millisecond)
	f.mu.Lock()
	f.refusals = 0
	f.mu.Unlock()
	// Sometimes a part of the reserve is left, sometimes nothing.
	if err := f.disk.Fill(f.rng.Int64N(2) * f.rng.Int64N(fullReserve)); err != nil {
		f.Fatal(err)
	}
	f.isFull.Store(true)
	f.until(fmt.Sprintf("cycle %d: nobody is refused on a full disk", n), func() bool {
		f.feed.open()
		f.mu.Lock()
		defer f.mu.Unlock()
		return f.refusals > 0
	})
	f.record.Sometimes("refused with 507")
	time.Sleep(time.Duration(f.rng.IntN(1000)) * time.Millisecond)
	if f.open() < 2 && f.rng.IntN(4) == 0 {
		f.ask() // in vain, or it waits
	}
	f.isFull.Store(false)
	if err := f.disk.Free(); err != nil {
		f.Fatal(err)
	}
	began := time.Now()
	before, _ := f.truth.bounds()
	f.until(fmt.Sprintf("cycle %d: nothing is acknowledged after there is room", n), func() bool {
		if !f.feed.left() { // copies of what was acknowledged would show nothing
			f.feed.open()
		}
		now, _ := f.truth.bounds()
		return now > before
	})
	f.record.Sometimes("resumed by itself")
	f.slowest = max(f.slowest, time.Since(began))
}
