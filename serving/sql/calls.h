#include <stdbool.h>
#include <stdint.h>

// Which functions fail well, as calls_linux.go says it; names stays where it is.
void calls_fail_well(const char *names);

// A call is that of a scalar function or a cast, over the rows of a chunk; the
// linker has all of them go through those with __wrap_ before their names. Or it is
// a step of an operator.
struct call {
	const void *query;    // DuckDB's ClientContext; NULL: no call
	const void *function; // the BoundFunctionExpression; NULL: a cast
	bool step;
	int64_t held; // bytes of large blocks that this thread took since
	enum { unknown, fails, works_on } judged;
};

// call_step begins a step, and returns the call around it, to which call_leave
// goes back, also when it throws.
struct call call_step(const void *query);
void call_leave(struct call *outer);

// call_fails_well says whether the step that this thread is in may fail from now on
// wherever C++ asks for memory, as functions may that fail well.
void call_fails_well(bool well);

// call_stop throws if the query of the call that this thread is in, if it is in
// one, was interrupted. It is for places that can be thrown from; what asks for
// memory cannot everywhere (call_interrupted).
void call_stop(void);

// call_stepped counts n more steps of about a nanosecond, and looks at the query
// now and then (call_stop).
void call_stepped(uint64_t n);

// called tells whether the call that this thread is in is that of a function with
// one of these names, which have a bar before and behind each.
bool called(const char *names);

// How the message of a refusal begins that is for what one call would have to do.
#define CALL_TOO_LONG "one call of a function would work for too long"

// Errors, as DuckDB throws them.
void call_refuse(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));
void call_syntax(const char *message) __attribute__((noreturn));

// For tests: what calls ask from the check with this number on fails, as it does
// when their query is interrupted. INT64_MAX: nothing does, and nothing is counted.
void calls_fail_from(int64_t check);
int64_t calls_checked(void);
