package lookup

import (
	"context"
	"errors"
	"sync"
)

// shelf keeps indexes as long as their memory has room; those asked for the
// longest time ago go first.
type shelf struct {
	limit int64

	mu    sync.Mutex // guards the fields below
	items map[string]*item
	used  int64
	tick  uint64
}

type item struct {
	ready chan struct{} // closed once index and err are final
	index *index
	err   error

	users int
	last  uint64
	gone  bool // off the shelf: the last user closes it
}

// take returns the index called name, which build makes when it is not there.
// Whoever comes meanwhile waits for it. Release it.
func (s *shelf) take(ctx context.Context, name string, build func() (*index, error)) (*index, func(), error) {
	for {
		s.mu.Lock()
		it := s.items[name]
		mine := it == nil
		if mine {
			it = &item{ready: make(chan struct{})}
			s.items[name] = it
		}
		it.users++
		s.tick++
		it.last = s.tick
		s.mu.Unlock()
		if mine {
			it.index, it.err = build()
			close(it.ready)
			s.made(name, it)
		}
		select {
		case <-it.ready:
		case <-ctx.Done():
			s.release(it)
			return nil, nil, context.Cause(ctx)
		}
		if it.err == nil {
			return it.index, func() { s.release(it) }, nil
		}
		s.release(it)
		if !mine && ctx.Err() == nil && (errors.Is(it.err, context.Canceled) || errors.Is(it.err, context.DeadlineExceeded)) {
			continue // the one who was making it gave up, not we
		}
		return nil, nil, it.err
	}
}

// made accounts for a new index, or forgets one that could not be made.
func (s *shelf) made(name string, it *item) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if it.err != nil {
		delete(s.items, name)
		return
	}
	s.used += it.index.memory()
	for s.used > s.limit {
		oldest := ""
		for n, o := range s.items {
			if o != it && o.made() && (oldest == "" || o.last < s.items[oldest].last) {
				oldest = n
			}
		}
		if oldest == "" {
			return
		}
		s.drop(oldest)
	}
}

func (it *item) made() bool {
	select {
	case <-it.ready:
		return it.err == nil
	default:
		return false
	}
}

// drop takes an index off the shelf. The caller holds mu.
func (s *shelf) drop(name string) {
	it := s.items[name]
	delete(s.items, name)
	s.used -= it.index.memory()
	it.gone = true
	if it.users == 0 {
		it.index.file.Close()
	}
}

func (s *shelf) release(it *item) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if it.users--; it.users == 0 && it.gone {
		it.index.file.Close()
	}
}

// close drops all of them.
func (s *shelf) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for name, it := range s.items {
		if it.made() {
			s.drop(name)
		}
	}
}
