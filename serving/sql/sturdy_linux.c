#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "engine.h"

// What one query meets in DuckDB is that query's: neither the program nor the
// database ends with it (docs/proposals/037).

// ErrorData::ErrorData(const std::exception &) and ErrorData(const std::string &),
// which read an error as what() writes it, JSON.
extern void __real__ZN6duckdb9ErrorDataC1ERKSt9exception(void *error, const void *exception);
extern void _ZN6duckdb9ErrorDataC1ERKNSt7__cxx1112basic_stringIcSt11char_traitsIcESaIcEEE(void *error, const struct text *json);

// What a message keeps of a value that it tells, which may have hundreds of
// megabytes: DuckDB writes and reads such JSON several times.
enum { most_of_message = 8 << 10 };

// shorten leaves out the end of a message that is longer, in place.
static void shorten(char *json) {
	static const char key[] = "\"exception_message\":\"";
	char *message = strstr(json, key);
	if (!message)
		return;
	message += sizeof key - 1;
	char *end = message; // the quote behind it
	size_t keep = 0;
	while (*end && *end != '"') {
		if (end[0] == '\\')
			end += strnlen(end, end[1] == 'u' ? 6 : 2);
		else
			end++;
		if (end - message <= most_of_message && (*end & 0xC0) != 0x80) // not within a letter
			keep = end - message;
	}
	if (end - message <= most_of_message + 3 || !*end)
		return;
	memcpy(message + keep, "...", 3);
	memmove(message + keep + 3, end, strlen(end) + 1);
}

// An error of type INTERNAL, for which it is enough that an arithmetic check of
// a window function fails, has DuckDB declare the database invalid: each query
// fails until the program begins again. Nothing in this database is written by
// queries, so such an error is read as one of executing a query.
void __wrap__ZN6duckdb9ErrorDataC1ERKSt9exception(void *error, const void *exception) {
	static const char internal[] = "\"exception_type\":\"INTERNAL\"", instead[] = "\"exception_type\":\"Executor\"";
	const char *(*const *virtual)(const void *) = *(const char *(*const **)(const void *))exception;
	const char *json = virtual[2](exception); // behind two destructors
	bool is_internal = json && strstr(json, internal);
	char *copy = is_internal || json && strlen(json) > most_of_message ? strdup(json) : NULL;
	if (!copy) {
		__real__ZN6duckdb9ErrorDataC1ERKSt9exception(error, exception);
		return;
	}
	if (is_internal)
		memcpy(strstr(copy, internal), instead, sizeof instead - 1);
	shorten(copy);
	struct text read = {.at = copy, .length = strlen(copy), .room = strlen(copy)};
	_ZN6duckdb9ErrorDataC1ERKNSt7__cxx1112basic_stringIcSt11char_traitsIcESaIcEEE(error, &read);
	free(copy);
}

// PhysicalStreamingWindow::IsStreamingFunction(ClientContext &, unique_ptr<Expression> &)
extern bool __real__ZN6duckdb23PhysicalStreamingWindow19IsStreamingFunctionERNS_13ClientContextERNS_10unique_ptrINS_10ExpressionESt14default_deleteIS4_ELb1EEE(
	void *query, void **window);
extern struct text _ZNK6duckdb21BoundWindowExpression8ToStringB5cxx11Ev(const void *window);
extern void _ZdlPv(void *p);

// LEAD and LAG without any order are computed chunk by chunk, beside a copy of as
// many rows as their offset says: of the smallest BIGINT, whose absolute value is
// none, that ends the program. The way for windows with an order has no such copy.
bool __wrap__ZN6duckdb23PhysicalStreamingWindow19IsStreamingFunctionERNS_13ClientContextERNS_10unique_ptrINS_10ExpressionESt14default_deleteIS4_ELb1EEE(
	void *query, void **window) {
	if (!__real__ZN6duckdb23PhysicalStreamingWindow19IsStreamingFunctionERNS_13ClientContextERNS_10unique_ptrINS_10ExpressionESt14default_deleteIS4_ELb1EEE(query, window))
		return false;
	struct text as = _ZNK6duckdb21BoundWindowExpression8ToStringB5cxx11Ev(*window);
	const char *name = as.length < sizeof as.inside ? as.inside : as.at;
	bool shifts = !strncasecmp(name, "lead(", 5) || !strncasecmp(name, "lag(", 4);
	if (name != as.inside)
		_ZdlPv((void *)name);
	return !shifts;
}
