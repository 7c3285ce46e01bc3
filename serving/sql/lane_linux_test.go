package sql

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"anabranch/serving"
)

// A thread's priority as the kernel has it; ok is false when it is gone.
func niceOf(thread int) (nice int, ok bool) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/self/task/%d/stat", thread))
	if err != nil {
		return 0, false
	}
	f := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
	_, err = fmt.Sscan(f[16], &nice)
	return nice, err == nil
}

func TestALongStepGivesWay(t *testing.T) {
	t.Parallel()
	l, err := newLane(nil)
	if err != nil {
		t.Fatal(err)
	}
	thread := int(l.c.id)
	if before, _ := niceOf(thread); before > 0 {
		l.close()
		t.Logf("not run: the test itself has the priority %d", before)
		return
	}
	l.run(func() {
		until(t, "the priority has not fallen", func() bool {
			nice, _ := niceOf(thread)
			return nice >= lowNice
		})
	})
	l.close()
	for end := time.Now().Add(5 * time.Minute); ; time.Sleep(time.Millisecond) { // the kernel's time to end a thread
		if nice, ok := niceOf(thread); !ok || nice == 0 { // gone, and its number perhaps another's
			break
		}
		if time.Now().After(end) {
			t.Fatal("the thread is there still, and would run other things at that priority")
		}
	}
}

func TestThreadsThatAPoolStartsHaveItsPriority(t *testing.T) {
	t.Parallel()
	inPool(func() {
		if nice, ok := niceOf(syscall.Gettid()); !ok || nice < lowNice {
			t.Errorf("the priority is %d, want %d", nice, lowNice)
		}
	})
}

// ranLow returns how long the threads of this process have run that have at
// least the pool's priority, and all of them.
func ranLow() (low, all time.Duration) {
	threads, _ := os.ReadDir("/proc/self/task")
	for _, t := range threads {
		thread, _ := strconv.Atoi(t.Name())
		nice, ok := niceOf(thread)
		text, err := os.ReadFile("/proc/self/task/" + t.Name() + "/schedstat")
		var ran time.Duration
		if _, scanned := fmt.Sscan(string(text), (*int64)(&ran)); !ok || err != nil || scanned != nil {
			continue // it is gone
		}
		if all += ran; nice >= lowNice {
			low += ran
		}
	}
	return low, all
}

// TestTheEnginesThreadsGiveWay runs a query beside nothing else: a part of the
// work has to be done by threads of the pool's priority, though the query's own
// has a higher one.
func TestTheEnginesThreadsGiveWay(t *testing.T) {
	e, err := New(t.Context(), serving.New(serving.Options{Sources: func() []*serving.Source { return nil }}), Options{Threads: max(2, runtime.NumCPU())})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	if _, err := e.db.ExecContext(t.Context(), "CREATE TABLE memory.main.many AS SELECT range AS i FROM range(2000000)"); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var asking sync.WaitGroup
	asking.Go(func() {
		for ctx.Err() == nil {
			_, _ = e.db.ExecContext(ctx, "SELECT sum(hash(m.i + r.range)) FROM memory.main.many m, range(100) r")
		}
	})
	lowBefore, allBefore := ranLow()
	var low, all time.Duration
	for low < 50*time.Millisecond && all < 20*time.Second {
		time.Sleep(10 * time.Millisecond)
		low, all = ranLow()
		low, all = low-lowBefore, all-allBefore
	}
	cancel()
	asking.Wait()
	if t.Logf("%s of %s", low, all); low < 50*time.Millisecond {
		t.Errorf("DuckDB's threads have run %s at the pool's priority, of %s in all", low, all)
	}
}
