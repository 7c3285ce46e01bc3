#include <stdbool.h>
#include <stdint.h>

#include "calls.h"
#include "trees.h"

// Before the first row of a window is evaluated, DuckDB builds a tree of the states of
// its aggregate over all rows of a partition, in one step: of a histogram over ten
// million rows in a minute, and of 10 GB. The tree holds its states, and destroys them
// however that ends, so the step may fail where it asks for memory. But the threads of
// a partition wait for each other, and some would for ever for one that has failed. So
// a partition is worked on by one.

// Whether this thread has made the collections of the rows of partitions, and asks next
// how many threads there are for them.
static _Thread_local bool partitions;

// WindowCollection::WindowCollection.
#define COLLECTION "_ZN6duckdb16WindowCollectionC1ERNS_13BufferManagerEmRKNS_6vectorINS_11LogicalTypeELb1ESaIS4_EEE"

extern void real_collection(void *collection, void *buffers, uint64_t rows, const void *types) __asm__("__real_" COLLECTION);
void wrap_collection(void *collection, void *buffers, uint64_t rows, const void *types) __asm__("__wrap_" COLLECTION);

void wrap_collection(void *collection, void *buffers, uint64_t rows, const void *types) {
	real_collection(collection, buffers, rows, types);
	partitions = true;
}

// TaskScheduler::NumberOfThreads.
#define THREADS "_ZN6duckdb13TaskScheduler15NumberOfThreadsEv"

extern int32_t real_threads(void *scheduler) __asm__("__real_" THREADS);
int32_t wrap_threads(void *scheduler) __asm__("__wrap_" THREADS);

int32_t wrap_threads(void *scheduler) {
	if (!partitions)
		return real_threads(scheduler);
	partitions = false;
	return 1;
}

// Whether this step is building trees.
static _Thread_local bool building;

// WindowCollection::Combine, which comes before that.
#define COMBINE "_ZN6duckdb16WindowCollection7CombineERKSt13unordered_setImSt4hashImESt8equal_toImESaImEE"

extern void real_combine(void *collection, const void *columns) __asm__("__real_" COMBINE);
void wrap_combine(void *collection, const void *columns) __asm__("__wrap_" COMBINE);

void wrap_combine(void *collection, const void *columns) {
	real_combine(collection, columns);
	building = true;
	call_fails_well(true);
}

// ArenaAllocator::ArenaAllocator, which comes before the states of another tree are made,
// in the middle of which the step must not fail.
#define ARENA "_ZN6duckdb14ArenaAllocatorC1ERNS_9AllocatorEm"

extern void real_arena(void *arena, void *allocator, uint64_t first) __asm__("__real_" ARENA);
void wrap_arena(void *arena, void *allocator, uint64_t first) __asm__("__wrap_" ARENA);

void wrap_arena(void *arena, void *allocator, uint64_t first) {
	if (building)
		call_fails_well(false);
	real_arena(arena, allocator, first);
}

void trees_scanned(void) {
	if (building)
		call_fails_well(true);
}

void trees_built(void) {
	if (building)
		call_fails_well(false);
	building = false;
}
