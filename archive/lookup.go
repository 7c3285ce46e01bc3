package archive

import (
	"container/list"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"

	"golang.org/x/sync/errgroup"

	"anabranch/event"
	"anabranch/fault"
)

// Hit is the answer to one id.
type Hit struct {
	Found  bool
	Hash   uint64 // of the content of the event that counted
	Offset uint64 // where that event stands
	Row    int32
}

// Runs looks ids up in some runs of one partition. It is safe for concurrent
// use.
type Runs struct {
	a       *Archive
	runs    []*openRun
	scratch sync.Pool // of *lookup
}

// openRun is a run whose filter and index are in memory. All Runs of an
// archive share it.
type openRun struct {
	a    *Archive
	run  Run
	refs int // guarded by the archive's openRuns

	mu      sync.Mutex // guards loading
	tail    *runTail   // nil: not loaded yet
	local   io.ReaderAt
	release func()
}

// openRuns are the runs that are open in an archive, by name.
type openRuns struct {
	mu   sync.Mutex // guards runs and their refs
	runs map[string]*openRun
}

// OpenRuns loads filters and block indexes of runs, 1.7 bytes an entry, and
// keeps them until Close. A run that is open already is shared.
func (a *Archive) OpenRuns(ctx context.Context, runs []Run) (*Runs, error) {
	r := &Runs{a: a, scratch: sync.Pool{New: func() any { return &lookup{} }}}
	for _, run := range runs {
		a.runs.mu.Lock()
		o := a.runs.runs[run.Name]
		if o == nil {
			o = &openRun{a: a, run: run}
			a.runs.runs[run.Name] = o
		}
		o.refs++
		a.runs.mu.Unlock()
		r.runs = append(r.runs, o)
		if err := o.load(ctx); err != nil {
			r.Close()
			return nil, err
		}
	}
	return r, nil
}

// Close releases memory and local copies. No Lookup runs or follows; twice is
// fine.
func (r *Runs) Close() {
	r.a.runs.mu.Lock()
	defer r.a.runs.mu.Unlock()
	for _, o := range r.runs {
		if o.refs--; o.refs > 0 {
			continue
		}
		delete(r.a.runs.runs, o.run.Name)
		if o.release != nil {
			o.release()
		}
	}
	r.runs = nil
}

// load reads filter and index. With a cache the whole run is copied to local
// disk, where a block costs microseconds; a run that the cache has no room for
// is read from the bucket block by block.
func (o *openRun) load(ctx context.Context) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.tail != nil {
		return nil
	}
	if o.a.cache != nil && o.run.Size <= o.a.opts.CacheBytes {
		local, release, err := o.a.open(ctx, o.run.Name, o.run.Size, o.run.Sum)
		if err != nil {
			return err
		}
		tail, err := readTail(o.run, local)
		if err != nil {
			release()
			return err
		}
		o.tail, o.local, o.release = tail, local, release
		return nil
	}
	tail, err := readTail(o.run, remote{ctx, o.a, o.run.Name})
	o.tail = tail
	return err
}

// remote reads an object by ranges.
type remote struct {
	ctx  context.Context
	a    *Archive
	name string
}

func (r remote) ReadAt(b []byte, off int64) (int, error) {
	body, err := r.a.bucket.Range(r.ctx, r.name, off, int64(len(b)))
	if fault.Is(err, fault.Invalid) {
		return 0, fault.New(fault.Corrupt, "%w", err) // shorter than it was when it was written
	}
	if err != nil {
		return 0, err
	}
	n, err := io.ReadFull(body, b)
	return n, errors.Join(err, body.Close())
}

// block returns the entries of block i, by way of the block cache.
func (o *openRun) block(ctx context.Context, i int) ([]Entry, error) {
	key := blockKey{o.run.Name, i}
	if entries := o.a.blocks.get(key); entries != nil {
		return entries, nil
	}
	if o.local != nil {
		entries, err := o.read(o.local, i)
		if err == nil {
			o.a.blocks.put(key, entries)
			return entries, nil
		}
		o.a.opts.Log.Warn("archive: the local copy of an id run is damaged; reading from the bucket", "run", o.run.Name, "block", i, "error", err)
		o.a.cache.doom(o.run.Sum)
	}
	entries, err := o.read(remote{ctx, o.a, o.run.Name}, i)
	if err != nil {
		return nil, err
	}
	o.a.blocks.put(key, entries)
	return entries, nil
}

func (o *openRun) read(r io.ReaderAt, i int) ([]Entry, error) {
	at := o.tail.index[i]
	b := make([]byte, at.length)
	if _, err := r.ReadAt(b, int64(at.offset)); err != nil {
		return nil, fmt.Errorf("read id run %s: block %d: %w", o.run.Name, i, diskFault(err))
	}
	entries, err := parseBlock(b)
	if err != nil {
		return nil, fmt.Errorf("read id run %s: block %d: %w", o.run.Name, i, err)
	}
	return entries, nil
}

// lookup is the memory of one Lookup.
type lookup struct {
	hashes  []uint64
	passed  []int32 // ids that the filter of a run lets pass
	groups  []group
	entries [][]Entry
}

// group are the passed ids from, to of which one block may know.
type group struct{ block, from, to int }

// Lookup sets hits[i] for each ids[i]. An id in several runs is answered with
// its first position.
func (r *Runs) Lookup(ctx context.Context, ids []event.ID, hits []Hit) error {
	if len(hits) != len(ids) {
		return fault.New(fault.Bug, "look up %d ids with room for %d answers", len(ids), len(hits))
	}
	clear(hits)
	if len(r.runs) == 0 {
		return nil
	}
	l := r.scratch.Get().(*lookup)
	defer r.scratch.Put(l)
	l.hashes = slices.Grow(l.hashes[:0], len(ids))[:len(ids)]
	for i := range ids {
		l.hashes[i] = filterHash(ids[i])
	}
	for _, o := range r.runs {
		if err := l.run(ctx, o, ids, hits); err != nil {
			return err
		}
	}
	return nil
}

// run asks one run: filter first, then each block once.
func (l *lookup) run(ctx context.Context, o *openRun, ids []event.ID, hits []Hit) error {
	l.passed = l.passed[:0]
	for i, h := range l.hashes {
		if o.tail.filter.has(h) {
			l.passed = append(l.passed, int32(i))
		}
	}
	if len(l.passed) == 0 {
		return nil
	}
	slices.SortFunc(l.passed, func(a, b int32) int { return ids[a].Compare(ids[b]) })
	l.groups = l.groups[:0]
	for i := 0; i < len(l.passed); {
		block := o.tail.find(ids[l.passed[i]])
		from := i
		for i++; i < len(l.passed) && (block+1 == len(o.tail.index) || ids[l.passed[i]].Less(o.tail.index[block+1].first)); i++ {
		}
		if block >= 0 {
			l.groups = append(l.groups, group{block, from, i})
		}
	}
	l.entries = slices.Grow(l.entries[:0], len(l.groups))[:len(l.groups)]
	defer clear(l.entries)
	if err := l.load(ctx, o); err != nil {
		return err
	}
	for g, in := range l.groups {
		entries := l.entries[g]
		for _, i := range l.passed[in.from:in.to] {
			at, found := slices.BinarySearchFunc(entries, ids[i], func(e Entry, id event.ID) int { return e.ID.Compare(id) })
			if !found {
				continue
			}
			e := &entries[at]
			if h := &hits[i]; !h.Found || e.before(&Entry{Offset: h.Offset, Row: h.Row}) {
				*h = Hit{true, e.Hash, e.Offset, e.Row}
			}
		}
	}
	return nil
}

// load gets the blocks of all groups; those that have to come from the bucket
// come side by side.
func (l *lookup) load(ctx context.Context, o *openRun) error {
	if o.local != nil || len(l.groups) == 1 {
		for g, in := range l.groups {
			var err error
			if l.entries[g], err = o.block(ctx, in.block); err != nil {
				return err
			}
		}
		return nil
	}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(8)
	for g, in := range l.groups {
		group.Go(func() (err error) {
			l.entries[g], err = o.block(ctx, in.block)
			return err
		})
	}
	return group.Wait()
}

// blockCache keeps decoded blocks, the last used ones, up to a number of
// bytes.
type blockCache struct {
	limit int64
	mu    sync.Mutex // guards what follows
	used  int64
	at    map[blockKey]*list.Element
	order list.List // of *cachedBlock, the last used one in front
}

type blockKey struct {
	run   string
	block int
}

type cachedBlock struct {
	key     blockKey
	entries []Entry
}

// entryBytes is what an Entry takes in memory.
const entryBytes = 40

func newBlockCache(limit int64) *blockCache {
	return &blockCache{limit: limit, at: map[blockKey]*list.Element{}}
}

func (c *blockCache) get(key blockKey) []Entry {
	c.mu.Lock()
	defer c.mu.Unlock()
	e := c.at[key]
	if e == nil {
		return nil
	}
	c.order.MoveToFront(e)
	return e.Value.(*cachedBlock).entries
}

func (c *blockCache) put(key blockKey, entries []Entry) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.at[key] != nil {
		return
	}
	c.at[key] = c.order.PushFront(&cachedBlock{key, entries})
	c.used += int64(len(entries)) * entryBytes
	for c.used > c.limit && c.order.Len() > 0 {
		last := c.order.Remove(c.order.Back()).(*cachedBlock)
		delete(c.at, last.key)
		c.used -= int64(len(last.entries)) * entryBytes
	}
}
