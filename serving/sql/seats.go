package sql

import (
	"context"

	"anabranch/internal/processors"
)

// Rows of a large answer are turned into text by goroutines, which Go runs in
// turn with all others: as many of them as there are processors make each step
// of a lookup or an acknowledgement wait. So they leave one processor free: who
// reads a large answer has one of a few seats, from row to row, and none while
// DuckDB runs or a client is waited for. Where there is one processor they sit
// in turn.

// seats are those that readers of large answers share.
type seats chan struct{}

func newSeats() seats { return make(seats, processors.ButOne()) }

// large is from which chunk on an answer is: some 32,000 rows.
const large = 16

// seat is that of one reader, who has it or not.
type seat struct {
	all  seats
	ctx  context.Context // of the query; when it is over nobody waits any more
	want bool            // the answer is large
	has  bool
}

// take waits for one.
func (s *seat) take() {
	if !s.want || s.has {
		return
	}
	select {
	case s.all <- struct{}{}:
		s.has = true
	case <-s.ctx.Done(): // the rows that are there already are few
	}
}

// leave gives it back.
func (s *seat) leave() {
	if s.has {
		s.has = false
		<-s.all
	}
}
