//go:build !linux

package sql

import bindings "github.com/duckdb/duckdb-go-bindings"

// LimitBlocks does nothing where C++'s memory cannot be counted.
func LimitBlocks(int64, int64) {}

func blocksHeld() int64 { return 0 }

func piecesBegin(bindings.Connection) {}
func piecesEnd(bindings.Connection)   {}
