package view

import (
	"slices"
	"sync"
)

// partials find the records that have given values in some of their words. A
// table has one for each combination of keys that was asked for, made when it
// is, and brought up to date when it is asked for again: folding pays nothing.
type partials struct {
	mu  sync.Mutex // guards the fields below: many may pick of one state
	all []*partial
}

type partial struct {
	known []uint64 // the bits of its keys in a record
	heads []uint32
	next  []uint32 // by slot: the slot+1 of the next record of its chain; heads has the first
}

const (
	// partialFrom is from how many records on a partial is worth its memory.
	partialFrom = 128
	// maxPartials is how many combinations of keys have one.
	maxPartials = 4
)

// those calls take with the slots that may have want's values in the known
// bits, and reports whether it could.
func (p *partials) those(t *table, known, want []uint64, take func(slot int)) bool {
	if t.n < partialFrom {
		return false
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	var of *partial
	for _, o := range p.all {
		if slices.Equal(o.known, known) {
			of = o
		}
	}
	if of == nil {
		if len(p.all) == maxPartials {
			return false
		}
		of = &partial{known: known}
		p.all = append(p.all, of)
	}
	of.catchUp(t)
	for s := of.heads[of.hash(want)]; s > 0; s = of.next[s-1] {
		take(int(s) - 1)
	}
	return true
}

// hash is the chain of a record.
func (p *partial) hash(rec []uint64) uint64 {
	var h uint64
	for w, bits := range p.known {
		if bits != 0 {
			h = fold64(h^rec[w]&bits, uint64(len(rec)))
		}
	}
	return h & uint64(len(p.heads)-1)
}

// catchUp takes in the records that are new.
func (p *partial) catchUp(t *table) {
	from := len(p.next)
	if size := len(p.heads); t.n > size {
		for size = max(size, partialFrom); size < t.n; {
			size *= 2
		}
		p.heads, from = make([]uint32, size), 0
	}
	p.next = extend(p.next, t.n-len(p.next))
	for s := from; s < t.n; s++ {
		h := p.hash(t.rec(s))
		p.next[s], p.heads[h] = p.heads[h], uint32(s)+1
	}
}

// reset forgets everything.
func (p *partials) reset() { p.all = nil }

func (p *partials) bytes() (n int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, o := range p.all {
		n += sliceBytes(o.heads) + sliceBytes(o.next)
	}
	return n
}
