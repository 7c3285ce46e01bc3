package sql

import (
	"context"
	"slices"
	"sync"

	"anabranch/archive"
	"anabranch/event"
	"anabranch/fault"
	"anabranch/serving"
	"anabranch/serving/lookup"
	"anabranch/view"
)

// chains keep the newest overlay of each view that was asked for, so that the
// next cut's costs what changed since: speed hands out the groups that were
// touched, an index of the batch files what lies below them, and the rest is
// shared.
type chains struct {
	serving *serving.Serving
	lookup  *lookup.Lookup
	own     bool // it is closed with this
	life    context.Context
	end     context.CancelFunc
	working sync.WaitGroup
	failed  func(what string, err error)

	mu  sync.Mutex // guards what follows
	all map[chainKey]*chain
	now uint64
}

type chainKey struct {
	source        *serving.Source
	view, version string
	merges        bool
}

// chain is the overlays of a view above one cut.
type chain struct {
	manifest uint64
	at       event.Cut
	seen     view.Seen
	laid     *laid
	used     uint64
	index    indexed
}

// indexed is how far the index of the batch files is.
type indexed int

const (
	notYet   indexed = iota // it is made when the overlay is, for the second time
	wanted                  // that was the first
	making                  // or there is no room for it
	complete                // or there is nothing to be in it
)

// maxChains is how many overlays are kept.
const maxChains = 16

// smallIndex is up to how many rows an index is made while the query waits.
const smallIndex = 20_000

func newChains(l *lookup.Lookup, s *serving.Serving, failed func(string, error)) *chains {
	c := &chains{serving: s, lookup: l, all: map[chainKey]*chain{}, failed: failed}
	if l == nil {
		c.lookup, c.own = lookup.New(s, lookup.Options{}), true
	}
	c.life, c.end = context.WithCancel(context.Background())
	return c
}

// bases are the overlays that a pin's delta is to be laid over, by asked view.
// Their user is whoever made the map.
type bases map[string]*laid

func (b bases) release() {
	for name, l := range b {
		l.release()
		delete(b, name)
	}
}

// have returns what serving.PinSince asks for. What was answered from last is in b.
func (c *chains) have(src *serving.Source, x extras, b bases) serving.Have {
	return func(m *archive.Manifest, asked string, v *view.View) view.Seen {
		b[asked].release()
		delete(b, asked)
		c.mu.Lock()
		defer c.mu.Unlock()
		of := c.all[chainKey{src, v.Name(), v.Version(), x.merge[src.Name+"."+asked]}]
		if of == nil || of.manifest != m.Version || of.index != complete || of.seen == nil {
			return nil
		}
		c.now++
		of.used = c.now
		b[asked] = of.laid.take()
		return of.seen
	}
}

// keep keeps the overlay of a new cut for the next.
func (c *chains) keep(a *asked, l *laid) {
	d := a.pin.Delta
	seen := d.Seen[a.view.Name()]
	if seen == nil || l.marks == nil && a.batch || masksOf(l.marks) > maxMasks {
		return // of the past, or speed cannot tell what changes, or so many marks would have to be joined
	}
	key := chainKey{a.pin.Source, a.view.Name(), a.view.Version(), a.merges}
	inForce := c.serving.Sources()
	c.mu.Lock()
	of := c.all[key]
	switch {
	case of != nil && (of.manifest > a.pin.Manifest.Version || of.manifest == a.pin.Manifest.Version && !d.At.AtLeast(of.at)):
		c.mu.Unlock()
		return // another has a newer one
	case of == nil || of.manifest != a.pin.Manifest.Version:
		if of != nil {
			of.laid.release()
		}
		of = &chain{manifest: a.pin.Manifest.Version}
		if !a.batch {
			of.index = complete
		}
		c.all[key] = of
	default:
		of.laid.release()
		if of.index == notYet {
			of.index = wanted
		}
	}
	c.now++
	of.at, of.seen, of.laid, of.used = d.At, seen, l.take(), c.now
	c.trim(inForce)
	prepare := of.index == wanted
	if prepare {
		of.index = making
	}
	c.mu.Unlock()
	if prepare {
		c.prepare(of, a)
	}
}

// trim drops the overlays of pipelines that are not in force any more, whose
// speed layer would stay with them, and those that were used the longest time
// ago. The caller holds mu.
func (c *chains) trim(inForce []*serving.Source) {
	for key, of := range c.all {
		if !slices.Contains(inForce, key.source) {
			of.laid.release()
			delete(c.all, key)
		}
	}
	for len(c.all) > maxChains {
		var oldest chainKey
		for key, of := range c.all {
			if o := c.all[oldest]; o == nil || of.used < o.used {
				oldest = key
			}
		}
		c.all[oldest].laid.release()
		delete(c.all, oldest)
	}
}

// prepare makes the index of the batch files, beside the queries where it takes
// long: until it is there overlays are made from all that was touched.
func (c *chains) prepare(of *chain, a *asked) {
	pin := *a.pin
	pin.Delta = nil // its states need not stay
	name := a.name
	work := func() {
		ok, err := c.lookup.Prepare(c.life, &pin, name)
		c.mu.Lock()
		defer c.mu.Unlock()
		switch {
		case err != nil && c.life.Err() == nil:
			of.index = notYet // the next but one tries again
			if !fault.Is(err, fault.NotFound) {
				c.failed("index "+pin.Source.Name+"."+name, err)
			}
		case ok:
			of.index = complete
		}
	}
	rows := int64(0)
	results, _ := pin.Results(name) // as when the overlay was made
	for _, f := range results {
		rows += f.Rows
	}
	if rows <= smallIndex {
		work()
		return
	}
	c.working.Go(work)
}

// close lets all of it go.
func (c *chains) close() {
	c.end()
	c.working.Wait()
	c.mu.Lock()
	defer c.mu.Unlock()
	for key, of := range c.all {
		of.laid.release()
		delete(c.all, key)
	}
	if c.own {
		c.lookup.Close()
	}
}
