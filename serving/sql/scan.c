// The table function that reads an overlay, see scan.go.

#include <stdlib.h>
#include <string.h>

#include "overlay.h"

// What is used of DuckDB's C interface, with which the driver links.
extern void *duckdb_bind_get_parameter(void *info, uint64_t index);
extern int64_t duckdb_get_int64(void *value);
extern void duckdb_destroy_value(void **value);
extern void *duckdb_create_logical_type(int type);
extern void *duckdb_create_decimal_type(uint8_t width, uint8_t scale);
extern void duckdb_destroy_logical_type(void **type);
extern void duckdb_table_function_get_client_context(void *info, void **context);
extern uint64_t duckdb_client_context_get_connection_id(void *context);
extern void duckdb_destroy_client_context(void **context);
extern void duckdb_bind_add_result_column(void *info, const char *name, void *type);
extern void duckdb_bind_set_cardinality(void *info, uint64_t rows, bool exact);
extern void duckdb_bind_set_bind_data(void *info, void *data, void (*destroy)(void *));
extern void duckdb_bind_set_error(void *info, const char *error);
extern void *duckdb_init_get_bind_data(void *info);
extern uint64_t duckdb_init_get_column_count(void *info);
extern uint64_t duckdb_init_get_column_index(void *info, uint64_t column);
extern void duckdb_init_set_init_data(void *info, void *data, void (*destroy)(void *));
extern void duckdb_init_set_max_threads(void *info, uint64_t threads);
extern void *duckdb_function_get_init_data(void *info);
extern void *duckdb_function_get_local_init_data(void *info);
extern uint64_t duckdb_vector_size(void);
extern void *duckdb_data_chunk_get_vector(void *chunk, uint64_t column);
extern void duckdb_data_chunk_set_size(void *chunk, uint64_t rows);
extern void *duckdb_vector_get_data(void *vector);
extern uint64_t *duckdb_vector_get_validity(void *vector);
extern void duckdb_vector_ensure_validity_writable(void *vector);
extern void duckdb_unsafe_vector_assign_string_element_len(void *vector, uint64_t row, const char *bytes, uint64_t n);

// What a thread takes at once.
enum { unit = 16 };

// bound is a scan in a plan.
typedef struct {
	const overlay *o;
	const chosen *c; // NULL: all rows
} bound;

typedef struct {
	const overlay *o;
	const chosen *c;
	uint64_t pages; // that are to be read
	uint64_t next;  // the first of them that no thread has taken
	uint64_t columns;
	uint64_t column[];
} all_threads;

typedef struct {
	uint64_t page, end, row;
	bool begun, all; // the page at hand is looked at; all its rows are chosen
	uint8_t keep[page_rows];
} one_thread;

void overlay_scan_bind(void *info) {
	void *address = duckdb_bind_get_parameter(info, 0), *context;
	overlay *o = *(overlay **)duckdb_get_int64(address);
	duckdb_destroy_value(&address);
	for (uint64_t i = 0; i < o->columns; i++) {
		const column_of *c = &o->column[i];
		void *type = c->precision ? duckdb_create_decimal_type(c->precision, c->scale) : duckdb_create_logical_type(c->type);
		duckdb_bind_add_result_column(info, c->name, type);
		duckdb_destroy_logical_type(&type);
	}
	bound *b = malloc(sizeof *b);
	if (!b) {
		duckdb_bind_set_error(info, "Out of Memory Error: no memory to scan with");
		return;
	}
	duckdb_table_function_get_client_context(info, &context);
	b->o = o;
	b->c = overlay_chosen_for(o, duckdb_client_context_get_connection_id(context));
	duckdb_destroy_client_context(&context);
	duckdb_bind_set_cardinality(info, b->c ? b->c->rows : o->rows, true);
	duckdb_bind_set_bind_data(info, b, free);
}

void overlay_scan_init(void *info) {
	const bound *b = duckdb_init_get_bind_data(info);
	uint64_t n = duckdb_init_get_column_count(info);
	all_threads *a = malloc(sizeof(all_threads) + n * sizeof(uint64_t));
	a->o = b->o;
	a->c = b->c;
	a->pages = b->c ? b->c->pages : b->o->pages;
	a->next = 0;
	a->columns = n;
	for (uint64_t i = 0; i < n; i++)
		a->column[i] = duckdb_init_get_column_index(info, i);
	duckdb_init_set_init_data(info, a, free);
	duckdb_init_set_max_threads(info, a->pages / unit + 1);
}

void overlay_scan_thread(void *info) {
	duckdb_init_set_init_data(info, calloc(1, sizeof(one_thread)), free);
}

// copy puts n rows of a page, from row on, into a vector from place at on.
static void copy(const column_of *c, const page *p, const cells *from, uint64_t row, uint64_t n, void *vector, uint64_t at) {
	uint8_t *data = duckdb_vector_get_data(vector);
	const uint8_t *in = from->data + row * c->width;
	memcpy(data + at * c->width, in, n * c->width);
	if (c->holds == texts) {
		for (uint64_t i = 0; i < n; i++) {
			uint32_t size;
			uint64_t place;
			memcpy(&size, in + i * 16, sizeof size);
			if (size <= inlined)
				continue;
			memcpy(&place, in + i * 16 + 8, sizeof place);
			duckdb_unsafe_vector_assign_string_element_len(vector, at + i, p->heap + place, size);
		}
	}
	if (!from->null)
		return;
	duckdb_vector_ensure_validity_writable(vector);
	uint64_t *valid = duckdb_vector_get_validity(vector);
	for (uint64_t i = 0; i < n; i++)
		if (from->null[row + i])
			valid[(at + i) / 64] &= ~(1ULL << (at + i) % 64);
}

// run returns how many rows follow each other from the first one that is chosen
// at or behind t->row, where it goes.
static uint64_t run(const all_threads *a, one_thread *t, const page *p) {
	if (!a->c)
		return p->rows - t->row;
	if (!t->begun) {
		t->all = overlay_choose_rows(a->c->where, a->o, p, t->keep);
		t->begun = true;
	}
	if (t->all)
		return p->rows - t->row;
	while (t->row < p->rows && !t->keep[t->row])
		t->row++;
	uint64_t end = t->row;
	while (end < p->rows && t->keep[end])
		end++;
	return end - t->row;
}

void overlay_scan(void *info, void *out) {
	all_threads *a = duckdb_function_get_init_data(info);
	one_thread *t = duckdb_function_get_local_init_data(info);
	const overlay *o = a->o;
	uint64_t most = duckdb_vector_size(), n = 0;
	while (n < most) {
		if (t->page == t->end) {
			t->page = __atomic_fetch_add(&a->next, unit, __ATOMIC_RELAXED);
			t->end = t->page + unit < a->pages ? t->page + unit : a->pages;
			t->row = 0;
			t->begun = false;
			if (t->page >= a->pages) {
				t->end = t->page;
				break;
			}
		}
		const page *p = o->page[a->c ? a->c->page[t->page] : t->page];
		uint64_t take = run(a, t, p);
		if (take > most - n)
			take = most - n;
		for (uint64_t i = 0; i < a->columns && take; i++)
			if (a->column[i] < o->columns) // else nobody looks at it: rows are only counted
				copy(&o->column[a->column[i]], p, &p->column[a->column[i]], t->row, take, duckdb_data_chunk_get_vector(out, i), n);
		n += take;
		if ((t->row += take) == p->rows) {
			t->page++;
			t->row = 0;
			t->begun = false;
		}
	}
	duckdb_data_chunk_set_size(out, n);
}
