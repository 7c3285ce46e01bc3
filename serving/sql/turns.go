package sql

import (
	"context"
	"slices"
	"sync"
	"time"

	"anabranch/fault"
)

// turns decide which query may run, or which plan be made: so many at once, so
// many of them of one user, in the order in which they came.
type turns struct {
	turnsOf
	max, perUser, maxWaiting int
	patience                 time.Duration

	mu      sync.Mutex // guards the fields below
	running int
	users   map[string]int
	waiting []*waiter
}

// turnsOf is what turns are called where there are none.
type turnsOf struct {
	what, goOn           string // queries run
	busy, userBusy, full string // codes
}

var (
	turnsOfQueries = turnsOf{"queries", "run", "busy", "user_busy", "queue_full"}
	turnsOfPlans   = turnsOf{"plans", "are made", "plans_busy", "user_plans_busy", "plans_queue_full"}
)

type waiter struct {
	user string
	turn chan struct{} // closed when it may run
}

func newTurns(of turnsOf, most, perUser int, o Options) *turns {
	return &turns{turnsOf: of, max: most, perUser: perUser, maxWaiting: o.MaxWaiting, patience: o.Patience, users: map[string]int{}}
}

// may tells whether one more query of a user may run.
func (t *turns) may(user string) bool {
	return t.running < t.max && (user == "" || t.users[user] < t.perUser)
}

func (t *turns) begin(user string) {
	t.running++
	t.users[user]++
}

// take waits until one more of a user may begin. The caller calls what it
// returns when that is over. Errors are Throttled, with code busy, user_busy
// or queue_full, or what these are called for plans.
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
		return nil, fault.WithCode(fault.New(fault.Throttled, "%d %s wait for their turn already, no more may: ask again later", t.maxWaiting, t.what), t.full)
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
		return nil, fault.WithCode(fault.New(fault.Throttled, "%s has %d %s that %s, the limit of one user, and none has ended for %s", user, t.perUser, t.what, t.goOn, t.patience), t.userBusy)
	}
	return nil, fault.WithCode(fault.New(fault.Throttled, "%d %s %s at this moment, and none has ended for %s", t.max, t.what, t.goOn, t.patience), t.busy)
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
