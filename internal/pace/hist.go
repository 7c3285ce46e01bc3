package pace

import (
	"encoding/json"
	"fmt"
	"math"
	"sync/atomic"
	"time"
)

// Buckets grow by a twelfth of a doubling, six in a hundred, from 50 µs to
// some minutes: a 99th percentile is told from one half as long again.
const (
	perDoubling = 12
	buckets     = 22 * perDoubling
	shortest    = 50 * time.Microsecond
)

func bucketOf(d time.Duration) int {
	if d <= shortest {
		return 0
	}
	return min(int(perDoubling*math.Log2(float64(d)/float64(shortest))), buckets-1)
}

// from returns where a bucket begins.
func from(bucket int) time.Duration {
	if bucket == 0 {
		return 0
	}
	return time.Duration(float64(shortest) * math.Exp2(float64(bucket)/perDoubling))
}

// Hist counts delays. Counts are no integers, because what is old counts less.
type Hist [buckets]float64

// Add counts one delay.
func (h *Hist) Add(d time.Duration) { h[bucketOf(d)]++ }

// Merge adds the counts of another.
func (h *Hist) Merge(o *Hist) {
	for i, n := range o {
		h[i] += n
	}
}

// Scale multiplies all counts.
func (h *Hist) Scale(by float64) {
	for i := range h {
		h[i] *= by
	}
}

// N returns how many delays there are.
func (h *Hist) N() (n float64) {
	for _, c := range h {
		n += c
	}
	return n
}

// Above returns how many delays are longer than d, to the width of a bucket.
func (h *Hist) Above(d time.Duration) (n float64) {
	for i := bucketOf(d) + 1; i < buckets; i++ {
		n += h[i]
	}
	return n
}

// Quantile returns the delay that the share q of all delays does not exceed,
// to the width of a bucket; 0 when there is none.
func (h *Hist) Quantile(q float64) time.Duration {
	rank := q * h.N()
	for i, n := range h {
		if rank -= n; n > 0 && rank <= 1e-9 {
			return from(i + 1)
		}
	}
	return 0
}

// MarshalJSON writes the buckets that hold something: [bucket, count, ...].
func (h *Hist) MarshalJSON() ([]byte, error) {
	out := []float64{}
	for i, n := range h {
		if n > 0 {
			out = append(out, float64(i), n)
		}
	}
	return json.Marshal(out)
}

// UnmarshalJSON reads what MarshalJSON wrote.
func (h *Hist) UnmarshalJSON(text []byte) error {
	var in []float64
	if err := json.Unmarshal(text, &in); err != nil {
		return err
	}
	*h = Hist{}
	for ; len(in) >= 2; in = in[2:] {
		if i := int(in[0]); i < 0 || i >= buckets || !(in[1] >= 0) {
			return fmt.Errorf("bucket %v with %v delays", in[0], in[1])
		}
		h[int(in[0])] = in[1]
	}
	return nil
}

// Meter counts delays for whoever takes them. A nil Meter counts nothing. It
// is safe for concurrent use.
type Meter struct {
	counts [buckets]atomic.Uint32
}

// Observe counts one delay.
func (m *Meter) Observe(d time.Duration) {
	if m != nil {
		m.counts[bucketOf(d)].Add(1)
	}
}

// Take adds what was counted since the last Take to a Hist.
func (m *Meter) Take(to *Hist) {
	for i := range m.counts {
		if m.counts[i].Load() > 0 {
			to[i] += float64(m.counts[i].Swap(0))
		}
	}
}
