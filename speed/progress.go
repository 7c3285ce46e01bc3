package speed

import (
	"sync"
	"sync/atomic"
)

// progress wakes whoever waits for the partitions to get on. Waking costs
// nothing while nobody waits.
type progress struct {
	armed atomic.Bool // somebody holds channel
	mu    sync.Mutex  // guards channel
	ch    chan struct{}

	saving atomic.Bool // a partition holds a snapshot in memory
}

// changed returns the channel that the next bump closes.
func (p *progress) changed() <-chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ch == nil {
		p.ch = make(chan struct{})
		p.armed.Store(true)
	}
	return p.ch
}

// bump wakes the waiting. Whoever calls it has stored its progress before, so
// a waiter that took the channel first and looked then misses nothing.
func (p *progress) bump() {
	if !p.armed.Load() {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ch != nil {
		close(p.ch)
		p.ch = nil
		p.armed.Store(false)
	}
}
