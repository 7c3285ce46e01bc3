// Package lifecycle starts the parts of the program in order and stops them
// in the reverse order. Whoever starts a goroutine stops it and waits for it.
package lifecycle

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
)

// Part is something long-lived. Start returns once the part works; Stop
// returns once everything that Start began has ended. Stopping twice, or
// before starting, is fine.
type Part interface {
	Start(ctx context.Context) error
	Stop()
}

// Group is a list of parts. The zero value is ready.
type Group struct {
	mu    sync.Mutex // guards parts
	parts []named
}

type named struct {
	name string
	part Part
}

// Start starts p and remembers to stop it. When it fails, nothing is
// remembered; the parts started before it still run.
func (g *Group) Start(ctx context.Context, name string, p Part) error {
	if err := p.Start(ctx); err != nil {
		p.Stop()
		return fmt.Errorf("start %s: %w", name, err)
	}
	g.mu.Lock()
	g.parts = append(g.parts, named{name, p})
	g.mu.Unlock()
	return nil
}

// Stop stops every part, the last started first.
func (g *Group) Stop(log *slog.Logger) {
	g.mu.Lock()
	parts := g.parts
	g.parts = nil
	g.mu.Unlock()
	for i := len(parts) - 1; i >= 0; i-- {
		parts[i].part.Stop()
		log.Debug("stopped", "part", parts[i].name)
	}
}

// ErrStopping is the cause of a context that ended because its part stops.
var ErrStopping = errors.New("stopping")

// Loop is the everyday part: goroutines that run until stopped.
type Loop struct {
	mu     sync.Mutex // guards cancel
	cancel context.CancelCauseFunc
	wg     sync.WaitGroup
}

// Go runs each function in a goroutine of its own, with a context that lives
// until Stop and is not bound to the caller's.
func (l *Loop) Go(fns ...func(context.Context)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	ctx, cancel := context.WithCancelCause(context.Background())
	if before := l.cancel; before != nil {
		l.cancel = func(err error) { before(err); cancel(err) }
	} else {
		l.cancel = cancel
	}
	for _, fn := range fns {
		l.wg.Go(func() { fn(ctx) })
	}
}

// Stop cancels the goroutines and waits for them.
func (l *Loop) Stop() {
	l.mu.Lock()
	cancel := l.cancel
	l.mu.Unlock()
	if cancel != nil {
		cancel(ErrStopping)
	}
	l.wg.Wait()
}
