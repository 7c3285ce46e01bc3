#include <stdbool.h>
#include <stdint.h>

// pieces_begin and pieces_end bracket what DuckDB does for a query on a
// connection: its small pieces are counted in between.
void pieces_begin(void *connection);
void pieces_end(void *connection);

// pieces_limit says how many bytes of them a query may have in any case; with more
// it is refused when there are too many of all (blocks_limit).
void pieces_limit(int64_t of_query);

// pieces_held is how many bytes queries have of them.
int64_t pieces_held(void);

// pieces_for says for which query this thread works from now on, by its
// ClientContext; and pieces_refused whether that is to end for what it has taken.
void pieces_for(const void *query);
bool pieces_refused(const void *query);
