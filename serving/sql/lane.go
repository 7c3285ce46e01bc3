package sql

/*
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#ifdef __linux__
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>
extern void nap_allowed(void);
#endif

#include "thread.h"

// What is used of DuckDB's C interface, with which the driver links.
typedef struct {
	uint64_t columns, rows, changed;
	void *names, *error, *data;
} result;
extern int duckdb_execute_pending(void *pending, result *out);
extern int duckdb_execute_prepared(void *statement, result *out);
extern void *duckdb_fetch_chunk(result of);

enum work { nothing, execute_pending, execute_prepared, fetch_chunk, leave };

// A lane is a thread and the one thing that it has to do.
typedef struct {
	pthread_mutex_t mu; // guards the fields below
	pthread_cond_t changed;
	int work;
	void *of;
	result *into;
	int state;
	void *chunk;
	int64_t id; // of the thread, for the system; 0 where it has none
	pthread_t thread;
} lane;

static void *lane_main(void *arg) {
	lane *l = arg;
	pthread_mutex_lock(&l->mu);
#ifdef __linux__
	l->id = syscall(SYS_gettid);
	prctl(PR_SET_NAME, "query"); // what top -H and perf say
	nap_allowed();
#endif
	for (;;) {
		l->work = nothing;
		pthread_cond_broadcast(&l->changed);
		while (l->work == nothing)
			pthread_cond_wait(&l->changed, &l->mu);
		int work = l->work;
		pthread_mutex_unlock(&l->mu);
		switch (work) {
		case execute_pending:
			l->state = duckdb_execute_pending(l->of, l->into);
			break;
		case execute_prepared:
			l->state = duckdb_execute_prepared(l->of, l->into);
			break;
		case fetch_chunk:
			l->chunk = duckdb_fetch_chunk(*l->into);
			break;
		case leave:
			return NULL;
		}
		pthread_mutex_lock(&l->mu);
	}
}

static void lane_await(lane *l) {
	while (l->work != nothing)
		pthread_cond_wait(&l->changed, &l->mu);
}

// lane_new returns a lane whose thread has begun, or NULL.
static lane *lane_new(void) {
	lane *l = calloc(1, sizeof(lane));
	if (!l)
		return NULL;
	pthread_mutex_init(&l->mu, NULL);
	pthread_cond_init(&l->changed, NULL);
	l->work = leave; // until it waits for work
	if (thread_begin(&l->thread, 0, lane_main, l)) {
		free(l);
		return NULL;
	}
	pthread_mutex_lock(&l->mu);
	lane_await(l);
	pthread_mutex_unlock(&l->mu);
	return l;
}

static void lane_do(lane *l, int work, void *of, result *into) {
	pthread_mutex_lock(&l->mu);
	l->of = of;
	l->into = into;
	l->work = work;
	pthread_cond_broadcast(&l->changed);
	lane_await(l);
	pthread_mutex_unlock(&l->mu);
}

static void lane_free(lane *l) {
	pthread_mutex_lock(&l->mu);
	l->work = leave;
	pthread_cond_broadcast(&l->changed);
	pthread_mutex_unlock(&l->mu);
	pthread_join(l->thread, NULL);
	pthread_cond_destroy(&l->changed);
	pthread_mutex_destroy(&l->mu);
	free(l);
}
*/
import "C"

import (
	"runtime"
	"sync"
	"time"
	"unsafe"

	bindings "github.com/duckdb/duckdb-go-bindings"

	"anabranch/fault"
)

// A lane is a thread of its own for what DuckDB does for one query. Where the
// system can do that, the thread's priority falls once the query has taken
// long, so that what is asked and sent beside it comes first; a query that is
// alone has the processors all the same.
//
// The thread never runs Go. If it did, the system could take the processor away
// from it while it has one of the few places that Go runs at, and everybody
// would wait for a thread that waits for everybody.
type lane struct {
	c *C.lane

	mu      sync.Mutex // guards the fields below
	crowd   *crowd     // told while it works at a low priority; may be nil
	running bool
	step    int // number of what it does or did last
	taken   time.Duration
	fallen  bool
	patient bool
}

// fallsAfter is when a query's priority falls.
var fallsAfter = 50 * time.Millisecond

// lowNice is the priority of heavy queries, and of DuckDB's own threads, which
// work for all: what they leave undone a query does by itself, on its lane. Lower
// still would not help those who wake up beside them, and makes more of what
// crowd is about.
const lowNice = 10

// poolName is what DuckDB's own threads are called.
const poolName = "duckdb"

// newLane starts the thread. Error: Transient when the system gives none.
func newLane(beside *crowd) (*lane, error) {
	c := C.lane_new()
	if c == nil {
		return nil, fault.New(fault.Transient, "run a query: the system gives no thread for it")
	}
	l := &lane{c: c}
	l.begin(beside)
	return l, nil
}

// begin makes the thread ready for a query.
func (l *lane) begin(beside *crowd) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.crowd = beside
	patient := beside.takesAll()
	switch {
	case patient && !l.patient:
		setPatient(int(l.c.id))
	case l.patient && !patient:
		endPatient(int(l.c.id))
	}
	l.patient, l.taken = patient, 0
}

// On no lane at all, which is nil, DuckDB works where it is called.

func (l *lane) executePending(p bindings.PendingResult, into *bindings.Result) bindings.State {
	if l == nil {
		return bindings.ExecutePending(p, into)
	}
	l.run(func() { C.lane_do(l.c, C.execute_pending, p.Ptr, asResult(into)) })
	return bindings.State(l.c.state)
}

func (l *lane) executePrepared(p bindings.PreparedStatement, into *bindings.Result) bindings.State {
	if l == nil {
		return bindings.ExecutePrepared(p, into)
	}
	l.run(func() { C.lane_do(l.c, C.execute_prepared, p.Ptr, asResult(into)) })
	return bindings.State(l.c.state)
}

func (l *lane) fetchChunk(from *bindings.Result) bindings.DataChunk {
	if l == nil {
		return bindings.FetchChunk(*from)
	}
	l.run(func() { C.lane_do(l.c, C.fetch_chunk, nil, asResult(from)) })
	return bindings.DataChunk{Ptr: l.c.chunk}
}

// planning has f done, in which DuckDB plans the query: patiently, where there is
// a crowd.
func (l *lane) planning(f func()) {
	planning(func() {
		if l == nil {
			f()
			return
		}
		l.crowd.patiently(f)
	})
}

// asResult returns what r is to C.
func asResult(r *bindings.Result) *C.result {
	const _ = -(unsafe.Sizeof(*r) ^ unsafe.Sizeof(C.result{})) // they are one
	return (*C.result)(unsafe.Pointer(r))
}

// run lets the priority fall while f works.
func (l *lane) run(f func()) {
	l.mu.Lock()
	began := time.Now()
	l.running = true
	l.step++
	if l.fallen {
		l.crowd.begin(int(l.c.id))
	}
	falling := l.watch()
	l.mu.Unlock()
	f()
	l.mu.Lock()
	l.running = false
	if l.fallen {
		l.crowd.end(int(l.c.id))
	}
	l.taken += time.Since(began)
	if falling != nil {
		falling.Stop()
	}
	l.mu.Unlock()
}

// watch lets the priority fall when its time has come; the caller holds mu.
func (l *lane) watch() *time.Timer {
	if l.fallen {
		return nil
	}
	step := l.step
	return time.AfterFunc(fallsAfter-l.taken, func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		if !l.running || l.step != step { // it rang as its step ended
			return
		}
		setNice(int(l.c.id), lowNice)
		l.fallen = true
		l.crowd.begin(int(l.c.id))
	})
}

// hasFallen reports whether its priority has. Between two steps it stays as it
// is: a timer that rings then does nothing.
func (l *lane) hasFallen() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.fallen
}

// close ends the thread. The lane runs nothing any more.
func (l *lane) close() {
	l.mu.Lock() // not while its priority falls
	defer l.mu.Unlock()
	C.lane_free(l.c)
}

// inPool runs f on a thread whose priority is that of DuckDB's own: threads
// that f starts inherit it.
func inPool(f func()) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread() // for good: the thread ends
		setNice(threadID(), lowNice)
		setName(poolName)
		f()
	}()
	<-done
}
