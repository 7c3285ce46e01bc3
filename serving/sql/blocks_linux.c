#include <malloc.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "blocks.h"

// What is smaller than a large block is counted only where C++ takes it, for maps
// and the like: DuckDB's own limit sees the rest.
enum { large = 1 << 20 };

static _Atomic int64_t most = INT64_MAX, most_of_call = INT64_MAX, held;

void blocks_limit(int64_t bytes, int64_t of_call) {
	atomic_store(&most, bytes);
	atomic_store(&most_of_call, of_call);
}
int64_t blocks_held(void) { return atomic_load(&held); }
int64_t blocks_most(void) { return atomic_load(&most); }

static void correct(int64_t n) {
	if (n) {
		atomic_fetch_add(&held, n);
		call_holds(n);
	}
}

// For tests: so many more blocks are had, and then none; -1: as many as there is room for.
static _Atomic int64_t left = -1;

void blocks_left(int64_t n) { atomic_store(&left, n); }

static bool had(void) {
	int64_t n = atomic_load(&left);
	while (n > 0 && !atomic_compare_exchange_weak(&left, &n, n - 1)) {
	}
	return n != 0;
}

// enter counts n more bytes, if they are not too many.
static bool enter(size_t n) {
	if (!had())
		return false;
	if (n > INT64_MAX / 2 || !call_fits(n, atomic_load(&most_of_call)))
		return false;
	call_holds(n);
	if (atomic_fetch_add(&held, n) + (int64_t)n <= atomic_load(&most))
		return true;
	correct(-(int64_t)n);
	return false;
}

// counted is what a block of so many usable bytes counts for.
static int64_t counted(size_t usable) { return usable < large ? 0 : (int64_t)usable; }

// DuckDB's allocator, where DuckDB was built with its own. The linker has every
// call of these functions go to those with __wrap_ before their names.
extern void *__real_duckdb_je_malloc(size_t n) __attribute__((weak));
extern void *__real_duckdb_je_realloc(void *p, size_t n) __attribute__((weak));
extern void __real_duckdb_je_free(void *p) __attribute__((weak));
extern size_t duckdb_je_sallocx(const void *p, int flags) __attribute__((weak));
extern size_t duckdb_je_nallocx(size_t n, int flags) __attribute__((weak));

// planned is what a block of n bytes will count for; no size between two
// classes is larger than twice what is asked for.
static int64_t planned(size_t n) {
	if (n < large / 2)
		return 0;
	size_t usable = duckdb_je_nallocx(n, 0);
	return counted(usable ? usable : n); // none: larger than it has
}

// Who asks C++ for the states of a window's aggregate asks DuckDB's allocator for a
// vector of their addresses next, at once, and ends the program if there is none: the
// states are destroyed by those. So that one is always had.
static _Thread_local int64_t promised; // its bytes, at most

enum { least_state = 1, address = sizeof(void *) };

void *__wrap_duckdb_je_malloc(size_t n) {
	if (call_interrupted())
		return NULL;
	int64_t size = planned(n), had = promised;
	if (size)
		promised = 0;
	if (size && size <= had)
		correct(size);
	else if (size && !enter(size))
		return NULL;
	void *p = __real_duckdb_je_malloc(n);
	if (size)
		correct(p ? counted(duckdb_je_sallocx(p, 0)) - size : -size);
	return p;
}

void __wrap_duckdb_je_free(void *p) {
	if (p)
		correct(-counted(duckdb_je_sallocx(p, 0)));
	__real_duckdb_je_free(p);
}

void *__wrap_duckdb_je_realloc(void *p, size_t n) {
	if (call_interrupted())
		return NULL;
	int64_t before = p ? counted(duckdb_je_sallocx(p, 0)) : 0, more = planned(n) - before;
	if (more > 0 && !enter(more))
		return NULL;
	void *q = __real_duckdb_je_realloc(p, n);
	if (q)
		correct(counted(duckdb_je_sallocx(q, 0)) - before - (more > 0 ? more : 0));
	else if (more > 0)
		correct(-more);
	return q;
}

// counts counts a block of so many usable bytes, once or back.
static void counts(size_t usable, int sign) {
	if (usable < large)
		pieces_hold(sign * (int64_t)usable);
	else
		correct(sign * (int64_t)usable);
}

// The C library's allocator, as what is linked into the program calls it. It is not
// bounded: what C++ asks it for is, below, and some aggregates keep small pieces of it.
extern void *__real_malloc(size_t n);
extern void *__real_calloc(size_t n, size_t size);
extern void *__real_realloc(void *p, size_t n);
extern void __real_free(void *p);

void *__wrap_malloc(size_t n) {
	void *p = __real_malloc(n);
	if (p)
		counts(malloc_usable_size(p), 1);
	return p;
}

void *__wrap_calloc(size_t n, size_t size) {
	void *p = __real_calloc(n, size);
	if (p)
		counts(malloc_usable_size(p), 1);
	return p;
}

void *__wrap_realloc(void *p, size_t n) {
	size_t before = p ? malloc_usable_size(p) : 0;
	void *q = __real_realloc(p, n);
	if (!q && n)
		return NULL; // p is what it was
	if (p)
		counts(before, -1);
	if (q)
		counts(malloc_usable_size(q), 1);
	return q;
}

void __wrap_free(void *p) {
	if (p)
		counts(malloc_usable_size(p), -1);
	__real_free(p);
}

// C++'s operators new and delete, which a program may replace: libstdc++ uses
// those that it finds here, too. A C++ program has no other way to say that
// there is no memory than to throw.
extern void _ZSt17__throw_bad_allocv(void) __attribute__((noreturn));

void *_Znwm(size_t n) {
	if (call_interrupted())
		_ZSt17__throw_bad_allocv();
	bool bounded = n >= large / 2;
	if (bounded && !enter(n))
		_ZSt17__throw_bad_allocv();
	void *p = malloc(n ? n : 1);
	if (bounded)
		correct(-(int64_t)n); // it was counted as what it is
	if (!p)
		_ZSt17__throw_bad_allocv();
	if (bounded)
		promised = 2 * planned(n / least_state * address);
	return p;
}

void _ZdlPv(void *p) { free(p); }

void *_Znam(size_t n) { return _Znwm(n); }
void _ZdlPvm(void *p, size_t n) { _ZdlPv(p); }
void _ZdaPv(void *p) { _ZdlPv(p); }
void _ZdaPvm(void *p, size_t n) { _ZdlPv(p); }
