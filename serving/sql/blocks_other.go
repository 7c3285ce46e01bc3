//go:build !linux

package sql

// LimitBlocks does nothing where C++'s memory cannot be counted.
func LimitBlocks(int64, int64) {}

func blocksHeld() int64 { return 0 }
