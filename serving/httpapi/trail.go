package httpapi

import (
	"slices"
	"sync"
	"time"

	"anabranch/internal/clock"
	"anabranch/serving/lookup"
)

// trail is what a watch has sent of late. A client that lost its connection
// names what it got last; what was sent behind that is sent again, and the new
// watch goes on from there. An id names a cut, so that every trail of the same
// question that has it will do.
type trail struct {
	question string
	ended    time.Time // zero while it grows; guarded by trails.mu

	mu     sync.Mutex // guards the fields below; held while the watch takes a step
	watch  *lookup.Watch
	events []sentEvent // the first is where it begins, and has no text
	bytes  int
}

type sentEvent struct {
	id   string
	text []byte
}

// What is kept at most: bytes of the events of one trail, and groups of all whose
// client is gone.
const (
	trailBytes  = 256 << 10
	trailGroups = 1 << 20
)

// trails are those of the watches that run, and of those that have ended not
// long ago.
type trails struct {
	most  int
	keep  time.Duration
	clock clock.Clock

	mu  sync.Mutex
	all []*trail // those that have ended in the order in which they did
}

// begin begins the trail of a watch that stands at id.
func (ts *trails) begin(question string, w *lookup.Watch, id string) *trail {
	t := &trail{question: question}
	t.restart(w, id)
	ts.add(t)
	return t
}

func (ts *trails) add(t *trail) {
	ts.mu.Lock()
	defer ts.mu.Unlock()
	ts.all = append(ts.all, t)
}

// resume begins a trail that goes on behind id, and returns what its client has
// missed; nil when no trail has that id any more.
func (ts *trails) resume(question, id string) (*trail, []sentEvent) {
	ts.mu.Lock()
	ts.expire()
	var same []*trail
	for _, t := range ts.all {
		if t.question == question {
			same = append(same, t)
		}
	}
	ts.mu.Unlock()
	for _, t := range same {
		if next, missed := t.fork(id); next != nil {
			ts.add(next)
			return next, missed
		}
	}
	return nil, nil
}

// fork returns a trail that begins at id, with all that t has behind it.
func (t *trail) fork(id string) (next *trail, missed []sentEvent) {
	t.mu.Lock()
	defer t.mu.Unlock()
	at := slices.IndexFunc(t.events, func(e sentEvent) bool { return e.id == id })
	if at < 0 {
		return nil, nil
	}
	missed = slices.Clone(t.events[at+1:])
	next = &trail{question: t.question, watch: t.watch.Fork(), events: append([]sentEvent{{id: id}}, missed...)}
	for _, e := range missed {
		next.bytes += len(e.text)
	}
	return next, missed
}

// end keeps a trail for a while.
func (ts *trails) end(t *trail) {
	ts.mu.Lock()
	defer ts.mu.Unlock()
	ts.all = slices.DeleteFunc(ts.all, func(o *trail) bool { return o == t })
	t.ended = ts.clock.Now()
	ts.all = append(ts.all, t)
	ts.expire()
}

// expire forgets the trails that ended longest ago; the caller holds mu.
func (ts *trails) expire() {
	now := ts.clock.Now()
	count, groups := 0, 0
	for i := len(ts.all) - 1; i >= 0; i-- {
		t := ts.all[i]
		if t.ended.IsZero() {
			continue
		}
		count, groups = count+1, groups+t.watch.Len() // which nobody moves any more
		if count > ts.most || groups > trailGroups || now.Sub(t.ended) > ts.keep {
			ts.all = slices.Delete(ts.all, i, i+1)
		}
	}
}

// restart forgets what was sent: w begins anew, at id.
func (t *trail) restart(w *lookup.Watch, id string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.watch, t.events, t.bytes = w, []sentEvent{{id: id}}, 0
}

// step has the watch take a step, and takes down what comes of it.
func (t *trail) step(next func(*lookup.Watch) (*lookup.Change, error), render func(*lookup.Answer) ([]byte, error)) (c *lookup.Change, text []byte, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if c, err = next(t.watch); err == nil && c == nil {
		return nil, nil, nil
	}
	if err == nil && !c.Reset {
		text, err = render(c.Answer)
	}
	if err != nil {
		t.events = nil // the watch may have gone on: nobody comes back to this one
		return nil, nil, err
	}
	if c.Reset {
		t.events, t.bytes = []sentEvent{{id: eventID(c.Answer)}}, 0
		return c, nil, nil
	}
	t.events, t.bytes = append(t.events, sentEvent{eventID(c.Answer), text}), t.bytes+len(text)
	for t.bytes > trailBytes { // it begins behind the oldest then
		t.bytes -= len(t.events[1].text)
		t.events[1].text = nil
		t.events = t.events[1:]
	}
	return c, text, nil
}
