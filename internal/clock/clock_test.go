package clock

import (
	"testing"
	"time"
)

func TestManualWakesOnlyWhatIsDue(t *testing.T) {
	t.Parallel()
	m := NewManual(time.Unix(100, 0))
	soon, late := m.After(time.Second), m.After(time.Minute)
	m.Advance(2 * time.Second)
	select {
	case at := <-soon:
		if !at.Equal(time.Unix(102, 0)) {
			t.Fatal(at)
		}
	default:
		t.Fatal("not woken")
	}
	select {
	case <-late:
		t.Fatal("woken too early")
	default:
	}
}
