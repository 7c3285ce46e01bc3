package processors

import (
	"runtime"
	"testing"
)

func TestWiden(t *testing.T) {
	before := runtime.GOMAXPROCS(0)
	defer runtime.GOMAXPROCS(before)
	if Count() != before {
		t.Errorf("%d processors, Go has %d places from the beginning", Count(), before)
	}
	if n := ButOne(); n < 1 || n != before-1 && before > 1 {
		t.Errorf("%d of %d processors leave one", n, before)
	}
	t.Setenv("GOMAXPROCS", "1")
	Widen()
	if now := runtime.GOMAXPROCS(0); now != before {
		t.Errorf("set by hand to %d, became %d", before, now)
	}
	t.Setenv("GOMAXPROCS", "")
	for range 2 {
		Widen()
		if now := runtime.GOMAXPROCS(0); now != before+spare || Count() != before {
			t.Errorf("%d places, %d processors", now, Count())
		}
	}
}
