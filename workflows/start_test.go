package workflows

import (
	"strings"
	"testing"
)

// A key is part of the id of a run, which travels in a header of gRPC.
func TestKeysAreASCIIInIDsAndStayApart(t *testing.T) {
	t.Parallel()
	seen := map[string]string{}
	for _, key := range []string{"nightly-2011-08-31", "nächtlich", "nachtlich", "nöchtlich", "夜", strings.Repeat("夜", 100) + "1", strings.Repeat("夜", 100) + "2", strings.Repeat("x", 250), strings.Repeat("x", 251), "\xff", "a\x00b"} {
		id := safe(key)
		if other, ok := seen[id]; ok {
			t.Errorf("%q and %q are both %s", key, other, id)
		}
		seen[id] = key
		if len(id) > 200 || strings.ContainsFunc(id, func(c rune) bool { return c <= ' ' || c > '~' }) {
			t.Errorf("%q: %q", key, id)
		}
	}
	if safe("nightly-2011-08-31") != "nightly-2011-08-31" {
		t.Error("a plain key is no longer itself")
	}
}
