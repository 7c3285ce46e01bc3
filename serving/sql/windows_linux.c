#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#include "calls.h"
#include "engine.h"
#include "trees.h"

// A window is evaluated chunk by chunk. One whose frames are large puts each of
// their rows into an aggregate for each row of the chunk, 2,048 times, and cannot
// be left in the middle of that: nobody would destroy the states of its aggregates.
// So a chunk is cut into parts, as small as it takes, and the query is looked at
// between two of them.

extern void *duckdb_create_vector(void *type, uint64_t rows);
extern void duckdb_destroy_vector(void **vector);
extern void duckdb_vector_reference_vector(void *to, void *from);
extern void *duckdb_vector_get_column_type(void *vector);
extern void duckdb_destroy_logical_type(void **type);
extern void duckdb_data_chunk_set_size(void *chunk, uint64_t rows);
extern void vector_slice(void *vector, const void *of, uint64_t from, uint64_t to) __asm__("_ZN6duckdb6Vector5SliceERKS0_mm");
extern void vector_copy(const void *from, void *to, uint64_t rows, uint64_t at, uint64_t to_at) __asm__("_ZN6duckdb16VectorOperations4CopyERKNS_6VectorERS1_mmm");

// How long a part is to take, about, in nanoseconds; and of how many rows the first
// part of a window is.
enum { part_time = 20000000, first_part = 1 };

// How many rows a part of some windows has, by their executors. What another window
// left at the same place is corrected by the first part.
typedef struct {
	const void *executor;
	uint64_t rows;
} size;

static _Thread_local size sizes[16];

static size *size_of(const void *executor) {
	size *s = &sizes[(uintptr_t)executor / 64 % (sizeof sizes / sizeof *sizes)];
	if (s->executor != executor)
		*s = (size){executor, first_part};
	return s;
}

static uint64_t now_ns(void) {
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

// A vector of the type of another.
static void *vector_like(void *other, uint64_t rows) {
	void *type = duckdb_vector_get_column_type(other), *v = duckdb_create_vector(type, rows);
	duckdb_destroy_logical_type(&type);
	return v;
}

// What a chunk has while parts of it are in its place.
typedef struct {
	void *chunk;
	uint64_t rows, columns;
	void **whole;
	void *part; // of the result
} parts;

static void parts_end(parts *p) {
	if (p->part)
		duckdb_destroy_vector(&p->part);
	for (uint64_t c = 0; c < p->columns; c++)
		if (p->whole[c]) {
			duckdb_vector_reference_vector(duckdb_data_chunk_get_vector(p->chunk, c), p->whole[c]);
			duckdb_destroy_vector(&p->whole[c]);
		}
	duckdb_data_chunk_set_size(p->chunk, p->rows);
}

// WindowExecutor::Evaluate, of the rows of a chunk that are at row and behind.
#define EVALUATE "_ZNK6duckdb14WindowExecutor8EvaluateERNS_16ExecutionContextEmRNS_9DataChunkERNS_6VectorERNS_17OperatorSinkInputE"

typedef void evaluate(const void *executor, void *context, uint64_t row, void *chunk, void *result, void *input);

extern evaluate real_window __asm__("__real_" EVALUATE);
evaluate wrap_window __asm__("__wrap_" EVALUATE);

void wrap_window(const void *executor, void *context, uint64_t row, void *chunk, void *result, void *input) {
	trees_built();
	size *s = size_of(executor);
	uint64_t rows = duckdb_data_chunk_get_size(chunk), columns = duckdb_data_chunk_get_column_count(chunk);
	call_stop();
	if (rows <= s->rows) {
		uint64_t began = now_ns();
		real_window(executor, context, row, chunk, result, input);
		if (now_ns() - began > part_time && s->rows > 1)
			s->rows = s->rows > rows ? rows / 2 + 1 : s->rows / 2;
		else if (s->rows < 2048)
			s->rows *= 2;
		return;
	}
	void *whole[columns + 1];
	memset(whole, 0, sizeof whole);
	__attribute__((cleanup(parts_end))) parts p = {chunk, rows, columns, whole, NULL};
	for (uint64_t c = 0; c < columns; c++) {
		void *v = duckdb_data_chunk_get_vector(chunk, c);
		whole[c] = vector_like(v, 0);
		duckdb_vector_reference_vector(whole[c], v);
	}
	for (uint64_t at = 0; at < rows;) {
		uint64_t n = rows - at < s->rows ? rows - at : s->rows, began = now_ns();
		for (uint64_t c = 0; c < columns; c++)
			vector_slice(duckdb_data_chunk_get_vector(chunk, c), whole[c], at, at + n);
		duckdb_data_chunk_set_size(chunk, n);
		p.part = vector_like(result, 2048);
		real_window(executor, context, row + at, chunk, p.part, input);
		vector_copy(p.part, result, n, 0, at);
		duckdb_destroy_vector(&p.part);
		p.part = NULL;
		at += n;
		uint64_t took = now_ns() - began;
		if (took > part_time && s->rows > 1)
			s->rows /= 2;
		else if (took < part_time / 4 && s->rows < 2048)
			s->rows *= 2;
		call_stop();
	}
}
