#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "blocks.h"
#include "calls.h"
#include "engine.h"
#include "pieces.h"
#include "weigh.h"

// DuckDB looks for interrupts between two chunks. A function that works long on
// one, as a lambda in a lambda or list_distinct of a large list, is interrupted
// here: before each call of a function, also of one by another, where those that
// fail well ask for memory (calls_linux.go), and where others say (call_stop).

static _Thread_local struct call now;

// The name of its function, with bars; "" where nobody asked yet.
static _Thread_local char name_now[64];

extern bool _ZN6duckdb18ExpressionExecutor10HasContextEv(void *executor);
extern void *_ZN6duckdb18ExpressionExecutor10GetContextEv(void *executor);
extern bool _ZNK6duckdb13ClientContext13IsInterruptedEv(const void *query);

// How C++ throws.
extern int uncaught_exceptions(void) __asm__("_ZSt19uncaught_exceptionsv");
extern void *__cxa_allocate_exception(size_t size);
extern void __cxa_throw(void *exception, void *type, void (*destroy)(void *)) __attribute__((noreturn));

// DuckDB's exceptions are std::runtime_errors, and nothing more.
enum { exception_size = 64 };

extern void interrupt_make(void *e) __asm__("_ZN6duckdb18InterruptExceptionC1Ev");
extern void interrupt_end(void *e) __asm__("_ZN6duckdb18InterruptExceptionD1Ev");
extern char interrupt_type[] __asm__("_ZTIN6duckdb18InterruptExceptionE");

static void interrupt(void) {
	void *e = __cxa_allocate_exception(exception_size);
	interrupt_make(e);
	__cxa_throw(e, interrupt_type, interrupt_end);
}

#define OF_TEXT "ERKNSt7__cxx1112basic_stringIcSt11char_traitsIcESaIcEEE"

extern void refusal_make(void *e, const struct text *message) __asm__("_ZN6duckdb21InvalidInputExceptionC1" OF_TEXT);
extern void refusal_end(void *e) __asm__("_ZN6duckdb21InvalidInputExceptionD1Ev");
extern char refusal_type[] __asm__("_ZTIN6duckdb21InvalidInputExceptionE");

void call_refuse(const char *format, ...) {
	char message[512];
	va_list args;
	va_start(args, format);
	vsnprintf(message, sizeof message, format, args);
	va_end(args);
	void *e = __cxa_allocate_exception(exception_size);
	refusal_make(e, &(struct text){.at = message, .length = strlen(message)});
	__cxa_throw(e, refusal_type, refusal_end);
}

extern void no_memory_make(void *e, const struct text *message) __asm__("_ZN6duckdb20OutOfMemoryExceptionC1" OF_TEXT);
extern void no_memory_end(void *e) __asm__("_ZN6duckdb20OutOfMemoryExceptionD1Ev");
extern char no_memory_type[] __asm__("_ZTIN6duckdb20OutOfMemoryExceptionE");

static void refuse_memory(void) {
	static const char message[] = "what its aggregates keep is more than there is";
	void *e = __cxa_allocate_exception(exception_size);
	no_memory_make(e, &(struct text){.at = message, .length = sizeof message - 1});
	__cxa_throw(e, no_memory_type, no_memory_end);
}

extern void syntax_make(void *e, const struct text *message) __asm__("_ZN6duckdb15SyntaxExceptionC1" OF_TEXT);
extern void syntax_end(void *e) __asm__("_ZN6duckdb15SyntaxExceptionD1Ev");
extern char syntax_type[] __asm__("_ZTIN6duckdb15SyntaxExceptionE");

void call_syntax(const char *message) {
	void *e = __cxa_allocate_exception(exception_size);
	syntax_make(e, &(struct text){.at = message, .length = strlen(message)});
	__cxa_throw(e, syntax_type, syntax_end);
}

// enter begins a call by an ExpressionExecutor.
static void enter(void *executor, const void *function) {
	if (!_ZN6duckdb18ExpressionExecutor10HasContextEv(executor))
		return;
	const void *query = _ZN6duckdb18ExpressionExecutor10GetContextEv(executor);
	if (_ZNK6duckdb13ClientContext13IsInterruptedEv(query))
		interrupt();
	if (!now.query || now.step)
		now.held = 0;
	now = (struct call){.query = query, .function = function, .held = now.held};
	name_now[0] = 0;
}

struct call call_step(const void *query) {
	struct call outer = now;
	now = (struct call){.query = query, .step = true, .judged = works_on};
	name_now[0] = 0;
	pieces_for(query);
	return outer;
}

void call_fails_well(bool well) {
	if (now.step)
		now.judged = well ? fails : works_on;
}

void call_leave(struct call *outer) {
	if (outer->query && !outer->step)
		outer->held = now.held;
	now = *outer;
	name_now[0] = 0;
}

// ExpressionExecutor::Execute, of a BoundFunctionExpression and a
// BoundCastExpression.
typedef void execute(void *executor, const void *expression, void *state, const void *rows, uint64_t n, void *result);

extern execute __real__ZN6duckdb18ExpressionExecutor7ExecuteERKNS_23BoundFunctionExpressionEPNS_15ExpressionStateEPKNS_15SelectionVectorEmRNS_6VectorE;
extern execute __real__ZN6duckdb18ExpressionExecutor7ExecuteERKNS_19BoundCastExpressionEPNS_15ExpressionStateEPKNS_15SelectionVectorEmRNS_6VectorE;

void __wrap__ZN6duckdb18ExpressionExecutor7ExecuteERKNS_23BoundFunctionExpressionEPNS_15ExpressionStateEPKNS_15SelectionVectorEmRNS_6VectorE(
	void *executor, const void *expression, void *state, const void *rows, uint64_t n, void *result) {
	__attribute__((cleanup(call_leave))) struct call outer = now;
	enter(executor, expression);
	__real__ZN6duckdb18ExpressionExecutor7ExecuteERKNS_23BoundFunctionExpressionEPNS_15ExpressionStateEPKNS_15SelectionVectorEmRNS_6VectorE(
		executor, expression, state, rows, n, result);
	weigh_planned(result, n);
}

void __wrap__ZN6duckdb18ExpressionExecutor7ExecuteERKNS_19BoundCastExpressionEPNS_15ExpressionStateEPKNS_15SelectionVectorEmRNS_6VectorE(
	void *executor, const void *expression, void *state, const void *rows, uint64_t n, void *result) {
	__attribute__((cleanup(call_leave))) struct call outer = now;
	enter(executor, NULL);
	__real__ZN6duckdb18ExpressionExecutor7ExecuteERKNS_19BoundCastExpressionEPNS_15ExpressionStateEPKNS_15SelectionVectorEmRNS_6VectorE(
		executor, expression, state, rows, n, result);
	weigh_planned(result, n);
}

extern struct text _ZNK6duckdb23BoundFunctionExpression8ToStringB5cxx11Ev(const void *function);

// learn finds the name of the call's function, which is where its text begins,
// but for operators and casts, whose is two bars.
static void learn(void) {
	if (name_now[0])
		return;
	strcpy(name_now, "||");
	if (!now.function)
		return;
	struct call this = now;
	now.query = NULL; // it asks for memory, too
	struct text as = _ZNK6duckdb23BoundFunctionExpression8ToStringB5cxx11Ev(this.function);
	const char *name = as.length < sizeof as.inside ? as.inside : as.at, *end = strchr(name, '(');
	if (end && end != name && (size_t)(end - name) < sizeof name_now - 2)
		snprintf(name_now, sizeof name_now, "|%.*s|", (int)(end - name), name);
	if (name != as.inside)
		free((void *)name);
	now = this;
}

bool called(const char *names) {
	if (!now.query || !now.function)
		return false;
	learn();
	return name_now[1] != '|' && strstr(names, name_now);
}

// Names of functions that fail well, with a bar before and behind each.
static const char *fail_well = "";

void calls_fail_well(const char *names) { fail_well = names; }

// may_fail tells whether the call can wherever it asks for memory.
static bool may_fail(void) {
	if (!now.judged)
		now.judged = !now.function || called(fail_well) ? fails : works_on;
	return now.judged == fails;
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

// stopped tells whether the call's query was interrupted or has taken too much, and
// it is not on its way out.
static bool stopped(void) {
	return now.query && (_ZNK6duckdb13ClientContext13IsInterruptedEv(now.query) || pieces_refused(now.query) || failing()) && !uncaught_exceptions();
}

bool call_interrupted(void) { return stopped() && may_fail(); }

void call_stop(void) {
	if (!stopped())
		return;
	if (pieces_refused(now.query))
		refuse_memory();
	interrupt();
}

// Steps between two looks at the query: about 60 microseconds.
enum { steps_between = 1 << 16 };

static _Thread_local uint64_t steps;

void call_stepped(uint64_t n) {
	steps += n;
	if (steps >= steps_between) {
		steps = 0;
		call_stop();
	}
}

bool call_fits(int64_t more, int64_t most) {
	return !now.query || now.step || now.held + more <= most || !may_fail();
}

void call_holds(int64_t more) {
	if (now.query)
		now.held += more;
}
