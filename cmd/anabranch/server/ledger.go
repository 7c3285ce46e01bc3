package server

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"time"

	"anabranch/cmd/anabranch/api"
	"anabranch/deadletter"
	"anabranch/event"
	"anabranch/fault"
	"anabranch/internal/openapi"
)

var bisect = openapi.Flag("bisect", "also find, by partition, the first offset at which log and counts part")

func getLedger(r *http.Request, p *pipeline) (api.Ledger, error) {
	l, err := p.ledger(r.Context())
	if err == nil && bisect.True(r) {
		l.Bisected, err = p.bisect(r.Context())
	}
	return l, err
}

// The ledger is computed from durable facts at the borders of the rooms, never
// from counters that a crash forgets: rows announced by the frames' headers
// (in segments and in the log's tail) on one side; on the other what batch
// says it did below its cut (in the manifest), what speed says it did above
// (in its generations), and the dead letters.
func (p *pipeline) ledger(ctx context.Context) (l api.Ledger, err error) {
	err = settled(ctx, func() error {
		l, err = p.balance(ctx)
		return err
	})
	return l, err
}

func (p *pipeline) balance(ctx context.Context) (api.Ledger, error) {
	l := api.Ledger{Pipeline: p.def.Name, Filtered: map[string]int64{}, DeadLettered: map[string]int64{}}
	letters, err := p.letters.Counts(ctx)
	if err != nil {
		return l, fmt.Errorf("count dead letters: %w", err)
	}
	m, err := p.archive.Newest(ctx)
	if err != nil {
		return l, err
	}
	// A manifest that speed has not reached yet is not the one to count by.
	pin, err := p.pinForLedger(ctx, m.K)
	if err != nil {
		return l, err
	}
	head, err := p.head(ctx)
	if err != nil {
		return l, err
	}
	rows, inFlight, err := p.rows(ctx, pin.at, head)
	if err != nil {
		return l, err
	}
	l.At = pin.at.String()
	l.Counted, l.Duplicate, l.InFlight = pin.counted, pin.duplicates, inFlight
	for code, n := range pin.filtered {
		l.Filtered[code] += n
	}
	conflicts := pin.conflicts
	if conflicts > 0 {
		l.DeadLettered["conflict"] = conflicts
	}
	refused := int64(0)
	for code, n := range letters {
		if code == "conflict" { // written by batch for events that are in the log: counted above
			continue
		}
		l.DeadLettered[code] += n
		refused += n
	}
	l.Received = rows + inFlight + refused
	accounted := l.Counted + l.Duplicate + l.Held + l.InFlight
	for _, n := range l.Filtered {
		accounted += n
	}
	for _, n := range l.DeadLettered {
		accounted += n
	}
	l.Imbalance = l.Received - accounted
	l.Balanced = l.Imbalance == 0
	return l, nil
}

// position is what became of the events below at.
type position struct {
	at                             event.Cut
	counted, duplicates, conflicts int64
	filtered                       map[string]int64
}

// pinForLedger adds batch below a cut and speed above it. When speed has not
// passed the newest cut yet, it waits for it.
func (p *pipeline) pinForLedger(ctx context.Context, k uint64) (position, error) {
	for {
		m, err := p.archive.Newest(ctx)
		if err != nil {
			return position{}, err
		}
		d, err := p.speed.Since(ctx, m.K, []string{})
		if err == nil {
			pos := position{
				at: d.At, counted: m.Counted + d.Counted, duplicates: m.Duplicates + d.Duplicates, conflicts: m.Conflicts + d.Conflicts,
				filtered: m.FilteredCodes(),
			}
			for code, n := range d.FilteredBy {
				if n > 0 {
					pos.filtered[code] += n
				}
			}
			return pos, nil
		}
		if kind := fault.KindOf(err); kind != fault.Transient && kind != fault.Conflict {
			return position{}, err
		}
		select {
		case <-ctx.Done():
			return position{}, fmt.Errorf("speed does not reach the cut of barrier %d: %w", k, context.Cause(ctx))
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// rows counts the events in the log: those below at, and those from there to
// the head.
func (p *pipeline) rows(ctx context.Context, at, head event.Cut) (below, above int64, err error) {
	for n := range p.def.Partitions {
		c, err := p.segments.refresh(ctx, n)
		if err != nil {
			return 0, 0, err
		}
		whole := c.whole(at[n])
		below += c.rows[whole]
		from := c.begin
		if whole > 0 {
			from = c.segments[whole-1].To
		}
		err = tail(ctx, p.log, n, from, head[n], func(offset uint64, h event.Header, _ []byte) error {
			switch {
			case h.Kind != event.Rows:
			case offset < at[n]:
				below += int64(h.Rows)
			default:
				above += int64(h.Rows)
			}
			return nil
		})
		if err != nil {
			return 0, 0, err
		}
	}
	return below, above, nil
}

// letterCounts keeps the number of dead letters for receipts, a second old at
// most.
type letterCounts struct {
	store *deadletter.Store

	mu sync.Mutex // guards the fields below
	at time.Time
	n  int64
}

func (c *letterCounts) total() int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	if time.Since(c.at) < time.Second {
		return c.n
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	if counts, err := c.store.Counts(ctx); err == nil {
		c.n = 0
		for _, n := range counts {
			c.n += n
		}
	}
	c.at = time.Now()
	return c.n
}

// ledgerSoon is ledger with a bound on how long it waits for speed.
func (p *pipeline) ledgerSoon(ctx context.Context, patience time.Duration) (api.Ledger, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	return p.ledger(ctx)
}
