package sql

import "sync"

// mostIdle is how many lanes wait for a query: to begin a thread and to wait for
// its end takes a small query a tenth of a millisecond.
const mostIdle = 4

// lanes are those of an engine that wait for a query. A thread whose priority has
// fallen is not among them: it cannot rise again.
type lanes struct {
	mu   sync.Mutex // guards the fields below
	idle []*lane
	over bool
}

// lane returns one that works beside a crowd. Error: Transient when the system
// gives no thread.
func (s *lanes) lane(beside *crowd) (*lane, error) {
	s.mu.Lock()
	n := len(s.idle)
	if n == 0 {
		s.mu.Unlock()
		return newLane(beside)
	}
	l := s.idle[n-1]
	s.idle = s.idle[:n-1]
	s.mu.Unlock()
	l.begin(beside)
	return l, nil
}

// done takes a lane back, which runs nothing any more.
func (s *lanes) done(l *lane) {
	if !l.hasFallen() {
		s.mu.Lock()
		keep := !s.over && len(s.idle) < mostIdle
		if keep {
			s.idle = append(s.idle, l)
		}
		s.mu.Unlock()
		if keep {
			return
		}
	}
	l.close()
}

// close ends the threads that wait. Calling it twice is fine.
func (s *lanes) close() {
	s.mu.Lock()
	idle := s.idle
	s.idle, s.over = nil, true
	s.mu.Unlock()
	for _, l := range idle {
		l.close()
	}
}
