package sql

import (
	"context"
	"sync"
	"sync/atomic"
)

// progress is a query that is read: a stream in a stay. It is over when all of
// it was read, when its reader closes it, or when its context ends between two
// steps: then what it holds, its cut and its turn among it, is given back also
// while its reader waits for a client that reads nothing.
//
// Steps are taken beside the reader, who waits for one no longer than for grace
// behind the end of the context. What a function of DuckDB's is doing then goes
// on, by itself, and all is given back when it is done.
type progress struct {
	stay *stay
	// forget gives back what the last step has fetched for a reader who has left
	// it to itself.
	forget func()
	gone   atomic.Bool // he has

	mu     sync.Mutex  // held by a step, and by the end; guards the fields below
	stream *stream     // nil when it is over
	unhook func() bool // from the context
	err    error       // why it is over, unless there is nothing left to be read
	left   error       // what leaving said
}

// step is a part of it. It tells whether there is more to be read.
type step func(*stream) (more bool, err error)

// read begins to run the query, with a first step.
func (s *stay) read(first step, forget func()) (*progress, error) {
	r := &progress{stay: s, forget: forget}
	return r, r.beside(func() { r.begin(first) })
}

// on runs a step, unless it is over. Its error is why it is.
func (r *progress) on(next step) error {
	return r.beside(func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		if r.stream == nil {
			return
		}
		more, err := next(r.stream)
		if err != nil || !more {
			r.stay.done = err == nil
			r.end(err)
		}
	})
}

// beside has f done, and returns why it is over by then. Its reader does not wait
// for f once there is nobody to wait for.
func (r *progress) beside(f func()) error {
	if !beside(r.stay.ctx, f, func() { r.forget() }) {
		r.gone.Store(true)
		return r.stay.told(context.Cause(r.stay.ctx))
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.err
}

func (r *progress) begin(first step) {
	s, more := r.stay, false
	l, err := s.onLane()
	if err == nil {
		r.stream, err = openStream(s.ctx, l, s.conn, s.text.runs, s.args)
	}
	if err == nil {
		more, err = first(r.stream)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if err != nil || !more {
		s.done = err == nil
		r.end(err)
		return
	}
	r.unhook = context.AfterFunc(s.ctx, func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		if r.stream != nil {
			r.end(context.Cause(s.ctx))
		}
	})
}

// end gives back what is held; the caller holds mu.
func (r *progress) end(err error) {
	if err != nil {
		r.err = r.stay.told(err) // before leaving ends the context
	}
	if r.unhook != nil {
		r.unhook()
	}
	if r.stream != nil {
		r.stream.close()
		r.stream = nil
	}
	r.left = r.stay.leave()
}

// why is the reason for which it has ended before all of it was fetched, nil for
// none, also while the next step is far.
func (r *progress) why() error {
	if r.stay.ctx.Err() == nil {
		return nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.stream != nil { // it is about to
		return r.stay.told(context.Cause(r.stay.ctx))
	}
	return r.err
}

// close ends it, if it is not over. Calling it twice is fine.
func (r *progress) close() error {
	if r.gone.Load() {
		return nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.stream != nil {
		r.end(nil)
	}
	return r.left
}
