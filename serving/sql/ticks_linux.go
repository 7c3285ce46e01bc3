package sql

/*
#define _GNU_SOURCE
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "thread.h"

typedef struct {
	pthread_mutex_t mu; // held to wait, and to end a wait
	pthread_cond_t changed;
	atomic_int on, over;
	long every; // nanoseconds
} tick_state;

typedef struct {
	tick_state *of;
	int processor;
	atomic_long id;    // of the thread, for the system; 0 before it runs, and -1 where it may not
	atomic_long ticks; // so far
	pthread_t thread;
} ticker;

// lingering is for how many ticks a ticker goes on when it is not wanted any
// more: a query that is read goes to work again and again.
enum { lingering = 100 };

// bound_to keeps the thread to one processor.
static int bound_to(int processor) {
	size_t size = CPU_ALLOC_SIZE(processor + 1);
	cpu_set_t *here = CPU_ALLOC(processor + 1);
	if (!here)
		return 0;
	CPU_ZERO_S(size, here);
	CPU_SET_S(processor, size, here);
	int bound = sched_setaffinity(0, size, here) == 0;
	CPU_FREE(here);
	return bound;
}

// lower gives the thread the lowest priority and the shortest slice, with which
// it does not wait for heavy queries. At a normal priority the program's share
// of a processor would rise and fall with every tick where the system schedules
// by sessions or control groups, and other sessions would get next to nothing.
static int lower(void) {
	struct {
		uint32_t size, policy;
		uint64_t flags;
		int32_t nice;
		uint32_t priority;
		uint64_t runtime, deadline, period;
	} a = {.size = sizeof a, .policy = SCHED_OTHER, .nice = 19, .runtime = 100000};
	return syscall(SYS_sched_setattr, 0, &a, 0) == 0 || setpriority(PRIO_PROCESS, 0, 19) == 0;
}

static void *ticker_main(void *arg) {
	ticker *t = arg;
	tick_state *s = t->of;
	int may = bound_to(t->processor) && lower();
	atomic_store(&t->id, may ? syscall(SYS_gettid) : -1);
	if (!may) // the processor was taken from us, say
		return NULL;
	prctl(PR_SET_TIMERSLACK, 1);
	prctl(PR_SET_NAME, "tick");
	struct timespec every = {0, s->every};
	for (;;) {
		pthread_mutex_lock(&s->mu);
		while (!atomic_load(&s->on) && !atomic_load(&s->over))
			pthread_cond_wait(&s->changed, &s->mu);
		pthread_mutex_unlock(&s->mu);
		for (int left = lingering; left > 0; left--) {
			if (atomic_load(&s->over))
				return NULL;
			if (atomic_load(&s->on))
				left = lingering;
			nanosleep(&every, NULL);
			atomic_fetch_add(&t->ticks, 1);
		}
	}
}

static tick_state *tick_state_new(long every) {
	tick_state *s = calloc(1, sizeof(tick_state));
	if (s) {
		pthread_mutex_init(&s->mu, NULL);
		pthread_cond_init(&s->changed, NULL);
		s->every = every;
	}
	return s;
}

static void tick_state_free(tick_state *s) {
	pthread_cond_destroy(&s->changed);
	pthread_mutex_destroy(&s->mu);
	free(s);
}

static void tick_set(tick_state *s, int on) {
	if (atomic_exchange(&s->on, on) == on || !on)
		return;
	pthread_mutex_lock(&s->mu);
	pthread_cond_broadcast(&s->changed);
	pthread_mutex_unlock(&s->mu);
}

static void tick_end(tick_state *s) {
	atomic_store(&s->over, 1);
	pthread_mutex_lock(&s->mu);
	pthread_cond_broadcast(&s->changed);
	pthread_mutex_unlock(&s->mu);
}

// ticker_new returns a ticker whose thread has begun, or NULL.
static ticker *ticker_new(tick_state *of, int processor) {
	ticker *t = calloc(1, sizeof(ticker));
	if (!t)
		return NULL;
	t->of = of;
	t->processor = processor;
	if (thread_begin(&t->thread, few_calls, ticker_main, t)) {
		free(t);
		return NULL;
	}
	return t;
}

static void ticker_join(ticker *t) {
	pthread_join(t->thread, NULL);
	free(t);
}

static long ticker_id(ticker *t) { return atomic_load(&t->id); }
static long ticker_ticks(ticker *t) { return atomic_load(&t->ticks); }
*/
import "C"

import (
	"time"

	"golang.org/x/sys/unix"
)

// usable are the processors that this process may use, by number; none where
// the system does not tell.
func usable() (numbers []int) {
	var set unix.CPUSet
	if unix.SchedGetaffinity(0, &set) != nil {
		return nil
	}
	for i, left := 0, set.Count(); left > 0; i++ {
		if set.IsSet(i) {
			numbers = append(numbers, i)
			left--
		}
	}
	return numbers
}

// tickers are threads, one for each processor, that wake up all the while they
// are on. They are C's alone, as a lane is. Where the system gives none, things
// take as long as they took without.
type tickers struct {
	state *C.tick_state
	each  []*C.ticker
}

func newTickers(processors []int, every time.Duration) *tickers {
	t := &tickers{state: C.tick_state_new(C.long(every.Nanoseconds()))}
	if t.state == nil {
		return t
	}
	for _, p := range processors {
		if one := C.ticker_new(t.state, C.int(p)); one != nil {
			t.each = append(t.each, one)
		}
	}
	return t
}

func (t *tickers) set(on bool) {
	if t.state == nil {
		return
	}
	n := C.int(0)
	if on {
		n = 1
	}
	C.tick_set(t.state, n)
}

// close ends the threads and waits for them.
func (t *tickers) close() {
	if t.state == nil {
		return
	}
	C.tick_end(t.state)
	for _, one := range t.each {
		C.ticker_join(one)
	}
	C.tick_state_free(t.state)
}

// threads are those that may tick, by the system's number.
func (t *tickers) threads() (ids []int) {
	for _, one := range t.each {
		if id := int(C.ticker_id(one)); id > 0 {
			ids = append(ids, id)
		}
	}
	return ids
}

// ticked is how often each has woken up.
func (t *tickers) ticked() (n []int) {
	for _, one := range t.each {
		n = append(n, int(C.ticker_ticks(one)))
	}
	return n
}
