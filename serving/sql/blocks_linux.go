package sql

/*
#cgo CFLAGS: -fexceptions
#cgo LDFLAGS: -Wl,--wrap=duckdb_je_malloc -Wl,--wrap=duckdb_je_realloc -Wl,--wrap=duckdb_je_free
#cgo LDFLAGS: -Wl,--wrap=malloc -Wl,--wrap=calloc -Wl,--wrap=realloc -Wl,--wrap=free
#include "blocks.h"
#include "pieces.h"
*/
import "C"

import bindings "github.com/duckdb/duckdb-go-bindings"

// LimitBlocks bounds what DuckDB takes in this process in large blocks (from
// 1 MiB on) and queries have in small pieces, in bytes, whichever of its databases
// asks: what does not fit is refused to the query that wants it. DuckDB's own memory_limit does not see
// constants that it computes beforehand, nor what functions put their results
// together in, and list_resize([1], 3000000000) alone took 17 GB beside a limit
// of two (docs/proposals/032). One call of a function may have ofCall of them:
// what fills memory for long cannot be interrupted meanwhile. A query may have a
// quarter of that in small pieces in any case (docs/proposals/038).
func LimitBlocks(bytes, ofCall int64) {
	C.blocks_limit(C.int64_t(bytes), C.int64_t(ofCall))
	C.pieces_limit(C.int64_t(ofCall / 4))
}

// blocksHeld is how many bytes there are in large blocks.
func blocksHeld() int64 { return int64(C.blocks_held()) }

// piecesBegin and piecesEnd bracket what DuckDB does for a query: what it takes in
// small pieces is counted in between.
func piecesBegin(c bindings.Connection) { C.pieces_begin(c.Ptr) }
func piecesEnd(c bindings.Connection)   { C.pieces_end(c.Ptr) }

// piecesHeld is how many bytes queries have in small pieces.
func piecesHeld() int64 { return int64(C.pieces_held()) }

// leaveBlocks has so many more large blocks be had, and then none; with a negative
// number as many as there is room for. It is for tests.
func leaveBlocks(n int64) { C.blocks_left(C.int64_t(n)) }
