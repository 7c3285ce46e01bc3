package hugepage

import (
	"testing"
	"unsafe"
)

// TestAdvise has slices of many lengths keep what they hold, whatever the
// system makes of the advice.
func TestAdvise(t *testing.T) {
	t.Parallel()
	if s := Advise[uint64](nil); s != nil {
		t.Errorf("of nothing: %v", s)
	}
	for _, n := range []int{1, size / 8, least/8 - 1, least / 8, least/8 + 1, least} {
		s := make([]uint64, n)
		s[0], s[n-1] = 7, 9
		got := Advise(s)
		if unsafe.SliceData(got) != unsafe.SliceData(s) || len(got) != n || got[n-1] != 9 || n > 1 && got[0] != 7 {
			t.Errorf("a slice of %d is another one", n)
		}
		for i := range got[:n-1] {
			if i > 0 && got[i] != 0 {
				t.Fatalf("element %d of %d is %d", i, n, got[i])
			}
		}
	}
}
