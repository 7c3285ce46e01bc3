package sql

import (
	"context"
	"slices"
	"sync"
	"time"

	"anabranch/fault"
)

// turns decide which query may run: so many at once, so many of them of one
// user, in the order in which they came.
type turns struct {
	max, perUser, maxWaiting int
	patience                 time.Duration

	mu      sync.Mutex // guards the fields below
	running int
	users   map[string]int
	waiting []*waiter
}

type waiter struct {
	user string
	turn chan struct{} // closed when it may run
}

// may tells whether one more query of a user may run.
func (t *turns) may(user string) bool {
	return t.running < t.max && (user == "" || t.users[user] < t.perUser)
}

func (t *turns) begin(user string) {
	t.running++
	t.users[user]++
}

// take waits until one more query of a user may run. The caller calls what it
// returns when that is over. Errors are Throttled, with code busy, user_busy
// or queue_full.
func (t *turns) take(ctx context.Context, user string) (over func(), err error) {
	over = func() { t.end(user) }
	t.mu.Lock()
	if t.may(user) {
		// Whoever waits could not run before either: for want of a turn, in
		// which case there is none, or because of its user.
		t.begin(user)
		t.mu.Unlock()
		return over, nil
	}
	if len(t.waiting) >= t.maxWaiting {
		t.mu.Unlock()
		return nil, fault.WithCode(fault.New(fault.Throttled, "%d queries wait for their turn already, no more may: ask again later", t.maxWaiting), "queue_full")
	}
	w := &waiter{user, make(chan struct{})}
	t.waiting = append(t.waiting, w)
	t.mu.Unlock()
	soon, cancel := context.WithTimeout(ctx, t.patience)
	defer cancel()
	select {
	case <-w.turn:
		return over, nil
	case <-soon.Done():
	}
	t.mu.Lock()
	i := slices.Index(t.waiting, w)
	if i < 0 { // it came in the same moment
		t.mu.Unlock()
		return over, nil
	}
	t.waiting = slices.Delete(t.waiting, i, i+1)
	own := t.running < t.max
	t.mu.Unlock()
	switch {
	case ctx.Err() != nil:
		return nil, fault.Wrap(fault.Transient, context.Cause(ctx))
	case own:
		return nil, fault.WithCode(fault.New(fault.Throttled, "%s has %d queries running, the limit of one user, and none has ended for %s", user, t.perUser, t.patience), "user_busy")
	}
	return nil, fault.WithCode(fault.New(fault.Throttled, "%d queries run at this moment, and none has ended for %s", t.max, t.patience), "busy")
}

// end gives a turn to the first who waits and may have it.
func (t *turns) end(user string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.running--
	if t.users[user]--; t.users[user] == 0 {
		delete(t.users, user)
	}
	t.waiting = slices.DeleteFunc(t.waiting, func(w *waiter) bool {
		if !t.may(w.user) {
			return false
		}
		t.begin(w.user)
		close(w.turn)
		return true
	})
}
