#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "calls.h"
#include "engine.h"
#include "replaced.h"
#include "search.h"

// string_split and replace, in place of DuckDB's, which compare a long part with
// each place of a long text.

// A list in a vector, and all texts of its lists.
typedef struct {
	void *vector, *child;
	string *parts;
	uint64_t n, room;
} lists;

static void add(lists *l, bytes b) {
	if (l->n == l->room) {
		l->room = l->room ? 2 * l->room : 2048;
		duckdb_list_vector_set_size(l->vector, l->n);
		duckdb_list_vector_reserve(l->vector, l->room);
		l->parts = duckdb_vector_get_data(l->child);
	}
	l->parts[l->n++] = string_of(b);
}

// split adds the parts of a text between separators; with an empty one, its
// characters.
static void split(lists *l, bytes text, bytes separator) {
	while (text.n) {
		call_stepped(64);
		size_t at = find(text, separator);
		if (at == nowhere)
			break;
		if (!separator.n) {
			for (at = 1; at < text.n && (text.at[at] & 0xc0) == 0x80;)
				at++;
			if (at == text.n)
				break;
		}
		add(l, (bytes){text.at, at});
		text.at += at + separator.n;
		text.n -= at + separator.n;
	}
	add(l, text);
}

static void run_split(void *info, void *chunk, void *result) {
	struct {
		uint64_t offset, length;
	} *entries = duckdb_vector_get_data(result);
	void *texts = duckdb_data_chunk_get_vector(chunk, 0), *separators = duckdb_data_chunk_get_vector(chunk, 1);
	const string *text = duckdb_vector_get_data(texts), *separator = duckdb_vector_get_data(separators);
	const uint64_t *text_validity = duckdb_vector_get_validity(texts), *separator_validity = duckdb_vector_get_validity(separators);
	lists l = {.vector = result, .child = duckdb_list_vector_get_child(result)};
	for (uint64_t row = 0; row < duckdb_data_chunk_get_size(chunk); row++) {
		entries[row].offset = l.n;
		if (!valid(text_validity, row))
			set_null(result, row);
		else if (!valid(separator_validity, row))
			add(&l, bytes_of(&text[row]));
		else
			split(&l, bytes_of(&text[row]), bytes_of(&separator[row]));
		entries[row].length = l.n - entries[row].offset;
	}
	duckdb_list_vector_set_size(result, l.n);
	strings_keep(l.child, texts); // where those parts are that are not inlined
}

extern void duckdb_unsafe_vector_assign_string_element_len(void *vector, uint64_t row, const char *at, uint64_t n);

// replaced has another text in each place of a part.
static bytes replaced(bytes text, bytes part, bytes other, scratch *s) {
	size_t n = 0;
	for (bytes rest = text; part.n;) {
		call_stepped(64);
		size_t at = find(rest, part);
		if (at == nowhere)
			break;
		rest.at += at + part.n;
		rest.n -= at + part.n;
		n++;
	}
	if (!n)
		return text;
	size_t length = text.n - n * part.n + n * other.n;
	if (length > UINT32_MAX)
		call_refuse(CALL_TOO_LONG ": replace would make a text of %zu bytes", length);
	uint8_t *to = scratch_of(s, length + 1);
	bytes made = {to, length};
	for (; n; n--) {
		call_stepped(64);
		size_t at = find(text, part);
		memcpy(to, text.at, at);
		memcpy(to + at, other.at, other.n);
		to += at + other.n;
		text.at += at + part.n;
		text.n -= at + part.n;
	}
	memcpy(to, text.at, text.n);
	return made;
}

static void run_replace(void *info, void *chunk, void *result) {
	const string *of[3];
	const uint64_t *validity[3];
	for (uint64_t c = 0; c < 3; c++) {
		void *vector = duckdb_data_chunk_get_vector(chunk, c);
		of[c] = duckdb_vector_get_data(vector);
		validity[c] = duckdb_vector_get_validity(vector);
	}
	SCRATCH s = {0};
	for (uint64_t row = 0; row < duckdb_data_chunk_get_size(chunk); row++)
		if (!valid(validity[0], row) || !valid(validity[1], row) || !valid(validity[2], row))
			set_null(result, row);
		else {
			bytes b = replaced(bytes_of(&of[0][row]), bytes_of(&of[1][row]), bytes_of(&of[2][row]), &s);
			duckdb_unsafe_vector_assign_string_element_len(result, row, (const char *)b.at, b.n);
		}
}

void *replace_function(void) { return (void *)run_replace; }
void *string_split_function(void) { return (void *)run_split; }
