// Which rows of an overlay a query may need, see chosen.go.

#include <stdlib.h>
#include <string.h>

#include "overlay.h"

static int64_t number_at(const cells *c, uint8_t width, uint64_t row) {
	switch (width) {
	case 1:
		return ((const int8_t *)c->data)[row];
	case 2:
		return ((const int16_t *)c->data)[row];
	case 4:
		return ((const int32_t *)c->data)[row];
	}
	return ((const int64_t *)c->data)[row];
}

static text text_at(const page *p, const cells *c, uint64_t row) {
	const uint8_t *at = c->data + row * 16;
	text t;
	memcpy(&t.size, at, sizeof t.size);
	t.bytes = (const char *)at + 4;
	if (t.size > inlined) {
		uint64_t place;
		memcpy(&place, at + 8, sizeof place);
		t.bytes = p->heap + place;
	}
	return t;
}

// compare has DuckDB's order of texts, that of their bytes.
static int compare(text a, text b) {
	uint32_t size = a.size < b.size ? a.size : b.size;
	int c = size ? memcmp(a.bytes, b.bytes, size) : 0;
	if (c)
		return c;
	return a.size < b.size ? -1 : a.size > b.size;
}

// overlay_bound_column finds the smallest and the largest value of a column.
void overlay_bound_column(page *p, uint64_t column, uint8_t width, uint8_t holds) {
	cells *c = &p->column[column];
	text least, most;
	c->bounded = 0;
	for (uint64_t row = 0; row < p->rows && holds != neither; row++) {
		if (c->null && c->null[row])
			continue;
		if (holds == numbers) {
			int64_t v = number_at(c, width, row);
			if (!c->bounded || v < c->least)
				c->least = v;
			if (!c->bounded || v > c->most)
				c->most = v;
		} else {
			text v = text_at(p, c, row);
			if (!c->bounded || compare(v, least) < 0) {
				least = v;
				c->least_at = row;
			}
			if (!c->bounded || compare(v, most) > 0) {
				most = v;
				c->most_at = row;
			}
		}
		c->bounded = 1;
	}
}

void overlay_new(overlay *o) { pthread_mutex_init(&o->mu, NULL); }
void overlay_old(overlay *o) { pthread_mutex_destroy(&o->mu); }

// beyond tells whether v lies above range i, before whether it lies below.
static bool beyond(const condition *w, uint64_t i, text v) {
	if (w->open[i] & no_most)
		return false;
	int c = compare(v, w->text[2 * i + 1]);
	return w->open[i] & below_most ? c >= 0 : c > 0;
}

static bool before(const condition *w, uint64_t i, text v) {
	if (w->open[i] & no_least)
		return false;
	int c = compare(v, w->text[2 * i]);
	return w->open[i] & above_least ? c <= 0 : c < 0;
}

// number_from returns the first range that does not end below v, text_from the
// same of texts.
static uint64_t number_from(const condition *w, int64_t v) {
	uint64_t from = 0, to = w->n;
	while (from < to) {
		uint64_t middle = (from + to) / 2;
		if (w->number[2 * middle + 1] < v)
			from = middle + 1;
		else
			to = middle;
	}
	return from;
}

static uint64_t text_from(const condition *w, text v) {
	uint64_t from = 0, to = w->n;
	while (from < to) {
		uint64_t middle = (from + to) / 2;
		if (beyond(w, middle, v))
			from = middle + 1;
		else
			to = middle;
	}
	return from;
}

// may tells whether some row of a page may have what is wanted.
static bool may(const condition *w, const page *p) {
	const cells *c = &p->column[w->column];
	uint64_t i;
	switch (w->kind) {
	case all_of:
		for (i = 0; i < w->n; i++)
			if (!may(w->of[i], p))
				return false;
		return true;
	case any_of:
		for (i = 0; i < w->n; i++)
			if (may(w->of[i], p))
				return true;
		return false;
	case number_in:
		if (!c->bounded)
			return false;
		i = number_from(w, c->least);
		return i < w->n && w->number[2 * i] <= c->most;
	default:
		if (!c->bounded)
			return false;
		i = text_from(w, text_at(p, c, c->least_at));
		return i < w->n && !before(w, i, text_at(p, c, c->most_at));
	}
}

#define RANGE(type)                                          \
	for (uint64_t row = 0; row < p->rows; row++) {       \
		int64_t v = ((const type *)c->data)[row];    \
		keep[row] = (v >= least) & (v <= most);      \
	}

// in_range is number_in of a single range.
static void in_range(const cells *c, const page *p, uint8_t width, int64_t least, int64_t most, uint8_t *keep) {
	switch (width) {
	case 1:
		RANGE(int8_t);
		break;
	case 2:
		RANGE(int16_t);
		break;
	case 4:
		RANGE(int32_t);
		break;
	default:
		RANGE(int64_t);
	}
}

// is is text_in of a single text: the first eight bytes of what lies in the
// column tell most of them apart, and all sixteen those that are short.
static void is(const cells *c, const page *p, text wanted, uint8_t *keep) {
	uint8_t as[16] = {0};
	uint64_t head, tail;
	memcpy(as, &wanted.size, sizeof wanted.size);
	memcpy(as + 4, wanted.bytes, wanted.size <= inlined ? wanted.size : 4);
	memcpy(&head, as, 8);
	memcpy(&tail, as + 8, 8);
	for (uint64_t row = 0; row < p->rows; row++) {
		uint64_t first, second;
		memcpy(&first, c->data + row * 16, 8);
		memcpy(&second, c->data + row * 16 + 8, 8);
		if (wanted.size <= inlined)
			keep[row] = (first == head) & (second == tail);
		else
			keep[row] = first == head && !memcmp(p->heap + second, wanted.bytes, wanted.size);
	}
}

// mark sets keep of each row of a page that has what is wanted to 1, of the
// others to 0.
static void mark(const condition *w, const overlay *o, const page *p, uint8_t *keep) {
	const cells *c = &p->column[w->column];
	uint8_t one[page_rows];
	switch (w->kind) {
	case all_of:
	case any_of:
		memset(keep, w->kind == all_of, p->rows);
		for (uint64_t i = 0; i < w->n; i++) {
			mark(w->of[i], o, p, one);
			for (uint64_t row = 0; row < p->rows; row++)
				keep[row] = w->kind == all_of ? keep[row] & one[row] : keep[row] | one[row];
		}
		return;
	case number_in:
		if (w->n == 1) {
			in_range(c, p, o->column[w->column].width, w->number[0], w->number[1], keep);
			break;
		}
		for (uint64_t row = 0; row < p->rows; row++) {
			int64_t v = number_at(c, o->column[w->column].width, row);
			uint64_t i = number_from(w, v);
			keep[row] = i < w->n && w->number[2 * i] <= v;
		}
		break;
	default:
		if (w->n == 1 && !w->open[0] && !compare(w->text[0], w->text[1])) {
			is(c, p, w->text[0], keep);
			break;
		}
		for (uint64_t row = 0; row < p->rows; row++) {
			text v = text_at(p, c, row);
			uint64_t i = text_from(w, v);
			keep[row] = i < w->n && !before(w, i, v);
		}
	}
	if (c->null)
		for (uint64_t row = 0; row < p->rows; row++)
			keep[row] &= !c->null[row];
}

// overlay_choose_rows marks the rows of a page, and tells whether all of them are.
bool overlay_choose_rows(const condition *where, const overlay *o, const page *p, uint8_t *keep) {
	mark(where, o, p, keep);
	return !memchr(keep, 0, p->rows);
}

// overlay_choose finds the pages whose bounds leave room for what is wanted.
chosen *overlay_choose(overlay *o, const condition *where) {
	uint32_t *found = malloc((o->pages + 1) * sizeof *found);
	if (!found)
		return NULL;
	uint64_t n = 0, rows = 0;
	for (uint64_t i = 0; i < o->pages; i++)
		if (may(where, o->page[i])) {
			found[n++] = i;
			rows += o->page[i]->rows;
		}
	chosen *c = calloc(1, sizeof *c + n * sizeof *found);
	if (c) {
		c->of = o;
		c->where = where;
		c->pages = n;
		c->rows = rows;
		memcpy(c->page, found, n * sizeof *found);
	}
	free(found);
	return c;
}

// overlay_chosen_rows counts the rows.
uint64_t overlay_chosen_rows(const chosen *c) {
	uint64_t n = 0;
	uint8_t keep[page_rows];
	for (uint64_t i = 0; i < c->pages; i++) {
		const page *p = c->of->page[c->page[i]];
		mark(c->where, c->of, p, keep);
		for (uint64_t row = 0; row < p->rows; row++)
			n += keep[row];
	}
	return n;
}

// overlay_attach has the scans of one connection read what is chosen, until overlay_detach.
void overlay_attach(overlay *o, chosen *c, uint64_t connection) {
	pthread_mutex_lock(&o->mu);
	c->connection = connection;
	c->next = o->first;
	o->first = c;
	pthread_mutex_unlock(&o->mu);
}

void overlay_detach(overlay *o, chosen *c) {
	pthread_mutex_lock(&o->mu);
	for (chosen **at = &o->first; *at; at = &(*at)->next)
		if (*at == c) {
			*at = c->next;
			break;
		}
	pthread_mutex_unlock(&o->mu);
}

const chosen *overlay_chosen_for(overlay *o, uint64_t connection) {
	pthread_mutex_lock(&o->mu);
	const chosen *c = o->first;
	while (c && c->connection != connection)
		c = c->next;
	pthread_mutex_unlock(&o->mu);
	return c;
}
