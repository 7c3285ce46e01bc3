// How threads of our own begin, see thread.c.

#include <pthread.h>
#include <stddef.h>

// few_calls is the stack, besides the least there is, of a thread that calls next
// to nothing.
enum { few_calls = 64 << 10 };

int thread_begin(pthread_t *thread, size_t stack, void *(*run)(void *), void *of);
