#include <stdint.h>

// How many bytes all large blocks of DuckDB may have together, and how many they
// have.
void blocks_limit(int64_t bytes);
int64_t blocks_held(void);
