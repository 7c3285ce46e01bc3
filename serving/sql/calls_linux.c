#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "blocks.h"
#include "calls.h"

// DuckDB looks for interrupts between two chunks. A function that works long on
// one, as a lambda in a lambda or list_distinct of a large list, is interrupted
// here: before each call of a function, also of one by another, and where those
// that fail well ask for memory (calls_linux.go).

// A call is that of a scalar function or a cast, over the rows of a chunk. The
// linker has all of them go through those with __wrap_ before their names.
struct call {
	const void *query;    // DuckDB's ClientContext; NULL: no call
	const void *function; // the BoundFunctionExpression; NULL: a cast
	int64_t held;         // bytes of large blocks that this thread took since
	enum { unknown, fails, works_on } judged;
};

static _Thread_local struct call now;

extern bool _ZN6duckdb18ExpressionExecutor10HasContextEv(void *executor);
extern void *_ZN6duckdb18ExpressionExecutor10GetContextEv(void *executor);
extern bool _ZNK6duckdb13ClientContext13IsInterruptedEv(const void *query);

// How C++ throws.
extern int _ZSt19uncaught_exceptionsv(void);
extern void *__cxa_allocate_exception(size_t size);
extern void __cxa_throw(void *exception, void *type, void (*destroy)(void *)) __attribute__((noreturn));
extern void _ZN6duckdb18InterruptExceptionC1Ev(void *exception);
extern void _ZN6duckdb18InterruptExceptionD1Ev(void *exception);
extern char _ZTIN6duckdb18InterruptExceptionE[];

static void interrupt(void) {
	void *e = __cxa_allocate_exception(64); // which has a text and a table of functions
	_ZN6duckdb18InterruptExceptionC1Ev(e);
	__cxa_throw(e, _ZTIN6duckdb18InterruptExceptionE, _ZN6duckdb18InterruptExceptionD1Ev);
}

// enter begins a call by an ExpressionExecutor.
static void enter(void *executor, const void *function) {
	if (!_ZN6duckdb18ExpressionExecutor10HasContextEv(executor))
		return;
	const void *query = _ZN6duckdb18ExpressionExecutor10GetContextEv(executor);
	if (_ZNK6duckdb13ClientContext13IsInterruptedEv(query))
		interrupt();
	if (!now.query)
		now.held = 0;
	now.query = query;
	now.function = function;
	now.judged = unknown;
}

// leave goes back to the call around it, also when it throws.
static void leave(struct call *outer) {
	if (outer->query)
		outer->held = now.held;
	now = *outer;
}

// ExpressionExecutor::Execute, of a BoundFunctionExpression and a
// BoundCastExpression.
typedef void execute(void *executor, const void *expression, void *state, const void *rows, uint64_t n, void *result);

extern execute __real__ZN6duckdb18ExpressionExecutor7ExecuteERKNS_23BoundFunctionExpressionEPNS_15ExpressionStateEPKNS_15SelectionVectorEmRNS_6VectorE;
extern execute __real__ZN6duckdb18ExpressionExecutor7ExecuteERKNS_19BoundCastExpressionEPNS_15ExpressionStateEPKNS_15SelectionVectorEmRNS_6VectorE;

void __wrap__ZN6duckdb18ExpressionExecutor7ExecuteERKNS_23BoundFunctionExpressionEPNS_15ExpressionStateEPKNS_15SelectionVectorEmRNS_6VectorE(
	void *executor, const void *expression, void *state, const void *rows, uint64_t n, void *result) {
	__attribute__((cleanup(leave))) struct call outer = now;
	enter(executor, expression);
	__real__ZN6duckdb18ExpressionExecutor7ExecuteERKNS_23BoundFunctionExpressionEPNS_15ExpressionStateEPKNS_15SelectionVectorEmRNS_6VectorE(
		executor, expression, state, rows, n, result);
}

void __wrap__ZN6duckdb18ExpressionExecutor7ExecuteERKNS_19BoundCastExpressionEPNS_15ExpressionStateEPKNS_15SelectionVectorEmRNS_6VectorE(
	void *executor, const void *expression, void *state, const void *rows, uint64_t n, void *result) {
	__attribute__((cleanup(leave))) struct call outer = now;
	enter(executor, NULL);
	__real__ZN6duckdb18ExpressionExecutor7ExecuteERKNS_19BoundCastExpressionEPNS_15ExpressionStateEPKNS_15SelectionVectorEmRNS_6VectorE(
		executor, expression, state, rows, n, result);
}

// Interval::Add(timestamp_t, interval_t), with which lists of times are counted
// before they are made.
typedef struct {
	int32_t months, days;
	int64_t micros;
} interval;

extern int64_t __real__ZN6duckdb8Interval3AddENS_11timestamp_tENS_10interval_tE(int64_t time, interval more);

int64_t __wrap__ZN6duckdb8Interval3AddENS_11timestamp_tENS_10interval_tE(int64_t time, interval more) {
	if (call_interrupted())
		interrupt();
	return __real__ZN6duckdb8Interval3AddENS_11timestamp_tENS_10interval_tE(time, more);
}

// A std::string of libstdc++, as a function returns it.
struct text {
	const char *at;
	size_t length;
	char inside[16]; // where it is no longer than 15
};

extern struct text _ZNK6duckdb23BoundFunctionExpression8ToStringB5cxx11Ev(const void *function);

// Names of functions that fail well, with a bar before and behind each.
static const char *fail_well = "";

void calls_fail_well(const char *names) { fail_well = names; }

// may_fail tells whether the call can. The name of its function is where its
// text begins, but for operators.
static bool may_fail(void) {
	if (now.judged)
		return now.judged == fails;
	struct call this = now;
	now.query = NULL; // it asks for memory, too
	bool may = !this.function;
	if (!may) {
		struct text as = _ZNK6duckdb23BoundFunctionExpression8ToStringB5cxx11Ev(this.function);
		const char *name = as.length < sizeof as.inside ? as.inside : as.at, *end = strchr(name, '(');
		char barred[64];
		if (end && end != name && (size_t)snprintf(barred, sizeof barred, "|%.*s|", (int)(end - name), name) < sizeof barred)
			may = strstr(fail_well, barred);
		if (name != as.inside)
			free((void *)name);
	}
	now = this;
	now.judged = may ? fails : works_on;
	return may;
}

// For tests: the check with this number, and those after it, fail.
static _Atomic int64_t failing_from = INT64_MAX, checks;

void calls_fail_from(int64_t check) {
	atomic_store(&failing_from, check);
	atomic_store(&checks, 0);
}

int64_t calls_checked(void) { return atomic_load(&checks); }

static bool failing(void) {
	return atomic_load_explicit(&failing_from, memory_order_relaxed) < INT64_MAX && atomic_fetch_add(&checks, 1) >= atomic_load(&failing_from);
}

bool call_interrupted(void) {
	return now.query && (_ZNK6duckdb13ClientContext13IsInterruptedEv(now.query) || failing()) &&
		!_ZSt19uncaught_exceptionsv() && // it is on its way out
		may_fail();
}

bool call_fits(int64_t more, int64_t most) {
	return !now.query || now.held + more <= most || !may_fail();
}

void call_holds(int64_t more) {
	if (now.query)
		now.held += more;
}
