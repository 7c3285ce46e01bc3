// What our functions use of the inside of DuckDB, which has no header here. Its
// C interface works on its own objects: a duckdb_data_chunk is a DataChunk, a
// duckdb_vector a Vector.

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

// A string is a text as it lies in a vector: in its place, or where its last
// eight bytes say.
typedef struct {
	uint32_t length;
	char inlined[12];
} string;

// bytes are a text wherever it lies.
typedef struct {
	const uint8_t *at;
	size_t n;
} bytes;

static inline bytes bytes_of(const string *s) {
	bytes b = {(const uint8_t *)s->inlined, s->length};
	if (s->length > sizeof s->inlined)
		memcpy(&b.at, s->inlined + 4, sizeof b.at);
	return b;
}

static inline string string_of(bytes b) {
	string s = {(uint32_t)b.n, ""};
	memcpy(s.inlined, b.at, b.n <= sizeof s.inlined ? b.n : 4);
	if (b.n > sizeof s.inlined)
		memcpy(s.inlined + 4, &b.at, sizeof b.at);
	return s;
}

// A std::string of libstdc++.
struct text {
	const char *at;
	size_t length;
	union {
		char inside[16]; // where it is no longer than 15
		size_t room;
	};
};

// A StringPiece of RE2.
typedef struct {
	const char *at;
	size_t n;
} piece;

// The C interface.
extern uint64_t duckdb_data_chunk_get_size(void *chunk);
extern uint64_t duckdb_data_chunk_get_column_count(void *chunk);
extern void *duckdb_data_chunk_get_vector(void *chunk, uint64_t column);
extern void *duckdb_vector_get_data(void *vector);
extern uint64_t *duckdb_vector_get_validity(void *vector);
extern void duckdb_vector_ensure_validity_writable(void *vector);
extern void *duckdb_list_vector_get_child(void *vector);
extern int duckdb_list_vector_reserve(void *vector, uint64_t rows);
extern int duckdb_list_vector_set_size(void *vector, uint64_t rows);
extern int duckdb_get_type_id(void *type);

enum { type_varchar = 17 }; // DUCKDB_TYPE_VARCHAR

static inline bool valid(const uint64_t *validity, uint64_t row) { return !validity || validity[row / 64] >> row % 64 & 1; }

static inline void set_null(void *vector, uint64_t row) {
	duckdb_vector_ensure_validity_writable(vector);
	duckdb_vector_get_validity(vector)[row / 64] &= ~(UINT64_C(1) << row % 64);
}

// What it does not have.
extern void chunk_flatten(void *chunk) __asm__("_ZN6duckdb9DataChunk7FlattenEv");
extern bool chunk_all_constant(const void *chunk) __asm__("_ZNK6duckdb9DataChunk11AllConstantEv");
extern void vector_set_kind(void *vector, uint8_t kind) __asm__("_ZN6duckdb6Vector13SetVectorTypeENS_10VectorTypeE");
extern void strings_keep(void *vector, void *of) __asm__("_ZN6duckdb12StringVector16AddHeapReferenceERNS_6VectorES2_");

enum { flat_vector = 0, constant_vector = 2 };

// Of lower case: how long a text is then, and the text.
extern uint64_t lower_length(const char *at, uint64_t n) __asm__("_ZN6duckdb11LowerLengthEPKcm");
extern void lower_case(const char *at, uint64_t n, char *to) __asm__("_ZN6duckdb9LowerCaseEPKcmPc");

// Memory that is counted (blocks_linux.c); taking it throws where there is none.
extern void *take(size_t n) __asm__("_Znwm");
extern void give_back(void *p) __asm__("_ZdlPv");

// Scratch is memory that is kept from row to row, and given back with its block,
// also by a throw.
typedef struct {
	void *at;
	size_t n;
} scratch;

static inline void scratch_end(scratch *s) {
	if (s->at)
		give_back(s->at);
}

#define SCRATCH __attribute__((cleanup(scratch_end))) scratch

// scratch_of returns at least n bytes; what was in them is lost.
static inline void *scratch_of(scratch *s, size_t n) {
	if (n > s->n) {
		scratch_end(s);
		s->at = NULL;
		s->n = 0;
		s->at = take(n);
		s->n = n;
	}
	return s->at;
}
