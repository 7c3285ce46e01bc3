package pace

import (
	"cmp"
	"math"
	"time"
)

// Goal says what batches may do to events. A zero field means its default.
type Goal struct {
	// Least is the share that batches always have, so that none starves;
	// default 0.1. 1 switches the whole thing off.
	Least float64
	// Slower is how many times longer than without batches events may take, at
	// the 99th percentile; default 1.3, which keeps them below one and a half.
	Slower float64
	// Floor is by how much longer they may take in any case: what is quicker
	// than that is the machine's business; default 2 ms.
	Floor time.Duration
	// Lag is how old the oldest event may be that speed has read and not
	// folded; default 500 ms.
	Lag time.Duration
}

func (g Goal) defaulted() Goal {
	g.Least = min(max(cmp.Or(g.Least, 0.1), 0.01), 1)
	g.Slower = max(cmp.Or(g.Slower, 1.3), 1)
	g.Floor = cmp.Or(g.Floor, 2*time.Millisecond)
	g.Lag = cmp.Or(g.Lag, 500*time.Millisecond)
	return g
}

// Load is what was heard of the events since the step before.
type Load struct {
	Delays map[string]*Hist // by what was measured, for which pipeline
	Lag    time.Duration
}

const quantile = 0.99

// How the controller behaves.
const (
	// fall is by how much one delay that is too long lowers the logarithm of
	// the share. A delay that is not raises it by a 99th of that, so that the
	// share comes to stand where one of a hundred is too long: that is what a
	// 99th percentile at the border means. No window has to fill for that.
	fall = 0.15
	// mostFall and mostRise bound one step.
	mostFall, mostRise = 0.7, 0.3
	lagFall            = 0.2
	// careful is what batches that begin among events have at most at first:
	// whatever was found out before was found out about others.
	careful = 0.2
	// heavy is how many delays of one step count in full: more of them tell
	// more exactly where the border is, not that it should be passed faster.
	heavy = 50

	// With few events, time raises the share as well: e-fold in so long.
	riseIn = time.Minute
	// Without events for restAfter it doubles in doubleIn.
	restAfter, doubleIn = 10 * time.Second, 500 * time.Millisecond

	// A look is a pause of all batch work in which delays without it are
	// learned: when nothing is known yet, and every lookEvery, as the load of
	// the day changes what is normal. It ends when enough is known.
	lookEvery          = 2 * time.Minute
	lookLeast, lookMax = time.Second, 3 * time.Second
	settle             = 300 * time.Millisecond // what is heard then began before the work stood still
	enough             = 300                    // delays of each signal

	// remembered is how many delays what is normal is made of, at most: later
	// ones push out earlier ones.
	remembered = 1000
	// known is how many delays a percentile needs.
	known = 50
)

// Controller decides which share of the processors batches may have. It is not
// safe for concurrent use.
type Controller struct {
	goal    Goal
	signals map[string]*signal
	share   float64
	before  time.Time // of the step before; zero: there was none
	heard   time.Time // when there was an event
	busy    time.Time // when there was batch work
	looked  time.Time // when the last look ended, or batches were last at rest
	looking time.Time // since when a look is on; zero: none is
}

// signal is one thing that is measured.
type signal struct {
	normal Hist // without batches
	heard  time.Time
	learnt float64 // in this look
}

// NewController returns a controller that knows nothing yet.
func NewController(g Goal) *Controller {
	g = g.defaulted()
	return &Controller{goal: g, signals: map[string]*signal{}, share: g.Least}
}

// Step takes in what was heard since the step before and returns the share for
// the time until the next. Busy says whether batch work was there, at work or
// waiting for its turn. Steps are a tenth of a second apart or so.
func (c *Controller) Step(now time.Time, busy bool, heard Load) float64 {
	if c.before.IsZero() {
		c.before, c.heard = now, now.Add(-restAfter)
	}
	since := now.Sub(c.before)
	c.before = now
	if busy {
		c.busy = now
	}
	for name, h := range heard.Delays {
		if h.N() == 0 {
			continue
		}
		s := c.signals[name]
		if s == nil {
			s = &signal{}
			c.signals[name] = s
		}
		s.heard, c.heard = now, now
	}
	switch {
	case c.goal.Least >= 1:
		return 1
	case !busy && now.Sub(c.busy) < settle:
		return c.share // between two steps
	case !busy:
		c.learn(heard)
		c.looked, c.looking = now, time.Time{}
		if !c.knows(now) {
			c.looked = time.Time{}
		}
		if now.Sub(c.heard) >= restAfter {
			c.rise(now, since)
		} else {
			c.share = min(c.share, max(careful, c.goal.Least))
		}
		return c.share
	case c.looking.IsZero() && c.traffic(now) && now.Sub(c.looked) > lookEvery:
		c.looking = now
		for _, s := range c.signals {
			s.learnt = 0
		}
		return 0
	case !c.looking.IsZero():
		took := now.Sub(c.looking)
		if took > settle {
			c.learn(heard)
		}
		if took < lookLeast || took < lookMax && !c.enough(now) {
			return 0
		}
		c.looked, c.looking = now, time.Time{}
		return c.share
	}
	c.rise(now, since)
	c.judge(heard)
	return c.share
}

// traffic reports whether there was an event a moment ago.
func (c *Controller) traffic(now time.Time) bool { return now.Sub(c.heard) < 2*time.Second }

// learn takes delays for what is normal.
func (c *Controller) learn(heard Load) {
	for name, h := range heard.Delays {
		n := h.N()
		if n == 0 {
			continue
		}
		s := c.signals[name]
		if all := s.normal.N() + n; all > remembered {
			s.normal.Scale(max(0, remembered-n) / (all - n))
		}
		s.normal.Merge(h)
		s.learnt += n
	}
}

// enough reports whether a look has seen enough of what is there.
func (c *Controller) enough(now time.Time) bool {
	for _, s := range c.signals {
		if now.Sub(s.heard) < restAfter && s.learnt < enough {
			return false
		}
	}
	return true
}

// knows reports whether it is known what is normal, of everything that is
// heard of.
func (c *Controller) knows(now time.Time) bool {
	for _, s := range c.signals {
		if now.Sub(s.heard) < restAfter && s.normal.N() < known {
			return false
		}
	}
	return true
}

// rise gives batches more as time goes by.
func (c *Controller) rise(now time.Time, since time.Duration) {
	in := float64(riseIn)
	if now.Sub(c.heard) >= restAfter {
		in = float64(doubleIn) / math.Ln2
	}
	c.scale(math.Exp(float64(since) / in))
}

// judge changes the share by the delays that were heard: the worst of the
// signals decides.
func (c *Controller) judge(heard Load) {
	by := mostRise
	judged := false
	for name, h := range heard.Delays {
		s := c.signals[name]
		if s == nil || s.normal.N() < known || h.N() == 0 {
			continue
		}
		judged = true
		n, long := h.N(), h.Above(c.border(s))
		by = min(by, fall*((n-long)*(1-quantile)-long*quantile)*min(1, heavy/n))
	}
	if !judged {
		by = 0
	}
	if heard.Lag > c.goal.Lag {
		by = min(by, -lagFall)
	}
	c.scale(math.Exp(max(by, -mostFall)))
}

func (c *Controller) scale(by float64) { c.share = min(max(c.share*by, c.goal.Least), 1) }

// border is what a delay must not be longer than, but for one of a hundred.
func (c *Controller) border(s *signal) time.Duration {
	normal := s.normal.Quantile(quantile)
	return max(time.Duration(float64(normal)*c.goal.Slower), normal+c.goal.Floor)
}

// Normal returns the 99th percentile without batches of each signal that is
// known.
func (c *Controller) Normal() map[string]time.Duration {
	out := map[string]time.Duration{}
	for name, s := range c.signals {
		if s.normal.N() >= known {
			out[name] = s.normal.Quantile(quantile)
		}
	}
	return out
}
