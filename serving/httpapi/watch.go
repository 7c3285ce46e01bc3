package httpapi

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"anabranch/event"
	"anabranch/fault"
	"anabranch/internal/clock"
	"anabranch/serving/lookup"
	"anabranch/serving/sql"
)

// Watches answers GET /v1/views/{view}/watch with server-sent events. Close ends
// all of them.
type Watches struct {
	lookup *lookup.Lookup
	o      WatchOptions
	trails trails
	places chan struct{}
	end    chan struct{}
	once   sync.Once
}

// WatchOptions bound watches.
type WatchOptions struct {
	Most      int           // at a time, default 256
	Heartbeat time.Duration // how often something is said at least, default 15 s
	Keep      time.Duration // how long a client may come back to where it was, default 5 min
	Clock     clock.Clock   // of both, default clock.Wall
}

// NewWatches returns the door to watches over l.
func NewWatches(l *lookup.Lookup, o WatchOptions) *Watches {
	if o.Most == 0 {
		o.Most = 256
	}
	if o.Heartbeat == 0 {
		o.Heartbeat = 15 * time.Second
	}
	if o.Keep == 0 {
		o.Keep = 5 * time.Minute
	}
	if o.Clock == nil {
		o.Clock = clock.Wall
	}
	return &Watches{lookup: l, o: o, trails: trails{most: o.Most, keep: o.Keep, clock: o.Clock}, places: make(chan struct{}, o.Most), end: make(chan struct{})}
}

// Close ends all watches; their clients come again elsewhere.
func (ws *Watches) Close() { ws.once.Do(func() { close(ws.end) }) }

// changesAtOnce is how many groups one event has at most.
const changesAtOnce = 1000

// ServeHTTP sends the event snapshot with all groups (not with snapshot=false),
// then change with those that changed, at most rate times a second, and reset
// when it cannot tell which did, with another snapshot behind it. An id names
// what has been sent so far: a client that comes again with one as Last-Event-ID
// gets what was sent behind it and goes on; or reset, and a snapshot, when that
// is not known any more.
func (ws *Watches) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	every, snapshot, err := time.Second/4, true, error(nil)
	if text := q.Get("rate"); text != "" {
		rate, bad := strconv.ParseFloat(text, 64)
		if bad != nil || !(rate >= 0.01 && rate <= 20) {
			err = fault.New(fault.Invalid, "rate %q: want 0.01 to 20 events a second", text)
		}
		every = time.Duration(float64(time.Second) / max(rate, 0.01))
	}
	if text := q.Get("snapshot"); text != "" && err == nil {
		if snapshot, err = strconv.ParseBool(text); err != nil {
			err = fault.New(fault.Invalid, "snapshot %q: want true or false", text)
		}
	}
	q.Del("rate")
	q.Del("snapshot")
	var req lookup.Request
	if err == nil {
		req, err = viewRequest(r.PathValue("view"), q)
	}
	if err != nil {
		WriteProblem(w, err)
		return
	}
	select {
	case ws.places <- struct{}{}:
		defer func() { <-ws.places }()
	default:
		WriteProblem(w, fault.WithCode(fault.New(fault.Throttled, "there are %d watches already, as many as may be: come again later, or ask with GET and If-None-Match", ws.o.Most), "too_many_watchers"))
		return
	}
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	stop := make(chan struct{})
	var ending sync.WaitGroup
	ending.Go(func() {
		select {
		case <-ws.end:
			cancel()
		case <-stop:
		}
	})
	defer func() { close(stop); ending.Wait() }()

	question, known := r.PathValue("view")+"?"+q.Encode(), r.Header.Get("Last-Event-ID")
	var t *trail
	var missed []sentEvent
	if known != "" {
		t, missed = ws.trails.resume(question, known)
	}
	var first *lookup.Answer
	if t == nil {
		var watch *lookup.Watch
		if watch, first, err = ws.lookup.Watch(ctx, req, snapshot); err != nil {
			WriteProblem(w, err)
			return
		}
		t = ws.trails.begin(question, watch, eventID(first))
	}
	defer func() { ws.trails.end(t) }()
	s := &stream{w: w, control: http.NewResponseController(w), clock: ws.o.Clock, heartbeat: ws.o.Heartbeat}
	h := w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Accel-Buffering", "no") // proxies must hand it on as it comes
	switch {
	case first == nil:
		err = s.resumed(missed)
	case known == eventID(first):
		err = s.resumed(nil)
	default:
		err = s.begin(first, known != "", snapshot)
	}
	if err == nil {
		err = ws.follow(ctx, t, s, req, snapshot, every)
	}
	if err != nil && ctx.Err() == nil && !errors.Is(err, errGone) {
		s.fail(err)
	}
}

// follow sends changes until somebody ends it.
func (ws *Watches) follow(ctx context.Context, t *trail, s *stream, req lookup.Request, snapshot bool, every time.Duration) error {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		c, text, err := t.step(func(w *lookup.Watch) (*lookup.Change, error) { return w.Next(ctx) },
			func(a *lookup.Answer) ([]byte, error) { return rendered("change", a, true) })
		switch {
		case err != nil:
			return err
		case c == nil:
			err = s.beat()
		case c.Reset:
			first := c.Answer
			if snapshot {
				var watch *lookup.Watch
				if watch, first, err = ws.lookup.Watch(ctx, req, true); err != nil {
					return err
				}
				t.restart(watch, eventID(first))
			}
			err = s.begin(first, true, snapshot)
		default:
			err = s.write(text)
		}
		if err != nil {
			return err
		}
	}
}

// begin sends where a watch begins. A reset says that anything may have changed
// since what the client has: when a snapshot follows, only that has the id, so
// that nobody who got no more than the reset takes it for the whole.
func (s *stream) begin(a *lookup.Answer, reset, snapshot bool) error {
	if reset {
		text, err := rendered("reset", &lookup.Answer{Version: a.Version, Receipt: a.Receipt}, !snapshot)
		if err == nil {
			err = s.write(text)
		}
		if err != nil || !snapshot {
			return err
		}
	}
	if !snapshot {
		return s.comment("watching")
	}
	text, err := rendered("snapshot", a, true)
	if err != nil {
		return err
	}
	return s.write(text)
}

// resumed sends what a client that came again has missed.
func (s *stream) resumed(missed []sentEvent) error {
	if len(missed) == 0 {
		return s.comment("nothing has changed")
	}
	for _, e := range missed {
		if err := s.write(e.text); err != nil {
			return err
		}
	}
	return nil
}

// errGone says that the client does not listen any more.
var errGone = errors.New("the client is gone")

// stream writes server-sent events.
type stream struct {
	w         http.ResponseWriter
	control   *http.ResponseController
	clock     clock.Clock
	heartbeat time.Duration
	last      time.Time // when something was said
}

func (s *stream) write(text []byte) error {
	s.last = s.clock.Now()
	_ = s.control.SetWriteDeadline(time.Now().Add(30 * time.Second)) // of the machine's clock; in vain where w is no connection
	if _, err := s.w.Write(text); err != nil {
		return errGone
	}
	if err := s.control.Flush(); err != nil {
		return errGone
	}
	return nil
}

func (s *stream) comment(text string) error { return s.write([]byte(": " + text + "\n\n")) }

// beat says something when nothing was said for long, which also tells whether
// anybody listens.
func (s *stream) beat() error {
	if s.clock.Now().Sub(s.last) < s.heartbeat {
		return nil
	}
	return s.comment("still here")
}

// rendered is an event, or several when it is long: only the last one has the
// id then.
func rendered(kind string, a *lookup.Answer, withID bool) ([]byte, error) {
	rows := a.Rows
	if rows == nil {
		rows = &event.Batch{}
	}
	receipt, err := json.Marshal(a.Receipt)
	if err != nil {
		return nil, fault.Wrap(fault.Bug, err)
	}
	all := rowsOf(&lookup.Answer{Version: a.Version, Rows: rows})
	var text []byte
	for from := 0; ; from += changesAtOnce {
		n := 0
		part := rowset{all.columns, func() ([]sql.Datum, error) {
			if n++; n > changesAtOnce && kind != "snapshot" {
				return nil, nil
			}
			return all.next()
		}}
		var body bytes.Buffer
		if err := writeJSON(&body, part, receipt); err != nil {
			return nil, fault.Wrap(fault.Bug, err)
		}
		last := kind == "snapshot" || from+changesAtOnce >= rows.N
		text = fmt.Appendf(text, "event: %s\n", kind)
		if last && withID {
			text = fmt.Appendf(text, "id: %s\n", eventID(a))
		}
		text = append(append(append(text, "data: "...), bytes.ReplaceAll(body.Bytes(), []byte("\n"), nil)...), "\n\n"...)
		if last {
			return text, nil
		}
	}
}

// fail tells an error as the last event.
func (s *stream) fail(err error) {
	p := problemOf(err)
	p.Title = "the watch ended"
	text, _ := json.Marshal(p)
	_ = s.write([]byte("event: error\ndata: " + string(text) + "\n\n"))
}

// eventID names what has been sent.
func eventID(a *lookup.Answer) string { return strings.Trim(etag(a.Receipt, ""), `"`) }
