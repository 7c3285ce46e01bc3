#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "blocks.h"
#include "calls.h"
#include "pieces.h"

// What aggregates keep in maps and the like is taken in small pieces, which
// DuckDB does not count. They are counted for the query whose chunk a thread has in
// its hands, until that ends. A query that has much of them is refused more once
// there are too many, at the next chunk or where it is interrupted.

// What a query has of them.
typedef struct {
	_Atomic(const void *) query; // DuckDB's ClientContext; NULL: it is free
	atomic_int_fast64_t held;    // bytes
	atomic_bool refused;
} purse;

// Many times as many as there may be queries at once. One that finds no place, in
// those that follow from its address, is not counted.
enum { purses = 512, places = 16 };

static purse all[purses];

static purse *place(const void *query, int i) {
	return &all[((uintptr_t)query / 64 * UINT64_C(0x9e3779b97f4a7c15) >> 40) % (purses - places) + i];
}

static purse *purse_of(const void *query) {
	for (int i = 0; i < places; i++) {
		purse *p = place(query, i);
		if (atomic_load_explicit(&p->query, memory_order_acquire) == query)
			return p;
	}
	return NULL;
}

extern void duckdb_connection_get_client_context(void *connection, void **context);
extern void duckdb_destroy_client_context(void **context);

// What DuckDB's C interface calls a context refers to the ClientContext.
static const void *query_of(void *connection) {
	void *context = NULL;
	duckdb_connection_get_client_context(connection, &context);
	const void *query = *(void **)context;
	duckdb_destroy_client_context(&context);
	return query;
}

void pieces_begin(void *connection) {
	const void *query = query_of(connection);
	for (int i = 0; i < places && !purse_of(query); i++) {
		purse *p = place(query, i);
		const void *none = NULL;
		if (atomic_compare_exchange_strong(&p->query, &none, query)) {
			atomic_store(&p->held, 0);
			atomic_store(&p->refused, false);
		}
	}
}

void pieces_end(void *connection) {
	purse *p = purse_of(query_of(connection));
	if (p)
		atomic_store_explicit(&p->query, NULL, memory_order_release);
}

static _Atomic int64_t share = INT64_MAX;

void pieces_limit(int64_t of_query) { atomic_store(&share, of_query); }

int64_t pieces_held(void) {
	int64_t n = 0;
	for (int i = 0; i < purses; i++)
		if (atomic_load_explicit(&all[i].query, memory_order_relaxed))
			n += atomic_load_explicit(&all[i].held, memory_order_relaxed);
	return n;
}

// What this thread works for, as it was told last, and what it has not told yet.
static _Thread_local struct {
	const void *query;
	purse *of;
	int64_t untold;
} mine;

static void tell(void) {
	int64_t n = mine.untold;
	mine.untold = 0;
	purse *p = mine.of;
	if (!p || atomic_load_explicit(&p->query, memory_order_acquire) != mine.query)
		return; // it has ended
	int64_t held = atomic_fetch_add(&p->held, n) + n;
	if (n > 0 && held > atomic_load(&share) && pieces_held() + blocks_held() > blocks_most())
		atomic_store(&p->refused, true);
}

void pieces_for(const void *query) {
	if (mine.query == query && mine.of && atomic_load_explicit(&mine.of->query, memory_order_acquire) == query)
		return;
	tell();
	mine.query = query;
	mine.of = purse_of(query);
}

// From how many bytes on a thread tells them.
enum { telling = 1 << 17 };

void pieces_hold(int64_t more) {
	mine.untold += more;
	if (mine.untold > telling || mine.untold < -telling)
		tell();
}

bool pieces_refused(const void *query) {
	return mine.query == query && mine.of && atomic_load_explicit(&mine.of->refused, memory_order_relaxed);
}
