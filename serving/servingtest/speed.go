// Package servingtest holds what the tests of the doors share: a speed layer
// whose states the test holds, and sales to fold into them.
package servingtest

import (
	"context"
	"sync"
	"testing"
	"time"

	"anabranch/archive"
	"anabranch/event"
	"anabranch/view"
)

// Speed answers with the states it holds, at any barrier, and with those of
// the past at each position it had.
type Speed struct {
	views []*view.View

	mu     sync.Mutex // guards the fields below
	at     event.Cut
	states map[string]*view.State
	past   map[uint64]map[string]*view.State // by position
}

// NewSpeed returns one of a single partition that has folded nothing.
func NewSpeed(views ...*view.View) *Speed {
	s := &Speed{views: views, at: event.Cut{0}, states: map[string]*view.State{}, past: map[uint64]map[string]*view.State{}}
	for _, v := range views {
		s.states[v.Name()] = v.New()
	}
	s.keep()
	return s
}

// keep remembers the states for answers as of now; the caller has the lock.
func (s *Speed) keep() {
	kept := map[string]*view.State{}
	for name, st := range s.states {
		kept[name] = st.Clone()
	}
	s.past[s.at[0]] = kept
}

// Fold adds events, up to below a position.
func (s *Speed) Fold(t testing.TB, at uint64, e *event.Batch) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, v := range s.views {
		if err := s.states[v.Name()].Fold(e, nil); err != nil {
			t.Fatal(err)
		}
	}
	s.at = event.Cut{at}
	s.keep()
}

// Since returns everything that was folded.
func (s *Speed) Since(_ context.Context, k uint64, views []string) (*view.Delta, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	d := &view.Delta{States: map[string]*view.State{}, At: s.at.Clone(), Since: k}
	for _, v := range views {
		d.States[v] = s.states[v].Clone()
	}
	return d, nil
}

// SincePicked is Since for some groups of one view.
func (s *Speed) SincePicked(ctx context.Context, k uint64, name string, pick *view.Pick) (*view.Delta, error) {
	d, err := s.Since(ctx, k, []string{name})
	if err != nil {
		return nil, err
	}
	return d.Only(name, pick)
}

// At is the position that was folded up to.
func (s *Speed) At() event.Cut {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.at.Clone()
}

// Head is At as the head of the log.
func (s *Speed) Head(context.Context) (event.Cut, error) { return s.At(), nil }

// Wait returns when so much was folded.
func (s *Speed) Wait(ctx context.Context, at event.Cut) error {
	for !s.At().AtLeast(at) {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(time.Millisecond):
		}
	}
	return nil
}

// Past returns the states that there were at a position.
func (s *Speed) Past(_ context.Context, m *archive.Manifest, at event.Cut, views []*view.View) (*view.Delta, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	d := &view.Delta{States: map[string]*view.State{}, At: at, Since: m.K}
	for _, v := range views {
		d.States[v.Name()] = s.past[at[0]][v.Name()].Clone()
	}
	return d, nil
}
