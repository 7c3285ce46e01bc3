package sql

import (
	"context"
	"os"
	"slices"
	"strconv"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"anabranch/serving"
)

// until waits for what has to become true.
func until(t *testing.T, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !is(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("after a minute: %s", what)
		}
	}
}

func all(n []int, is func(i int) bool) bool {
	for i := range n {
		if !is(i) {
			return false
		}
	}
	return true
}

// TestTicks counts heavy queries up and down: from as many on as take all
// processors, each of these has a thread of its own that wakes up all the while.
func TestTicks(t *testing.T) {
	t.Parallel()
	k := newTicks(0)
	defer k.close()
	if len(k.processors) == 0 || k.from != len(k.processors) {
		t.Fatalf("processors %v, ticks from %d heavy queries on", k.processors, k.from)
	}
	for range k.from - 1 {
		k.begin()
		if k.tickers != nil {
			t.Fatalf("%d of %d processors are taken, and threads have begun", k.heavy, k.from)
		}
	}
	k.begin()
	var bound []int
	until(t, "not all threads have begun", func() bool { return len(k.tickers.threads()) == len(k.processors) })
	for _, thread := range k.tickers.threads() {
		var set unix.CPUSet
		if err := unix.SchedGetaffinity(thread, &set); err != nil || set.Count() != 1 {
			t.Fatalf("thread %d may run on %d processors: %v", thread, set.Count(), err)
		}
		if nice, _ := niceOf(thread); nice != 19 {
			t.Errorf("thread %d has the priority %d", thread, nice)
		}
		bound = append(bound, slices.IndexFunc(k.processors, set.IsSet))
	}
	if slices.Sort(bound); !all(bound, func(i int) bool { return bound[i] == i }) {
		t.Errorf("processors %v have threads on %v of them", k.processors, bound)
	}
	for range 2 {
		before := k.tickers.ticked()
		until(t, "they do not tick", func() bool {
			now := k.tickers.ticked()
			return all(now, func(i int) bool { return now[i] > before[i]+1000 })
		})
		k.end()
		until(t, "they tick on", func() bool {
			now := k.tickers.ticked()
			time.Sleep(20 * time.Millisecond) // of some eighty ticks
			return slices.Equal(now, k.tickers.ticked())
		})
		k.begin()
	}
	threads := k.tickers.threads()
	k.close()
	for _, thread := range threads {
		if _, err := os.Stat("/proc/self/task/" + strconv.Itoa(thread)); err == nil {
			until(t, "a thread is there still", func() bool { // the kernel's time to end it
				_, err := os.Stat("/proc/self/task/" + strconv.Itoa(thread))
				return err != nil
			})
		}
	}
	k.end()
	k.begin() // a query that ends later than the engine
	k.close()
}

// TestHeavyQueriesTick runs a query that takes long, on an engine whose threads
// could take all processors.
func TestHeavyQueriesTick(t *testing.T) {
	t.Parallel()
	e, err := New(t.Context(), serving.New(serving.Options{Sources: func() []*serving.Source { return nil }}), Options{Threads: len(usable())})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	heavy := func() (n int, ticks bool) {
		e.ticks.mu.Lock()
		defer e.ticks.mu.Unlock()
		if e.ticks.tickers != nil {
			ticked := e.ticks.tickers.ticked()
			ticks = all(ticked, func(i int) bool { return ticked[i] > 0 })
		}
		return e.ticks.heavy, ticks
	}
	a, err := e.Query(t.Context(), Request{SQL: "SELECT 1"})
	if err != nil {
		t.Fatal(err)
	}
	a.Close()
	if n, _ := heavy(); n != 0 {
		t.Errorf("%d heavy queries after a small one", n)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		a, err := e.Query(ctx, Request{SQL: "SELECT sum(hash(a.range + b.range)) FROM range(1000000) a, range(1000000) b"})
		if err == nil {
			a.Close()
		}
		done <- err
	}()
	until(t, "a heavy query is at work, and nothing ticks", func() bool { n, ticks := heavy(); return n == 1 && ticks })
	cancel()
	if err := <-done; err == nil {
		t.Error("the query came to an end")
	}
	if n, _ := heavy(); n != 0 {
		t.Errorf("%d heavy queries after its end", n)
	}
}
