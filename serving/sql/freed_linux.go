package sql

/*
#include <stdbool.h>
#include <stddef.h>

// DuckDB's allocator, where DuckDB was built with its own.
extern int duckdb_je_mallctl(const char *name, void *old, size_t *old_length, void *new, size_t new_length) __attribute__((weak));

static void give_back(void) {
	bool yes = true;
	if (duckdb_je_mallctl)
		duckdb_je_mallctl("background_thread", NULL, NULL, &yes, sizeof yes);
}
*/
import "C"

// GiveBack makes DuckDB's allocator give what queries have freed back to the
// system within seconds, by threads of its own: without them it does so only
// when it is asked for more, and keeps a gigabyte of a query that is long gone.
// DuckDB has a setting for that, but turns it off for the whole process whenever
// one of its databases is closed. Doing it again costs nothing.
func GiveBack() { C.give_back() }
