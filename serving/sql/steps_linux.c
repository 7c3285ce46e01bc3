#include <stdbool.h>
#include <stdint.h>

#include "calls.h"
#include "trees.h"

// A step of an operator is on a chunk, and does not end before it has made one: a
// join whose rows do not match looks at all of the other side. It does not fail
// where it asks for memory, but stops at some places (call_stop). Windows do not:
// what they throw away in the middle of a chunk are states of aggregates, which
// nobody would destroy.
typedef struct {
	const void *query; // an ExecutionContext begins with the ClientContext
} context;

#define STEP(c) __attribute__((cleanup(call_leave), unused)) struct call outer = call_step((c)->query)

// PhysicalOperator::GetData and CachingPhysicalOperator::Execute.
#define GET_DATA "_ZNK6duckdb16PhysicalOperator7GetDataERNS_16ExecutionContextERNS_9DataChunkERNS_19OperatorSourceInputE"
#define PASS_ON "_ZNK6duckdb23CachingPhysicalOperator7ExecuteERNS_16ExecutionContextERNS_9DataChunkES4_RNS_19GlobalOperatorStateERNS_13OperatorStateE"

extern int real_get_data(const void *operator, const context *c, void *rows, void *input) __asm__("__real_" GET_DATA);
int wrap_get_data(const void *operator, const context *c, void *rows, void *input) __asm__("__wrap_" GET_DATA);

int wrap_get_data(const void *operator, const context *c, void *rows, void *input) {
	STEP(c);
	trees_built();
	call_stop();
	return real_get_data(operator, c, rows, input);
}

extern int real_pass_on(const void *operator, const context *c, void *input, void *rows, void *global, void *state) __asm__("__real_" PASS_ON);
int wrap_pass_on(const void *operator, const context *c, void *input, void *rows, void *global, void *state) __asm__("__wrap_" PASS_ON);

int wrap_pass_on(const void *operator, const context *c, void *input, void *rows, void *global, void *state) {
	STEP(c);
	return real_pass_on(operator, c, input, rows, global, state);
}

// Where steps stop: a chunk of the other side of a join, and a row of a hash table.
#define SCAN "_ZNK6duckdb20ColumnDataCollection4ScanERNS_19ColumnDataScanStateERNS_9DataChunkE"
#define MATCH "_ZN6duckdb10RowMatcher5MatchERNS_9DataChunkERKNS_6vectorINS_21TupleDataVectorFormatELb1ESaIS4_EEERNS_15SelectionVectorEmRNS_6VectorEPS9_Rm"

extern bool real_scan(const void *of, void *state, void *rows) __asm__("__real_" SCAN);
bool wrap_scan(const void *of, void *state, void *rows) __asm__("__wrap_" SCAN);

bool wrap_scan(const void *of, void *state, void *rows) {
	trees_scanned();
	call_stepped(1 << 12);
	return real_scan(of, state, rows);
}

extern uint64_t real_match(void *matcher, void *left, const void *formats, void *selection, uint64_t n, void *right, void *none, uint64_t *none_n) __asm__("__real_" MATCH);
uint64_t wrap_match(void *matcher, void *left, const void *formats, void *selection, uint64_t n, void *right, void *none, uint64_t *none_n) __asm__("__wrap_" MATCH);

uint64_t wrap_match(void *matcher, void *left, const void *formats, void *selection, uint64_t n, void *right, void *none, uint64_t *none_n) {
	call_stepped(1 << 12);
	return real_match(matcher, left, formats, selection, n, right, none, none_n);
}
