#define _GNU_SOURCE
#include "thread.h"

#include <limits.h>
#include <signal.h>

// thread_begin starts a thread that takes no signals, which are for Go's. It has
// a stack of so many bytes besides the least there is; of the usual size with 0.
// It returns 0, or the system's error.
int thread_begin(pthread_t *thread, size_t stack, void *(*run)(void *), void *of) {
	pthread_attr_t as;
	pthread_attr_init(&as);
	if (stack)
		pthread_attr_setstacksize(&as, PTHREAD_STACK_MIN + stack);
	sigset_t all, before;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	int failed = pthread_create(thread, &as, run, of);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	pthread_attr_destroy(&as);
	return failed;
}
