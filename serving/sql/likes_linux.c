#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "calls.h"
#include "engine.h"
#include "search.h"

// LIKE, ILIKE and GLOB, and contains, in place of DuckDB's own, which try each
// wildcard again at every place for each place of those before it: some hours for
// '%a%b%c%' and a long text. Here only the last wildcard is ever tried again.
// That is enough: what a wildcard is followed by ends no sooner if it begins
// later, so that its first place leaves the most to the rest. All else is as in
// DuckDB: collations, NULL, what an escape may be, and which bytes _ and ? are.

// What the patterns of one function mean.
typedef struct {
	bool escapes;      // escape is a byte that takes the meaning of the next
	uint8_t escape;
	bool ignores_case; // of ASCII
} style;

static inline uint8_t ascii_lower(uint8_t c) { return (uint8_t)(c - 'A') < 26 ? c | 0x20 : c; }

// plain is how many bytes of a pattern from j on mean themselves.
static inline size_t plain(bytes pattern, size_t j, style s) {
	size_t k = j;
	while (k < pattern.n && pattern.at[k] != '%' && pattern.at[k] != '_' && !(s.escapes && pattern.at[k] == s.escape))
		k++;
	return k - j;
}

// like tells whether the whole of text is like a pattern.
static inline bool like(bytes text, bytes pattern, style s) {
	const uint8_t *t = text.at, *p = pattern.at;
	size_t i = 0, j = 0;
	// The last %: where what is behind it was tried, where that is in the pattern,
	// and how many bytes of it are plain.
	size_t from = 0, behind = nowhere, plains = 0;
	for (;;) {
		if (i < text.n && j < pattern.n) {
			uint8_t c = p[j];
			if (s.escapes && c == s.escape) {
				if (++j == pattern.n)
					call_syntax("Like pattern must not end with escape character!");
				if (p[j] == t[i]) {
					i++, j++;
					continue;
				}
			} else if (c == '_') {
				i++, j++;
				while (!s.ignores_case && i < text.n && (t[i] & 0xc0) == 0x80)
					i++;
				continue;
			} else if (c == '%') {
				while (++j < pattern.n && p[j] == '%')
					;
				if (j == pattern.n)
					return true;
				from = i;
				behind = j;
				plains = s.ignores_case ? 0 : plain(pattern, j, s);
				if (plains && j + plains == pattern.n) // it is what the text ends with
					return text.n - i >= plains && !memcmp(t + text.n - plains, p + j, plains);
				goto again;
			} else if (s.ignores_case ? ascii_lower(c) == ascii_lower(t[i]) : c == t[i]) {
				i++, j++;
				continue;
			}
		} else {
			while (j < pattern.n && p[j] == '%')
				j++;
			if (i == text.n) // whatever begins later has less to match
				return j == pattern.n;
		}
		if (behind == nowhere)
			return false;
		call_stepped(i - from + 1);
		j = behind;
		i = ++from;
	again:
		if (plains) {
			size_t at = find((bytes){t + i, text.n - i}, (bytes){p + j, plains});
			if (at == nowhere)
				return false;
			from = i += at;
			i += plains;
			j += plains;
		} else if (i == text.n)
			return false;
	}
}

// one matches the byte c with what of a GLOB's pattern is at j, and returns where
// that ends; nowhere, if it does not match.
static size_t one(uint8_t c, bytes pattern, size_t j) {
	const char *p = (const char *)pattern.at; // which may be signed, as it is in DuckDB
	if (p[j] == '?')
		return j + 1;
	if (p[j] == '\\')
		return ++j < pattern.n && p[j] == (char)c ? j + 1 : nowhere;
	if (p[j] != '[')
		return p[j] == (char)c ? j + 1 : nowhere;
	if (++j == pattern.n)
		return nowhere;
	bool inverted = p[j] == '!', found = inverted;
	if (inverted)
		j++;
	for (size_t first = j; j < pattern.n;) {
		if (p[j] == ']' && j > first)
			return found ? j + 1 : nowhere;
		if (j + 1 == pattern.n)
			return nowhere;
		bool matches;
		if (p[j + 1] == '-') {
			if (j + 2 == pattern.n)
				return nowhere;
			matches = (char)c >= p[j] && (char)c <= p[j + 2];
			j += 3;
		} else
			matches = p[j++] == (char)c;
		if (matches)
			found = !inverted;
	}
	return nowhere;
}

// glob tells whether the whole of text is like the pattern of a GLOB.
static bool glob(bytes text, bytes pattern) {
	size_t i = 0, j = 0, from = 0, behind = nowhere;
	for (;;) {
		if (i < text.n && j < pattern.n) {
			if (pattern.at[j] == '*') {
				while (++j < pattern.n && pattern.at[j] == '*')
					;
				if (j == pattern.n)
					return true;
				from = i;
				behind = j;
				continue;
			}
			size_t end = one(text.at[i], pattern, j);
			if (end != nowhere) {
				i++;
				j = end;
				continue;
			}
			call_stepped(j - (behind == nowhere ? 0 : behind)); // a bracket may be long
		} else {
			while (j < pattern.n && pattern.at[j] == '*')
				j++;
			if (i == text.n)
				return j == pattern.n;
		}
		if (behind == nowhere)
			return false;
		call_stepped(i - from + 1);
		j = behind;
		i = ++from;
		if (i == text.n)
			return false;
	}
}

static bool ascii(bytes b) {
	uint64_t any = 0, some;
	size_t i = 0;
	for (; i + sizeof some <= b.n; i += sizeof some) {
		memcpy(&some, b.at + i, sizeof some);
		any |= some;
	}
	for (; i < b.n; i++)
		any |= b.at[i];
	return !(any & UINT64_C(0x8080808080808080));
}

static bytes lowered(bytes b, scratch *s) {
	size_t n = lower_length((const char *)b.at, b.n);
	char *to = scratch_of(s, n + 1);
	lower_case((const char *)b.at, b.n, to);
	return (bytes){(const uint8_t *)to, n};
}

// Two scratches, for a text and a pattern.
typedef struct {
	scratch of[2];
} scratches;

static void scratches_end(scratches *s) {
	scratch_end(&s->of[0]);
	scratch_end(&s->of[1]);
}

// A relation is between a text and a pattern.
typedef bool relation(bytes text, bytes pattern, style s, scratches *scratch);

static bool is_like(bytes text, bytes pattern, style s, scratches *scratch) { return like(text, pattern, s); }

static bool is_ilike(bytes text, bytes pattern, style s, scratches *scratch) {
	s.ignores_case = !s.escapes && ascii(text) && ascii(pattern);
	if (s.ignores_case)
		return like(text, pattern, s);
	return like(lowered(text, &scratch->of[0]), lowered(pattern, &scratch->of[1]), s);
}

static bool is_glob(bytes text, bytes pattern, style s, scratches *scratch) { return glob(text, pattern); }

static bool has(bytes text, bytes pattern, style s, scratches *scratch) { return find(text, pattern) != nowhere; }

// answer has a relation, or its opposite, for each row of a chunk: of texts, of
// patterns, and maybe of escapes.
static inline __attribute__((always_inline)) void answer(relation *holds, bool expected, void *chunk, void *result) {
	bool constant = chunk_all_constant(chunk);
	uint64_t rows = constant ? 1 : duckdb_data_chunk_get_size(chunk), columns = duckdb_data_chunk_get_column_count(chunk);
	chunk_flatten(chunk);
	const string *of[3] = {0};
	const uint64_t *validity[3] = {0};
	for (uint64_t c = 0; c < columns; c++) {
		void *vector = duckdb_data_chunk_get_vector(chunk, c);
		of[c] = duckdb_vector_get_data(vector);
		validity[c] = duckdb_vector_get_validity(vector);
	}
	vector_set_kind(result, flat_vector);
	bool *answers = duckdb_vector_get_data(result);
	__attribute__((cleanup(scratches_end))) scratches scratch = {0};
	for (uint64_t r = 0; r < rows; r++) {
		if (!valid(validity[0], r) || !valid(validity[1], r) || !valid(validity[2], r)) {
			set_null(result, r);
			continue;
		}
		style s = {0};
		if (columns == 3) {
			bytes escape = bytes_of(&of[2][r]);
			if (escape.n > 1)
				call_syntax("Invalid escape string. Escape string must be empty or one character.");
			s.escapes = true;
			s.escape = escape.n ? *escape.at : 0;
		}
		answers[r] = holds(bytes_of(&of[0][r]), bytes_of(&of[1][r]), s, &scratch) == expected;
	}
	if (constant)
		vector_set_kind(result, constant_vector);
}

static void run_like(void *chunk, void *state, void *result) { answer(is_like, true, chunk, result); }
static void run_not_like(void *chunk, void *state, void *result) { answer(is_like, false, chunk, result); }
static void run_ilike(void *chunk, void *state, void *result) { answer(is_ilike, true, chunk, result); }
static void run_not_ilike(void *chunk, void *state, void *result) { answer(is_ilike, false, chunk, result); }
static void run_glob(void *chunk, void *state, void *result) { answer(is_glob, true, chunk, result); }
static void run_contains(void *chunk, void *state, void *result) { answer(has, true, chunk, result); }

// Code that takes the place of DuckDB's for a function, all of whose arguments
// are texts.
static const struct replacement {
	const char *name;
	void (*code)(void *chunk, void *state, void *result);
} replacements[] = {
	{"~~", run_like},
	{"!~~", run_not_like},
	{"like_escape", run_like},
	{"not_like_escape", run_not_like},
	{"~~*", run_ilike},
	{"!~~*", run_not_ilike},
	{"ilike_escape", run_ilike},
	{"not_ilike_escape", run_not_ilike},
	{"~~~", run_glob},
	{"contains", run_contains},
};

// The constructor of ScalarFunction. The code is a std::function, which begins
// with the address of what it calls. Statistics would have ILIKE run other code.
typedef struct {
	void *begin, *end;
} types_of;

typedef struct {
	void *code, *rest, *manage, *call;
} code_of;

#define CONSTRUCT "_ZN6duckdb14ScalarFunctionC1ENSt7__cxx1112basic_stringIcSt11char_traitsIcESaIcEEENS_6vectorINS_11LogicalTypeELb1ESaIS8_EEES8_" \
	"St8functionIFvRNS_9DataChunkERNS_15ExpressionStateERNS_6VectorEEEPFNS_10unique_ptrINS_12FunctionDataESt14default_deleteISL_ELb1EEE" \
	"RNS_13ClientContextERS0_RNS7_INSK_INS_10ExpressionESM_ISS_ELb1EEELb1ESaISU_EEEEPFSO_RNS_23ScalarFunctionBindInputESR_SX_E" \
	"PFNSK_INS_14BaseStatisticsESM_IS14_ELb1EEESQ_RNS_23FunctionStatisticsInputEEPFNSK_INS_18FunctionLocalStateESM_IS1B_ELb1EEESF_" \
	"RKNS_23BoundFunctionExpressionEPSL_ES8_NS_17FunctionStabilityENS_20FunctionNullHandlingEPFS8_SQ_RKSA_mE"

typedef void construct(void *function, const struct text *name, const types_of *arguments, void *returns, code_of *code, void *bind, void *bind_more,
	void *statistics, void *local_state, void *varargs, uint8_t stability, uint8_t null_handling, void *bind_lambda);

extern construct real_construct __asm__("__real_" CONSTRUCT);
construct wrap_construct __asm__("__wrap_" CONSTRUCT);

void wrap_construct(void *function, const struct text *name, const types_of *arguments, void *returns, code_of *code, void *bind, void *bind_more,
	void *statistics, void *local_state, void *varargs, uint8_t stability, uint8_t null_handling, void *bind_lambda) {
	bool texts = arguments->begin != arguments->end && duckdb_get_type_id(arguments->begin) == type_varchar;
	for (size_t i = 0; texts && code->call && i < sizeof replacements / sizeof *replacements; i++)
		if (strlen(replacements[i].name) == name->length && !memcmp(replacements[i].name, name->at, name->length)) {
			code->code = (void *)replacements[i].code;
			statistics = NULL;
		}
	real_construct(function, name, arguments, returns, code, bind, bind_more, statistics, local_state, varargs, stability, null_handling, bind_lambda);
}
