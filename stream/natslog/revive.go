package natslog

import (
	"context"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"anabranch/fault"
)

// The embedded server gives a stream up at its first failed write: it answers
// nothing more until the stream is opened again, which it leaves to its
// operator. A keeper is that operator: it notices, so that appends are refused
// at once instead of running into their timeouts, and once there is room it
// has the server close and recover its streams.
//
// Only for want of room. What an fsync that failed has left in the page cache
// is not to be trusted, nor is a disk that fails otherwise: then this process
// appends no more.
type keeper struct {
	store *Store
	hints chan struct{} // one token: the server has complained

	// working is held for reading by whoever asks the server something, and
	// for writing while its streams are closed: a stream that is not
	// recovered yet looks like one that never was.
	working sync.RWMutex
	current atomic.Pointer[health]
	revived atomic.Uint64 // how often; readers then need new consumers

	stop  context.CancelFunc
	ended chan struct{}
	stuck atomic.Bool // the server does not even say how it is
}

// health tells whether anything can be appended.
type health struct {
	err  error           // why not
	good context.Context // ends with it: appends under way need not wait longer
	end  context.CancelFunc
}

// sound is the health of a server that somebody else watches.
var sound = &health{good: context.Background()}

func newHealth() *health {
	good, end := context.WithCancel(context.Background())
	return &health{good: good, end: end}
}

const (
	// lookEvery is how often an ailing log looks for room.
	lookEvery = 250 * time.Millisecond
	// stuckAfter is when a server that does not say how it is never will: it
	// has been seen to lock itself out when a write failed during a purge.
	stuckAfter = 10 * time.Second
	// minRevive is the least room for which it is worth to try.
	minRevive = maxPayload
	// noSpace is what the server repeats of the system's ENOSPC and EDQUOT.
	noSpace, noQuota = "no space left", "quota exceeded"
)

func newKeeper(s *Store) *keeper {
	ctx, cancel := context.WithCancel(context.Background())
	k := &keeper{store: s, hints: make(chan struct{}, 1), stop: cancel, ended: make(chan struct{})}
	k.current.Store(newHealth())
	go k.run(ctx)
	return k
}

func (k *keeper) close() {
	if k != nil {
		k.stop()
		<-k.ended
		k.health().end()
	}
}

// hint makes the keeper look at the server. A nil keeper minds nothing: a
// server that is not ours has an operator of its own.
func (k *keeper) hint() {
	if k == nil {
		return
	}
	select {
	case k.hints <- struct{}{}:
	default:
	}
}

// enter is called before the server is asked something, and leave when it has
// answered.
func (k *keeper) enter() (leave func()) {
	if k == nil {
		return func() {}
	}
	k.working.RLock()
	return k.working.RUnlock
}

func (k *keeper) health() *health {
	if k == nil {
		return sound
	}
	return k.current.Load()
}

func (k *keeper) revivals() uint64 {
	if k == nil {
		return 0
	}
	return k.revived.Load()
}

func (k *keeper) run(ctx context.Context) {
	defer close(k.ended)
	var look <-chan time.Time
	for {
		select {
		case <-ctx.Done():
			return
		case <-k.hints:
		case <-look:
		}
		look = nil
		if !k.well() {
			k.revive(ctx)
			if k.health().err != nil {
				look = k.store.opts.Clock.After(lookEvery)
			}
		}
	}
}

// well asks the server how it is and notes what is wrong.
func (k *keeper) well() bool {
	before := k.health()
	if before.err != nil {
		return false
	}
	why := k.ask()
	if why == "" {
		return true
	}
	err := fault.WithHint(fault.New(fault.Transient, "the log's server cannot write: %s", why), "look at the disk of %s, then start again: this process writes no more to it", k.store.opts.Dir)
	if outOfSpace(why) {
		err = fault.New(fault.Full, "the log's server cannot write until there is room again: %s", why)
	}
	k.store.opts.Logger.Error("log given up by its server", "error", err)
	k.current.Store(&health{err: err, good: before.good, end: before.end})
	before.end()
	return false
}

// ask returns what is wrong with the server, or "".
func (k *keeper) ask() string {
	said := make(chan string, 1)
	go func() { // stays behind when the server is stuck, as the server does
		h := k.store.server.Healthz(&server.HealthzOptions{})
		switch {
		case !k.store.server.JetStreamEnabled():
			said <- "it has closed its streams"
		case strings.Contains(h.Error, "write error"):
			said <- h.Error
		default:
			said <- ""
		}
	}()
	select {
	case why := <-said:
		return why
	case <-k.store.opts.Clock.After(stuckAfter):
		k.stuck.Store(true)
		return "it does not say how it is"
	}
}

// trimmable says why nothing should be trimmed now. The server writes when it
// purges, and a purge whose write fails locks its stream up for good.
func (k *keeper) trimmable() error {
	if k == nil {
		return nil
	}
	if err := k.health().err; err != nil {
		return err
	}
	return k.store.checkRoom(0, minRevive)
}

// outOfSpace reports whether a write failed for want of room, and no fsync.
func outOfSpace(why string) bool {
	return (strings.Contains(why, noSpace) || strings.Contains(why, noQuota)) && !strings.Contains(why, "error: sync ")
}

// revive has the server recover its streams, when that was all it needed.
func (k *keeper) revive(ctx context.Context) {
	if fault.KindOf(k.health().err) != fault.Full {
		return
	}
	if err := k.store.checkRoom(0, max(k.store.opts.MinFree, minRevive)); err != nil {
		return
	}
	k.working.Lock()
	defer k.working.Unlock()
	if ctx.Err() != nil {
		return
	}
	began := k.store.opts.Clock.Now()
	s := k.store.server
	err := s.ShutdownJetStream()
	if err == nil {
		err = s.EnableJetStream(jetStreamConfig(k.store.opts))
	}
	if err != nil {
		k.store.opts.Logger.Error("log not recovered, tried again", "error", err)
		return
	}
	if err := k.store.compareNotes(ctx); err != nil {
		k.store.opts.Logger.Error("log not recovered, tried again", "error", err)
		return
	}
	k.revived.Add(1)
	k.current.Store(newHealth())
	k.store.opts.Logger.Warn("log recovered: there is room again", "seconds", k.store.opts.Clock.Now().Sub(began).Seconds())
}
