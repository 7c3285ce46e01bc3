package sql

/*
#cgo CFLAGS: -fexceptions
#cgo LDFLAGS: -Wl,--wrap=duckdb_je_malloc -Wl,--wrap=duckdb_je_realloc -Wl,--wrap=duckdb_je_free
#include "blocks.h"
*/
import "C"

// LimitBlocks bounds what DuckDB takes in this process in large blocks (from
// 1 MiB on), in bytes, whichever of its databases asks: what does not fit is
// refused to the query that wants it. DuckDB's own memory_limit does not see
// constants that it computes beforehand, nor what functions put their results
// together in, and list_resize([1], 3000000000) alone took 17 GB beside a limit
// of two (docs/proposals/032). One call of a function may have ofCall of them:
// what fills memory for long cannot be interrupted meanwhile.
func LimitBlocks(bytes, ofCall int64) { C.blocks_limit(C.int64_t(bytes), C.int64_t(ofCall)) }

// blocksHeld is how many bytes there are in large blocks.
func blocksHeld() int64 { return int64(C.blocks_held()) }
