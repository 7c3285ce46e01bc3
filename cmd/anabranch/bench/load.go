package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"anabranch/fault"
)

// loadOrder is what the load generator does for a while.
type loadOrder struct {
	URL         string
	Seconds     float64
	Connections int
	Rate        float64 // events a second, in requests at even distances; 0: as many as are taken
	Units       int     // of a request, unitEvents events each
}

const (
	unitEvents = 200
	lapUnits   = decodeEvents / unitEvents
	idAt       = len(`{"event_id":"`)
	idLength   = 26
	lapDigits  = 4 // of an id, its last ones
)

// loadJob sends the payments of body.ndjson again and again, in each lap with
// other ids. A request that is refused is repeated until it is taken, so that
// every unit below next has been acknowledged when an order is done.
type loadJob struct {
	body  []byte
	units []int // where each begins, and the end
	lines []int // where each event begins
	next  atomic.Int64
	first []int // first[u] is how many events of a lap are new in the units below u
}

func newLoadJob(_ context.Context, t *Task) (job, error) {
	j := &loadJob{}
	var err error
	if j.body, err = os.ReadFile(filepath.Join(t.Dir, "body.ndjson")); err != nil {
		return nil, fault.Wrap(fault.Invalid, err)
	}
	p := NewPayments(t.Data.Seed, decodeEvents, t.Data.Cards)
	seen := make([]bool, decodeEvents)
	fresh := 0
	for i, at := 0, 0; i < decodeEvents; i++ {
		if i%unitEvents == 0 {
			j.units, j.first = append(j.units, at), append(j.first, fresh)
		}
		if o := p.original(i); !seen[o] {
			seen[o] = true
			fresh++
		}
		j.lines = append(j.lines, at)
		at += bytes.IndexByte(j.body[at:], '\n') + 1
	}
	j.units, j.first = append(j.units, len(j.body)), append(j.first, fresh)
	return j, nil
}

// distinct returns how many different events the units below next hold.
func (j *loadJob) distinct() int64 {
	n := j.next.Load()
	return n/lapUnits*int64(j.first[lapUnits]) + int64(j.first[n%lapUnits])
}

// request returns the body of some units from n on, all of one lap.
func (j *loadJob) request(n int64, units int) []byte {
	lap, u := n/lapUnits, int(n%lapUnits)
	for _, at := range j.lines[u*unitEvents : (u+units)*unitEvents] {
		id := j.body[at+idAt+idLength-lapDigits : at+idAt+idLength]
		for i, rest := 0, lap; i < lapDigits; i++ {
			id[i] = crockford[rest&31]
			rest >>= 5
		}
	}
	return j.body[j.units[u]:j.units[u+units]]
}

// obey carries out an order, as JSON.
func (j *loadJob) obey(ctx context.Context, text string) (took, error) {
	var o loadOrder
	if err := json.Unmarshal([]byte(text), &o); err != nil {
		return took{}, fault.New(fault.Invalid, "read the order: %w", err)
	}
	if o.Units < 1 || lapUnits%o.Units != 0 {
		return took{}, fault.New(fault.Invalid, "%d units in a request: want a divisor of %d", o.Units, lapUnits)
	}
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: o.Connections}}
	defer client.CloseIdleConnections()
	var (
		mu      sync.Mutex // guards what follows
		waits   []time.Duration
		failed  error
		refused atomic.Int64
		senders sync.WaitGroup
		ticket  atomic.Int64
	)
	if over := j.next.Load() % int64(o.Units); over != 0 { // so that no request crosses a lap
		rest := int64(o.Units) - over
		n := j.next.Add(rest) - rest
		if err := j.send(ctx, client, o.URL, j.request(n, int(rest)), &refused); err != nil {
			return took{}, err
		}
	}
	cpu, began := processorTime(), time.Now()
	distance := time.Duration(0)
	if o.Rate > 0 {
		distance = time.Duration(float64(o.Units*unitEvents) / o.Rate * 1e9)
	}
	length := time.Duration(o.Seconds * 1e9)
	for range o.Connections {
		senders.Go(func() {
			for {
				// What waits for a sender waits already: its time begins when
				// it should have been sent.
				due := time.Now()
				if distance > 0 {
					due = began.Add(time.Duration(ticket.Add(1)-1) * distance)
					time.Sleep(time.Until(due))
				}
				mu.Lock()
				over := failed != nil
				mu.Unlock()
				if over || due.Sub(began) >= length {
					return
				}
				n := j.next.Add(int64(o.Units)) - int64(o.Units)
				err := j.send(ctx, client, o.URL, j.request(n, o.Units), &refused)
				mu.Lock()
				if err != nil {
					failed = err
				}
				waits = append(waits, time.Since(due))
				mu.Unlock()
			}
		})
	}
	senders.Wait()
	t := took{Wall: time.Since(began).Seconds(), CPU: processorTime() - cpu, Events: int64(len(waits) * o.Units * unitEvents)}
	slices.Sort(waits)
	t.Figures = map[string]float64{
		"distinct": float64(j.distinct()), "refused": float64(refused.Load()), "p50": quantileMillis(waits, 0.5), "p99": quantileMillis(waits, 0.99),
	}
	return t, failed
}

// quantileMillis returns the q-quantile of sorted waits in milliseconds.
func quantileMillis(sorted []time.Duration, q float64) float64 {
	if len(sorted) == 0 {
		return 0
	}
	return float64(sorted[min(int(q*float64(len(sorted))), len(sorted)-1)]) / 1e6
}

// send sends a body until it is acknowledged.
func (j *loadJob) send(ctx context.Context, client *http.Client, url string, body []byte, refused *atomic.Int64) error {
	for {
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
		if err != nil {
			return fault.Wrap(fault.Bug, err)
		}
		req.Header.Set("Content-Type", "application/x-ndjson")
		resp, err := client.Do(req)
		if err != nil {
			return fault.Wrap(fault.Transient, err)
		}
		text, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		switch {
		case err != nil:
			return fault.Wrap(fault.Transient, err)
		case resp.StatusCode == http.StatusOK:
			return nil
		case resp.StatusCode != http.StatusTooManyRequests:
			return fault.New(fault.Invalid, "events were refused: %s: %s", resp.Status, text)
		}
		refused.Add(1)
		time.Sleep(20 * time.Millisecond) // sooner than Retry-After: it is a spike
	}
}

func (j *loadJob) run(context.Context) (int64, error) {
	return 0, fault.New(fault.Bug, "the load generator wants orders")
}
func (j *loadJob) answer(context.Context, []string) error { return fmt.Errorf("load has no answer") }
func (j *loadJob) close()                                 {}
