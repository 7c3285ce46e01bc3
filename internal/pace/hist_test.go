package pace

import (
	"encoding/json"
	"testing"
	"time"
)

func TestQuantilesAreRightToABucket(t *testing.T) {
	t.Parallel()
	var m Meter
	for i := range 1000 {
		m.Observe(time.Duration(i+1) * 100 * time.Microsecond)
	}
	var h Hist
	m.Take(&h)
	if h.N() != 1000 {
		t.Fatal(h.N())
	}
	for q, want := range map[float64]time.Duration{0.5: 50 * time.Millisecond, 0.99: 99 * time.Millisecond, 1: 100 * time.Millisecond} {
		if got := h.Quantile(q); got < want || float64(got) > 1.07*float64(want) {
			t.Errorf("quantile %v is %s, want %s", q, got, want)
		}
	}
	if got := h.Above(90 * time.Millisecond); got > 100 || got < 40 {
		t.Errorf("%v delays above 90 ms, want a hundred but for those of its bucket", got)
	}
	m.Take(&h)
	if h.N() != 1000 {
		t.Error("delays are taken twice")
	}
	text, err := json.Marshal(&h)
	var back Hist
	if err != nil || json.Unmarshal(text, &back) != nil || back != h {
		t.Errorf("%s does not read as what it was, %v", text, err)
	}
	for _, bad := range []string{`[999,1]`, `[-1,1]`, `[1,-1]`, `{}`} {
		if json.Unmarshal([]byte(bad), &back) == nil {
			t.Errorf("%s is read", bad)
		}
	}
	for _, d := range []time.Duration{-time.Second, 0, time.Nanosecond, 1000 * time.Hour} {
		h.Add(d) // within the buckets
	}
}
