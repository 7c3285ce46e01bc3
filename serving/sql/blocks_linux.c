#include <malloc.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "blocks.h"

// What is smaller than a large block is not counted: DuckDB's own limit sees
// almost all of that.
enum { large = 1 << 20 };

static _Atomic int64_t most = INT64_MAX, most_of_call = INT64_MAX, held;

void blocks_limit(int64_t bytes, int64_t of_call) {
	atomic_store(&most, bytes);
	atomic_store(&most_of_call, of_call);
}
int64_t blocks_held(void) { return atomic_load(&held); }

static void correct(int64_t n) {
	if (n) {
		atomic_fetch_add(&held, n);
		call_holds(n);
	}
}

// enter counts n more bytes, if they are not too many.
static bool enter(size_t n) {
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

void *__wrap_duckdb_je_malloc(size_t n) {
	if (call_interrupted())
		return NULL;
	int64_t size = planned(n);
	if (size && !enter(size))
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

// C++'s operators new and delete, which a program may replace: libstdc++ uses
// those that it finds here, too. A C++ program has no other way to say that
// there is no memory than to throw.
extern void _ZSt17__throw_bad_allocv(void) __attribute__((noreturn));

void *_Znwm(size_t n) {
	if (call_interrupted())
		_ZSt17__throw_bad_allocv();
	if (n < large / 2) {
		void *p = malloc(n ? n : 1);
		if (!p)
			_ZSt17__throw_bad_allocv();
		return p;
	}
	if (!enter(n))
		_ZSt17__throw_bad_allocv();
	void *p = malloc(n);
	correct(p ? counted(malloc_usable_size(p)) - (int64_t)n : -(int64_t)n);
	if (!p)
		_ZSt17__throw_bad_allocv();
	return p;
}

void _ZdlPv(void *p) {
	if (p)
		correct(-counted(malloc_usable_size(p)));
	free(p);
}

void *_Znam(size_t n) { return _Znwm(n); }
void _ZdlPvm(void *p, size_t n) { _ZdlPv(p); }
void _ZdaPv(void *p) { _ZdlPv(p); }
void _ZdaPvm(void *p, size_t n) { _ZdlPv(p); }
