// What an overlay is to the scan that reads it, see scan.go and chosen.go.

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

// The most rows of a page that a scan reads.
enum { page_rows = 256 };

// How long a text may be that lies in place of its address.
enum { inlined = 12 };

// cells are one column of a page, as DuckDB lays its values out; a text that is
// not inlined has its place in the heap where DuckDB has an address.
typedef struct {
	uint8_t *data;
	uint8_t *null; // a byte for each row; none where no row is null
	// Where the smallest and the largest value are, and these themselves if
	// they are numbers; bounded is 0 where there are none but nulls.
	int64_t least, most;
	uint16_t least_at, most_at;
	uint8_t bounded;
} cells;

typedef struct {
	uint64_t rows;
	char *heap;
	cells column[];
} page;

// What a column holds, as far as values are compared here.
enum holds { neither, numbers, texts };

typedef struct {
	char *name;
	int32_t type;
	uint8_t precision, scale;
	uint8_t width; // bytes of a value
	uint8_t holds;
} column_of;

typedef struct chosen chosen;

// overlay is what a scan reads: rows in pages, in order.
typedef struct {
	uint64_t rows, pages, columns;
	page **page;
	pthread_mutex_t mu; // guards first
	chosen *first;      // what its present readers need
	column_of column[];
} overlay;

// text is bytes, and what is outside of them.
typedef struct {
	const char *bytes;
	uint32_t size;
} text;

// condition is what a row must have to matter: all or any of other conditions,
// or a column in one of n ranges, which are in order and apart.
enum kind { all_of, any_of, number_in, text_in };

typedef struct condition {
	int32_t kind;
	uint32_t column;
	uint64_t n;
	struct condition **of; // all_of, any_of
	int64_t *number;       // number_in: least and most of each range
	text *text;            // text_in: least and most of each range
	uint8_t *open;         // text_in: which of the two are left out, and there at all
} condition;

enum open { no_least = 1, above_least = 2, no_most = 4, below_most = 8 };

// chosen is what of an overlay the query on one connection needs.
struct chosen {
	chosen *next;
	const overlay *of;
	uint64_t connection;
	const condition *where;
	uint64_t rows, pages; // that may have some: the pages with all their rows
	uint32_t page[];
};

void overlay_new(overlay *o);
void overlay_old(overlay *o);
void overlay_bound_column(page *p, uint64_t column, uint8_t width, uint8_t holds);
chosen *overlay_choose(overlay *o, const condition *where);
void overlay_attach(overlay *o, chosen *c, uint64_t connection);
void overlay_detach(overlay *o, chosen *c);
const chosen *overlay_chosen_for(overlay *o, uint64_t connection);
bool overlay_choose_rows(const condition *where, const overlay *o, const page *p, uint8_t *keep);
uint64_t overlay_chosen_rows(const chosen *c);
