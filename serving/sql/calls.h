#include <stdint.h>

// Which functions fail well, as calls_linux.go says it; names stays where it is.
void calls_fail_well(const char *names);

// For tests: what calls ask from the check with this number on fails, as it does
// when their query is interrupted. INT64_MAX: nothing does, and nothing is counted.
void calls_fail_from(int64_t check);
int64_t calls_checked(void);
