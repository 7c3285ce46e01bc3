package server

import (
	"math"
	"testing"
)

// TestConnections: idle connections leave files and memory to those who must
// write.
func TestConnections(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		limit int64
		files uint64
		want  int
	}{
		{512 << 20, 1 << 20, 1408}, // by memory, three quarters of which are ours but for the kernel's
		{512 << 20, 1024, 512},     // by files
		{512 << 20, 100, 50},
		{512 << 20, 0, 8},
		{64 << 30, math.MaxUint64, 16 << 10},
	} {
		if got := divide(c.limit, true).connections(c.files); got != c.want {
			t.Errorf("%d MiB and %d files: %d connections, want %d", c.limit>>20, c.files, got, c.want)
		}
	}
}
