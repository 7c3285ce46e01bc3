package sql

import (
	"context"
	"sync"
	"time"

	"anabranch/internal/processors"
)

// Rows of a large answer are turned into text by goroutines, which Go runs in
// turn with all others: as many of them as there are processors make each step
// of a lookup or an acknowledgement wait. So they leave one processor free: who
// reads a large answer has one of a few seats, from row to row, and none while
// DuckDB runs or a client is waited for. Where there is one processor they sit
// in turn. Nobody sits down while a small query is under way, or hardly: what
// DuckDB does for that one is on other threads, which the system would let wait
// for theirs.

// seats are those that readers of large answers share.
type seats struct {
	free chan struct{}

	mu    sync.Mutex    // guards the fields below
	quick int           // queries under way that are not known to take long
	none  chan struct{} // closed when quick is 0
}

func newSeats() *seats {
	s := &seats{free: make(chan struct{}, processors.ButOne()), none: make(chan struct{})}
	close(s.none)
	return s
}

// large is from which chunk on an answer is: some 32,000 rows.
const large = 16

// yielding is for how long a reader waits for small queries each time he sits
// down, at most: as long as about two of them take.
const yielding = 5 * time.Millisecond

// begin tells that a query is under way, which counts as small as long as the
// priority of a query stays; what it returns tells that it is over, and may be
// called twice.
func (s *seats) begin() (end func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.quick++; s.quick == 1 {
		s.none = make(chan struct{})
	}
	once := sync.OnceFunc(func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.quick--; s.quick == 0 {
			close(s.none)
		}
	})
	timer := time.AfterFunc(fallsAfter, once)
	return func() {
		timer.Stop()
		once()
	}
}

// yield waits for small queries.
func (s *seats) yield(ctx context.Context) {
	s.mu.Lock()
	none := s.none
	s.mu.Unlock()
	select {
	case <-none:
		return
	default:
	}
	late := time.NewTimer(yielding)
	defer late.Stop()
	select {
	case <-none:
	case <-late.C:
	case <-ctx.Done():
	}
}

// seat is that of one reader, who has it or not.
type seat struct {
	all  *seats
	ctx  context.Context // of the query; when it is over nobody waits any more
	want bool            // the answer is large
	has  bool
	// taken tells that the query is no small one.
	taken func()
}

// wanted is called once the answer is large.
func (s *seat) wanted() {
	s.want = true
	if s.taken != nil {
		s.taken()
	}
}

// take waits for one.
func (s *seat) take() {
	if !s.want || s.has {
		return
	}
	s.all.yield(s.ctx)
	select {
	case s.all.free <- struct{}{}:
		s.has = true
	case <-s.ctx.Done(): // the rows that are there already are few
	}
}

// leave gives it back.
func (s *seat) leave() {
	if s.has {
		s.has = false
		<-s.all.free
	}
}
