#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "calls.h"
#include "replaced.h"
#include "engine.h"

// How far two texts are from each other, in place of DuckDB's own functions,
// which cannot be interrupted and take time by the product of the two lengths.
// The answers are the same, bit by bit. All count bytes, as DuckDB's do.

static bytes without_ends(bytes a, bytes *b) {
	while (a.n && b->n && *a.at == *b->at)
		a.at++, a.n--, b->at++, b->n--;
	while (a.n && b->n && a.at[a.n - 1] == b->at[b->n - 1])
		a.n--, b->n--;
	return a;
}

// levenshtein is the number of bytes to insert, delete and replace to make one
// text of the other. One step takes 64 cells of a column of the matrix, as the
// bits in which neighbours differ (G. Myers, A fast bit-vector algorithm for
// approximate string matching based on dynamic programming, 1999, with blocks as
// in H. Hyyrö, A bit-vector algorithm for computing Levenshtein and Damerau edit
// distances, 2003): along all of b for 64 bytes of a, then for the next 64.
static int64_t levenshtein(bytes a, bytes b, scratch *cells) {
	a = without_ends(a, &b);
	if (a.n > b.n) {
		bytes other = a;
		a = b;
		b = other;
	}
	int8_t *across = scratch_of(cells, b.n); // from cell to cell along b, in the last row taken
	memset(across, 1, b.n);
	for (size_t top = 0; top < a.n; top += 64) {
		call_stepped(2 * b.n);
		size_t rows = a.n - top < 64 ? a.n - top : 64;
		uint64_t equal[256] = {0}, last = UINT64_C(1) << (rows - 1);
		for (size_t i = 0; i < rows; i++)
			equal[a.at[top + i]] |= UINT64_C(1) << i;
		uint64_t more = ~UINT64_C(0), less = 0; // from cell to cell along a
		for (size_t j = 0; j < b.n; j++) {
			uint64_t is = equal[b.at[j]], up = across[j] > 0, down = across[j] < 0;
			uint64_t stays = is | less;
			is |= down;
			uint64_t zero = (((is & more) + more) ^ more) | is;
			uint64_t rises = less | ~(zero | more), falls = more & zero;
			across[j] = (int8_t)(!!(rises & last) - !!(falls & last));
			rises = rises << 1 | up;
			falls = falls << 1 | down;
			more = falls | ~(stays | rises);
			less = rises & stays;
		}
	}
	int64_t distance = a.n;
	for (size_t j = 0; j < b.n; j++)
		distance += across[j];
	return distance;
}


// What jaro needs of two texts.
typedef struct {
	scratch next, common;
} jaro_scratch;

static void jaro_end(jaro_scratch *s) {
	scratch_end(&s->next);
	scratch_end(&s->common);
}

static inline size_t least(size_t a, size_t b) { return a < b ? a : b; }

// jaro is the Jaro similarity, 0 where it is below a cutoff: how many bytes the
// texts have in common, at places no further from each other than half of the
// longer, and how many of them are in another order. Each byte of b is given the
// first of a that is in reach and not yet taken. Reach moves on as b does, so
// that a queue of places for each byte finds it at once.
static double jaro(bytes a, bytes b, double cutoff, jaro_scratch *s) {
	double na = (double)a.n, nb = (double)b.n;
	if (!a.n || !b.n || !((least(a.n, b.n) / na + least(a.n, b.n) / nb + 1.0) / 3.0 >= cutoff))
		return 0;
	if (a.n == 1 && b.n == 1)
		return *a.at == *b.at;
	size_t reach = (a.n > b.n ? a.n : b.n) / 2 - 1;
	a.n = least(a.n, b.n + reach);
	b.n = least(b.n, a.n + reach);

	uint32_t *next = scratch_of(&s->next, (a.n + 1) * sizeof *next); // the next place with the same byte, counted from 1
	uint32_t first[256] = {0};
	for (size_t i = a.n; i-- > 0;) {
		next[i + 1] = first[a.at[i]];
		first[a.at[i]] = (uint32_t)(i + 1);
	}
	uint8_t *of_b = scratch_of(&s->common, a.n + b.n), *taken = of_b + b.n; // what is common, in the order of b; and whether it is, in that of a
	memset(taken, 0, a.n);
	size_t common = 0;
	for (size_t j = 0; j < b.n; j++) {
		uint32_t *i = &first[b.at[j]];
		while (*i && *i - 1 + reach < j)
			*i = next[*i];
		if (*i && *i - 1 <= j + reach) {
			taken[*i - 1] = 1;
			of_b[common++] = b.at[j];
			*i = next[*i];
		}
	}
	call_stepped(4 * (a.n + b.n));
	if (!common || !((common / na + common / nb + 1.0) / 3.0 >= cutoff))
		return 0;
	size_t moved = 0, k = 0;
	for (size_t i = 0; i < a.n; i++)
		if (taken[i])
			moved += a.at[i] != of_b[k++];
	moved /= 2;
	double similarity = (common / na + common / nb + ((double)common - (double)moved) / common) / 3.0;
	return similarity >= cutoff ? similarity : 0;
}

double jaro_similarity(const uint8_t *a, size_t a_n, const uint8_t *b, size_t b_n, double cutoff) {
	__attribute__((cleanup(jaro_end))) jaro_scratch s = {0};
	return jaro((bytes){a, a_n}, (bytes){b, b_n}, cutoff, &s);
}

// jaro_winkler makes it more for up to four bytes with which both texts begin.
static double jaro_winkler(bytes a, bytes b, double cutoff, jaro_scratch *s) {
	size_t prefix = 0;
	while (prefix < least(least(a.n, b.n), 4) && a.at[prefix] == b.at[prefix])
		prefix++;
	double bonus = (double)prefix * 0.1, jaro_cutoff = cutoff;
	if (cutoff > 0.7) {
		double needed = (bonus - cutoff) / (bonus - 1.0);
		jaro_cutoff = 0.7 < needed ? needed : 0.7;
	}
	double similarity = jaro(a, b, jaro_cutoff, s);
	if (similarity > 0.7)
		similarity += bonus * (1.0 - similarity);
	return similarity >= cutoff ? similarity : 0;
}

// The rows of a chunk, which DuckDB's C interface has made flat.
typedef struct {
	uint64_t n;
	const string *a, *b;
	const double *cutoff; // NULL: 0
	const uint64_t *validity[3];
} rows;

static rows rows_of(void *chunk) {
	rows r = {duckdb_data_chunk_get_size(chunk)};
	const void *data[3] = {0};
	for (uint64_t c = 0; c < duckdb_data_chunk_get_column_count(chunk); c++) {
		void *vector = duckdb_data_chunk_get_vector(chunk, c);
		data[c] = duckdb_vector_get_data(vector);
		r.validity[c] = duckdb_vector_get_validity(vector);
	}
	r.a = data[0], r.b = data[1], r.cutoff = data[2];
	return r;
}

static bool has_null(const rows *r, uint64_t row) {
	return !valid(r->validity[0], row) || !valid(r->validity[1], row) || !valid(r->validity[2], row);
}

static void run_levenshtein(void *info, void *chunk, void *result) {
	rows r = rows_of(chunk);
	int64_t *answers = duckdb_vector_get_data(result);
	SCRATCH cells = {0};
	for (uint64_t row = 0; row < r.n; row++)
		if (has_null(&r, row))
			set_null(result, row);
		else
			answers[row] = levenshtein(bytes_of(&r.a[row]), bytes_of(&r.b[row]), &cells);
}

static void run_similarity(double (*of)(bytes, bytes, double, jaro_scratch *), void *chunk, void *result) {
	rows r = rows_of(chunk);
	double *answers = duckdb_vector_get_data(result);
	__attribute__((cleanup(jaro_end))) jaro_scratch s = {0};
	for (uint64_t row = 0; row < r.n; row++)
		if (has_null(&r, row))
			set_null(result, row);
		else
			answers[row] = of(bytes_of(&r.a[row]), bytes_of(&r.b[row]), r.cutoff ? r.cutoff[row] : 0, &s);
}

static void run_jaro(void *info, void *chunk, void *result) { run_similarity(jaro, chunk, result); }
static void run_jaro_winkler(void *info, void *chunk, void *result) { run_similarity(jaro_winkler, chunk, result); }

void *levenshtein_function(void) { return (void *)run_levenshtein; }
void *jaro_function(void) { return (void *)run_jaro; }
void *jaro_winkler_function(void) { return (void *)run_jaro_winkler; }
