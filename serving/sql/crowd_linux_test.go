package sql

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"anabranch/serving"
)

// until waits for what has to become true.
func until(t *testing.T, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(10 * time.Minute); !is(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("after ten minutes: %s", what)
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

// sleeps is how often a thread has let go of its processor by itself.
func sleeps(t *testing.T, thread int) (n int) {
	t.Helper()
	status, err := os.ReadFile("/proc/self/task/" + strconv.Itoa(thread) + "/status")
	if err != nil {
		t.Fatal(err)
	}
	_, after, _ := strings.Cut(string(status), "\nvoluntary_ctxt_switches:")
	if _, err := fmt.Sscan(after, &n); err != nil {
		t.Fatal(err)
	}
	return n
}

// TestCrowd counts heavy queries up and down: from as many on as take all
// processors, each of these has a thread of its own that wakes up all the while,
// and those who work for the queries nap.
func TestCrowd(t *testing.T) {
	t.Parallel()
	k := newCrowd(0)
	defer k.close()
	if len(k.processors) == 0 || k.from != len(k.processors) {
		t.Fatalf("processors %v, ticks from %d heavy queries on", k.processors, k.from)
	}
	const nobody = 1 << 30 // threads have smaller numbers
	for range k.from - 1 {
		k.begin(nobody)
		if k.tickers != nil {
			t.Fatalf("%d of %d processors are taken, and threads have begun", len(k.threads), k.from)
		}
	}
	l, err := newLane(k)
	if err != nil {
		t.Fatal(err)
	}
	defer l.close()
	thread := int(l.c.id)
	k.begin(thread)
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
			return all(now, func(i int) bool { return now[i] > before[i]+100 })
		})
		naps, slept := k.naps.taken(), sleeps(t, thread)
		until(t, "who works for a heavy query does not nap", func() bool { return k.naps.taken() > naps+20 && sleeps(t, thread) > slept+20 })
		k.end(thread)
		until(t, "they tick on", func() bool {
			now := k.tickers.ticked()
			time.Sleep(20 * time.Millisecond) // of some eighty ticks
			return slices.Equal(now, k.tickers.ticked())
		})
		k.begin(thread)
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
	k.end(thread)
	k.begin(thread) // a query that ends later than the engine
	k.close()
}

// TestHeavyQueriesTickAndNap runs a query that takes long, on an engine whose threads
// could take all processors.
func TestHeavyQueriesTickAndNap(t *testing.T) {
	t.Parallel()
	e, err := New(t.Context(), serving.New(serving.Options{Sources: func() []*serving.Source { return nil }}), Options{Threads: len(usable())})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	heavy := func() (n int, beside bool) {
		e.crowd.mu.Lock()
		defer e.crowd.mu.Unlock()
		if e.crowd.tickers != nil {
			ticked := e.crowd.tickers.ticked()
			beside = e.crowd.naps.taken() > 0 && all(ticked, func(i int) bool { return ticked[i] > 0 })
		}
		return len(e.crowd.threads), beside
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
	until(t, "a heavy query is at work, and nothing ticks or naps", func() bool { n, beside := heavy(); return n == 1 && beside })
	cancel()
	if err := <-done; err == nil {
		t.Error("the query came to an end")
	}
	if n, _ := heavy(); n != 0 {
		t.Errorf("%d heavy queries after its end", n)
	}
}
