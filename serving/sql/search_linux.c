#define _GNU_SOURCE // memmem
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "calls.h"
#include "engine.h"
#include "search.h"

// What DuckDB searches texts with, where that is called from elsewhere: the
// linker has it come here.

// A part as long as this, or shorter, is left to DuckDB, which compares it at
// each place where its first bytes are.
enum { shortly = 256 };

extern uint64_t real_find(const uint8_t *text, uint64_t n, const uint8_t *part, uint64_t m) __asm__("__real__ZN6duckdb12FindStrInStrEPKhmS1_m");

size_t find(bytes text, bytes part) {
	if (!part.n)
		return 0;
	if (part.n <= shortly)
		return real_find(text.at, text.n, part.at, part.n);
	const uint8_t *at = memmem(text.at, text.n, part.at, part.n);
	return at ? (size_t)(at - text.at) : nowhere;
}

uint64_t wrap_find(const uint8_t *text, uint64_t n, const uint8_t *part, uint64_t m) __asm__("__wrap__ZN6duckdb12FindStrInStrEPKhmS1_m");
uint64_t wrap_find_string(const string *text, const string *part) __asm__("__wrap__ZN6duckdb12FindStrInStrERKNS_8string_tES2_");

uint64_t wrap_find(const uint8_t *text, uint64_t n, const uint8_t *part, uint64_t m) {
	call_stepped(n);
	return find((bytes){text, n}, (bytes){part, m});
}

uint64_t wrap_find_string(const string *text, const string *part) {
	call_stepped(text->length);
	return find(bytes_of(text), bytes_of(part));
}

// Regular expressions: each search of RE2, for each of which there may be many in
// a text. Those that keep sets of states look at all of them for each byte.
// The beginning of RE2's Prog.
typedef struct {
	bool flags[5];
	int32_t start, start_unanchored;
	int32_t size; // in instructions
} program;

// The most states that one search may look at, each for a byte: where it looks at
// all of them for each, and where it remembers what follows from which.
static const uint64_t most_states = 1 << 28, most_remembered = UINT64_C(1) << 32;

static void search(const program *p, const piece *text, uint64_t most) {
	call_stepped(text->n);
	if (text->n > most / (uint64_t)(p->size + 1))
		call_refuse(CALL_TOO_LONG ": searching %zu bytes with a regular expression of %d steps; make the expression or the text smaller", text->n, p->size);
}

// Prog's searches, of which each returns whether it found something.
#define SEARCH "ERKNS_11StringPieceES3_NS0_6AnchorENS0_9MatchKindEPS1_"

typedef bool search_parts(const program *p, const piece *text, const piece *context, int anchor, int kind, piece *parts, int n);
typedef bool search_whole(const program *p, const piece *text, const piece *context, int anchor, int kind, piece *whole, bool *failed, void *matches);

extern search_parts real_nfa __asm__("__real__ZN10duckdb_re24Prog9SearchNFA" SEARCH "i");
extern search_parts real_one_pass __asm__("__real__ZN10duckdb_re24Prog13SearchOnePass" SEARCH "i");
extern search_parts real_bit_state __asm__("__real__ZN10duckdb_re24Prog14SearchBitState" SEARCH "i");
extern search_whole real_dfa __asm__("__real__ZN10duckdb_re24Prog9SearchDFA" SEARCH "PbPNS_10SparseSetTIvEE");

search_parts wrap_nfa __asm__("__wrap__ZN10duckdb_re24Prog9SearchNFA" SEARCH "i");
search_parts wrap_one_pass __asm__("__wrap__ZN10duckdb_re24Prog13SearchOnePass" SEARCH "i");
search_parts wrap_bit_state __asm__("__wrap__ZN10duckdb_re24Prog14SearchBitState" SEARCH "i");
search_whole wrap_dfa __asm__("__wrap__ZN10duckdb_re24Prog9SearchDFA" SEARCH "PbPNS_10SparseSetTIvEE");

bool wrap_nfa(const program *p, const piece *text, const piece *context, int anchor, int kind, piece *parts, int n) {
	search(p, text, most_states);
	return real_nfa(p, text, context, anchor, kind, parts, n);
}

bool wrap_one_pass(const program *p, const piece *text, const piece *context, int anchor, int kind, piece *parts, int n) {
	call_stepped(text->n);
	return real_one_pass(p, text, context, anchor, kind, parts, n);
}

bool wrap_bit_state(const program *p, const piece *text, const piece *context, int anchor, int kind, piece *parts, int n) {
	call_stepped(text->n * (uint64_t)p->size);
	return real_bit_state(p, text, context, anchor, kind, parts, n);
}

bool wrap_dfa(const program *p, const piece *text, const piece *context, int anchor, int kind, piece *whole, bool *failed, void *matches) {
	search(p, text, most_remembered);
	return real_dfa(p, text, context, anchor, kind, whole, failed, matches);
}
