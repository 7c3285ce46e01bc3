package sql

/*
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "thread.h"

// A thread that gets this signal naps. Nobody else uses it: Go takes it only
// where a program asks for each and every signal.
#define nap_signal (SIGRTMAX - 2)

// nap_end is when the present nap ends, in nanoseconds of the monotonic clock:
// those who are told later sleep for less, and all wake up together.
static _Atomic int64_t nap_end;

static struct timespec nap_time(int64_t ns) {
	struct timespec t = {ns / 1000000000, ns % 1000000000};
	return t;
}

// nap runs on the thread that naps, between any two of its instructions.
static void nap(int signal) {
	int before = errno;
	struct timespec end = nap_time(atomic_load(&nap_end));
	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &end, NULL) == EINTR)
		;
	errno = before;
}

enum { most_napping = 256 };

typedef struct {
	pthread_mutex_t mu; // guards the fields below
	pthread_cond_t changed;
	int over, waiting;
	int n;
	int thread[most_napping];
	int64_t every, lasting; // nanoseconds
	atomic_long naps;       // so far
	pthread_t caller;
} nap_state;

// awake is for how many naps it goes on with nobody to nap: a query that is read
// goes to work again and again.
enum { awake = 12 };

static void *nap_main(void *arg) {
	nap_state *s = arg;
	prctl(PR_SET_NAME, "nap");
	prctl(PR_SET_TIMERSLACK, 1);
	struct timespec every = nap_time(s->every), now;
	pthread_mutex_lock(&s->mu);
	for (int idle = 0;;) {
		while (s->n == 0 && idle >= awake && !s->over) {
			s->waiting = 1;
			pthread_cond_wait(&s->changed, &s->mu);
			s->waiting = 0;
		}
		if (s->over)
			break;
		pthread_mutex_unlock(&s->mu);
		nanosleep(&every, NULL);
		clock_gettime(CLOCK_MONOTONIC, &now);
		atomic_store(&nap_end, now.tv_sec * 1000000000ll + now.tv_nsec + s->lasting);
		pthread_mutex_lock(&s->mu);
		idle = s->n ? 0 : idle + 1;
		for (int i = 0; i < s->n; i++)
			syscall(SYS_tgkill, getpid(), s->thread[i], nap_signal);
		if (s->n)
			atomic_fetch_add(&s->naps, 1);
	}
	pthread_mutex_unlock(&s->mu);
	return NULL;
}

// nap_new returns a state whose thread has begun, or NULL.
static nap_state *nap_new(int64_t every, int64_t lasting) {
	// On a stack of its own where there is one: a thread of DuckDB's that calls
	// Go has that of a goroutine then, which is small.
	struct sigaction take = {.sa_handler = nap, .sa_flags = SA_RESTART | SA_ONSTACK};
	sigemptyset(&take.sa_mask);
	if (sigaction(nap_signal, &take, NULL))
		return NULL;
	nap_state *s = calloc(1, sizeof(nap_state));
	if (!s)
		return NULL;
	pthread_mutex_init(&s->mu, NULL);
	pthread_cond_init(&s->changed, NULL);
	s->every = every;
	s->lasting = lasting;
	if (thread_begin(&s->caller, few_calls, nap_main, s)) {
		pthread_cond_destroy(&s->changed);
		pthread_mutex_destroy(&s->mu);
		free(s);
		return NULL;
	}
	return s;
}

static void nap_set(nap_state *s, const int *thread, int n) {
	pthread_mutex_lock(&s->mu);
	s->n = n < most_napping ? n : most_napping;
	if (s->n)
		memcpy(s->thread, thread, s->n * sizeof(int));
	if (s->n && s->waiting)
		pthread_cond_signal(&s->changed);
	pthread_mutex_unlock(&s->mu);
}

static void nap_close(nap_state *s) {
	pthread_mutex_lock(&s->mu);
	s->over = 1;
	pthread_cond_signal(&s->changed);
	pthread_mutex_unlock(&s->mu);
	pthread_join(s->caller, NULL);
	pthread_cond_destroy(&s->changed);
	pthread_mutex_destroy(&s->mu);
	free(s);
}

static long nap_count(nap_state *s) { return atomic_load(&s->naps); }

// nap_allowed lets the calling thread nap, which by default takes no signals.
void nap_allowed(void) {
	sigset_t it;
	sigemptyset(&it);
	sigaddset(&it, nap_signal);
	pthread_sigmask(SIG_UNBLOCK, &it, NULL);
}
*/
import "C"

import (
	"os"
	"strconv"
	"time"
)

// naps has threads nap, all at once and again and again, so that every
// processor is free of them for a moment. Where the system does not let it, things take as long as
// they take without.
type naps struct {
	state *C.nap_state
	pool  []C.int // DuckDB's own threads, which work for all queries
	list  []C.int
}

func newNaps(every, lasting time.Duration) *naps {
	n := &naps{state: C.nap_new(C.int64_t(every.Nanoseconds()), C.int64_t(lasting.Nanoseconds()))}
	for _, thread := range named(poolName) {
		n.pool = append(n.pool, C.int(thread))
	}
	return n
}

// set has these threads and DuckDB's own nap from now on; nobody when there are
// none. One that has ended meanwhile is not missed, and whoever has its number
// by then naps in its place.
func (n *naps) set(threads []int) {
	if n.state == nil {
		return
	}
	n.list = n.list[:0]
	for _, thread := range threads {
		n.list = append(n.list, C.int(thread))
	}
	if len(threads) == 0 {
		C.nap_set(n.state, nil, 0)
		return
	}
	n.list = append(n.list, n.pool...)
	C.nap_set(n.state, &n.list[0], C.int(len(n.list)))
}

// taken is how many naps there were so far.
func (n *naps) taken() int { return int(C.nap_count(n.state)) }

// close ends the thread that calls for naps, and waits for it.
func (n *naps) close() {
	if n.state != nil {
		C.nap_close(n.state)
	}
}

// named are the threads of this process that have a name, by the system's
// number.
func named(name string) (threads []int) {
	all, _ := os.ReadDir("/proc/self/task")
	for _, t := range all {
		is, _ := os.ReadFile("/proc/self/task/" + t.Name() + "/comm")
		if thread, err := strconv.Atoi(t.Name()); err == nil && string(is) == name+"\n" {
			threads = append(threads, thread)
		}
	}
	return threads
}
