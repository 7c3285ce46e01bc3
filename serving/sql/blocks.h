#include <stdbool.h>
#include <stdint.h>

// How many bytes all large blocks of DuckDB may have together, with the small
// pieces of queries, and how many they have without.
void blocks_limit(int64_t bytes, int64_t of_call);
int64_t blocks_held(void);
int64_t blocks_most(void);

// For tests: so many more large blocks are had, and then none; -1: as many as there is
// room for.
void blocks_left(int64_t n);

// Of the call of a function that this thread is in, if it is in one: whether it
// is to fail because its query was interrupted; whether it may take so many more
// bytes of large blocks, if it may have so many; and that it took them.
bool call_interrupted(void);
bool call_fits(int64_t more, int64_t most);
void call_holds(int64_t more);

// pieces_hold counts so many more bytes of small pieces for the query that this
// thread works for (pieces_linux.c).
void pieces_hold(int64_t more);
