package flightsql

import (
	"container/list"
	"context"
	"crypto/rand"
	"sync"
	"time"

	"anabranch/fault"
	"anabranch/internal/clock"
)

// shelf keeps things for clients that come back for them: for a time, and so
// many, of so many bytes, that they never fill the memory. What goes is let go of.
type shelf[T any] struct {
	clock clock.Clock
	life  time.Duration
	most  int
	room  int // bytes of all that are weighed, 0 for any
	letGo func(T)

	mu    sync.Mutex // guards the fields below
	byID  map[string]*list.Element
	order list.List // of *kept[T], the first is the first to go
	bytes int
}

type kept[T any] struct {
	id, user string
	thing    T
	until    time.Time
	bytes    int
}

func newShelf[T any](c clock.Clock, life time.Duration, most int, letGo func(T)) *shelf[T] {
	return &shelf[T]{clock: c, life: life, most: most, letGo: letGo, byID: map[string]*list.Element{}}
}

// put keeps a thing of a user, under an id that nobody can guess.
func (s *shelf[T]) put(user string, thing T) (id []byte, err error) {
	id = make([]byte, 16)
	if _, err := rand.Read(id); err != nil {
		return nil, fault.Wrap(fault.Bug, err)
	}
	until := s.clock.Now().Add(s.life)
	s.mu.Lock()
	s.byID[string(id)] = s.order.PushBack(&kept[T]{id: string(id), user: user, thing: thing, until: until})
	var gone []T
	for s.order.Len() > s.most {
		gone = append(gone, s.remove(s.order.Front()))
	}
	s.mu.Unlock()
	s.letGoOf(gone)
	return id, nil
}

// get returns what a user has there under id.
func (s *shelf[T]) get(user string, id []byte) (thing T, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.byID[string(id)]
	if e == nil {
		return thing, false
	}
	k := e.Value.(*kept[T])
	if k.user != user || !s.clock.Now().Before(k.until) {
		return thing, false
	}
	return k.thing, true
}

// touch has a thing stay as if it had just been put there.
func (s *shelf[T]) touch(id []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if e := s.byID[string(id)]; e != nil {
		e.Value.(*kept[T]).until = s.clock.Now().Add(s.life)
		s.order.MoveToBack(e)
	}
}

// weigh tells how many bytes a thing takes. Those that have not been asked for the
// longest go for it.
func (s *shelf[T]) weigh(id []byte, bytes int) {
	var gone []T
	s.mu.Lock()
	if e := s.byID[string(id)]; e != nil {
		k := e.Value.(*kept[T])
		s.bytes += bytes - k.bytes
		k.bytes = bytes
		for s.bytes > s.room && s.room > 0 && s.order.Front() != e {
			gone = append(gone, s.remove(s.order.Front()))
		}
	}
	s.mu.Unlock()
	s.letGoOf(gone)
}

// drop lets go of what a user has there under id, and reports whether it was
// there.
func (s *shelf[T]) drop(user string, id []byte) bool {
	s.mu.Lock()
	e := s.byID[string(id)]
	if e == nil || e.Value.(*kept[T]).user != user {
		s.mu.Unlock()
		return false
	}
	thing := s.remove(e)
	s.mu.Unlock()
	s.letGo(thing)
	return true
}

func (s *shelf[T]) remove(e *list.Element) T {
	k := s.order.Remove(e).(*kept[T])
	delete(s.byID, k.id)
	s.bytes -= k.bytes
	return k.thing
}

func (s *shelf[T]) letGoOf(things []T) {
	for _, t := range things {
		s.letGo(t)
	}
}

// sweep lets go of what is over at a time.
func (s *shelf[T]) sweep(now time.Time) {
	var gone []T
	s.mu.Lock()
	for e := s.order.Front(); e != nil && !now.Before(e.Value.(*kept[T]).until); e = s.order.Front() {
		gone = append(gone, s.remove(e))
	}
	s.mu.Unlock()
	s.letGoOf(gone)
}

// keep sweeps until the context ends.
func (s *shelf[T]) keep(ctx context.Context) {
	for {
		select {
		case <-s.clock.After(max(s.life/4, time.Millisecond)):
			s.sweep(s.clock.Now())
		case <-ctx.Done():
			return
		}
	}
}

// clear lets go of everything.
func (s *shelf[T]) clear() {
	var gone []T
	s.mu.Lock()
	for s.order.Len() > 0 {
		gone = append(gone, s.remove(s.order.Front()))
	}
	s.mu.Unlock()
	s.letGoOf(gone)
}
