//go:build !linux

package sql

// GiveBack does nothing: DuckDB brings an allocator of its own on Linux only.
func GiveBack() {}
