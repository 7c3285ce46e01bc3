#include <stdbool.h>
// weigh_planned refuses a result of a call that is too much for a plan, while one
// is made (weigh_linux.c).
void weigh_planned(void *result, uint64_t rows);

// weigh_planning tells whether this thread is planning a query.
bool weigh_planning(void);
