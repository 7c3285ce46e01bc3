#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "calls.h"
#include "engine.h"
#include "weigh.h"

// What a function is to work on is weighed before it is called. Most take time by
// the bytes that they are given, and look up only between two chunks: 2,048 rows
// that all have the same text of 80 MB, which lies in memory once, are 160 GB to
// md5. What weighs too much is refused.

// The most that one argument may be, over all rows of a chunk: bytes of texts,
// and elements of lists; and these where they are sorted or aggregated, which bears
// no interruption (calls_linux.go).
static const uint64_t most_bytes = 1 << 29, most_elements = 1 << 28, most_uninterrupted = 1 << 23;

static const char uninterrupted[] = "|list_sort|array_sort|list_reverse_sort|array_reverse_sort|list_grade_up|array_grade_up|grade_up|"
	"list_distinct|array_distinct|list_unique|array_unique|list_aggregate|list_aggr|array_aggregate|array_aggr|aggregate|";

// And while a query is planned, when a list is kept as one value for each element,
// and copied with the plan. What of this is computed only to be faster DuckDB
// leaves for later, where it is too much.
static const uint64_t most_planned_bytes = 1 << 20, most_planned_elements = 1 << 16;

// The beginning of a Vector, up to what its values are.
typedef struct {
	uint8_t kind;
	struct {
		uint8_t id, physical;
		void *more[2];
	} type;
} vector;

enum { physical_list = 23, physical_array = 29, physical_text = 200 };

// A UnifiedVectorFormat: where the value of a row is, whatever the vector's kind.
typedef struct {
	const struct {
		const uint32_t *at; // NULL: row by row
	} *selection;
	const void *data;
	const uint64_t *validity;
	void *more[13];
} view;

extern void view_make(view *v) __asm__("_ZN6duckdb19UnifiedVectorFormatC1Ev");
extern void view_end(view *v) __asm__("_ZN6duckdb19UnifiedVectorFormatD1Ev");
extern void view_of(vector *v, uint64_t rows, view *to) __asm__("_ZN6duckdb6Vector15ToUnifiedFormatEmRNS_19UnifiedVectorFormatE");

// How many functions deep this thread is in what plans.
static _Thread_local int planning;

extern uint64_t array_size(const void *type) __asm__("_ZN6duckdb9ArrayType7GetSizeERKNS_11LogicalTypeE");

// lengths is the sum of the lengths of texts or lists.
static uint64_t lengths(vector *v, uint64_t rows) {
	__attribute__((cleanup(view_end))) view at;
	view_make(&at);
	view_of(v, rows, &at);
	const uint32_t *selected = at.selection->at;
	bool texts = v->type.physical == physical_text;
	uint64_t sum = 0;
	for (uint64_t r = 0; r < rows; r++) {
		uint64_t i = selected ? selected[r] : r;
		if (valid(at.validity, i))
			sum += texts ? ((const string *)at.data)[i].length : ((const struct { uint64_t offset, length; } *)at.data)[i].length;
	}
	return sum;
}

static void weigh(vector *v, uint64_t rows) {
	bool texts = v->type.physical == physical_text, arrays = v->type.physical == physical_array;
	if (!texts && !arrays && v->type.physical != physical_list)
		return;
	uint64_t sum = arrays ? rows * array_size(&v->type) : lengths(v, rows);
	const char *what = texts ? "bytes of text" : "elements of lists";
	uint64_t most = texts ? most_bytes : most_elements;
	if (planning)
		most = texts ? most_planned_bytes : most_planned_elements;
	else if (!texts && sum > most_uninterrupted && called(uninterrupted))
		most = most_uninterrupted;
	if (sum > most)
		call_refuse(CALL_TOO_LONG ": it has %llu %s at once, and %llu are the most", (unsigned long long)sum, what, (unsigned long long)most);
}

void weigh_planned(void *result, uint64_t rows) {
	if (planning)
		weigh(result, rows);
}

// ExpressionExecutor::Execute of any expression, by which those of the arguments
// of another are executed.
#define EXECUTE "_ZN6duckdb18ExpressionExecutor7ExecuteERKNS_10ExpressionEPNS_15ExpressionStateEPKNS_15SelectionVectorEmRNS_6VectorE"

typedef void execute(void *executor, const void *expression, void *state, const void *rows, uint64_t n, vector *result);

extern execute real_execute __asm__("__real_" EXECUTE);
execute wrap_execute __asm__("__wrap_" EXECUTE);

void wrap_execute(void *executor, const void *expression, void *state, const void *rows, uint64_t n, vector *result) {
	real_execute(executor, expression, state, rows, n, result);
	if (n)
		weigh(result, n);
}

bool weigh_planning(void) { return planning > 0; }

static void planned(int *before) { planning = *before; }

#define PLANS __attribute__((cleanup(planned), unused)) int before = planning++

// What plans: Planner::CreatePlan, and ExpressionExecutor::TryEvaluateScalar, by
// which the optimizer computes what is constant.
#define PLAN "_ZN6duckdb7Planner10CreatePlanENS_10unique_ptrINS_12SQLStatementESt14default_deleteIS2_ELb1EEE"
#define EVALUATE "_ZN6duckdb18ExpressionExecutor17TryEvaluateScalarERNS_13ClientContextERKNS_10ExpressionERNS_5ValueE"

extern void real_plan(void *planner, void *statement) __asm__("__real_" PLAN);
void wrap_plan(void *planner, void *statement) __asm__("__wrap_" PLAN);

void wrap_plan(void *planner, void *statement) {
	PLANS;
	real_plan(planner, statement);
}

extern bool real_evaluate(void *query, const void *expression, void *value) __asm__("__real_" EVALUATE);
bool wrap_evaluate(void *query, const void *expression, void *value) __asm__("__wrap_" EVALUATE);

bool wrap_evaluate(void *query, const void *expression, void *value) {
	PLANS;
	return real_evaluate(query, expression, value);
}

// VectorOperations::Hash and CombineHash, for joins, groups and DISTINCT.
#define HASH "_ZN6duckdb16VectorOperations4HashERNS_6VectorES2_m"
#define COMBINE "_ZN6duckdb16VectorOperations11CombineHashERNS_6VectorES2_m"

extern void real_hash(vector *of, void *to, uint64_t rows) __asm__("__real_" HASH);
void wrap_hash(vector *of, void *to, uint64_t rows) __asm__("__wrap_" HASH);

void wrap_hash(vector *of, void *to, uint64_t rows) {
	weigh(of, rows);
	real_hash(of, to, rows);
}

extern void real_combine(void *to, vector *of, uint64_t rows) __asm__("__real_" COMBINE);
void wrap_combine(void *to, vector *of, uint64_t rows) __asm__("__wrap_" COMBINE);

void wrap_combine(void *to, vector *of, uint64_t rows) {
	weigh(of, rows);
	real_combine(to, of, rows);
}
