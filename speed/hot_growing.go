package speed

// growth is an index whose ids move to a larger one. They do so a few for each
// new id, in log order: moving millions at once keeps a partition busy for tens of
// milliseconds, and all partitions at the same time, as they have as many ids.
// Until all have moved, an id that the larger index does not know may be in this one.
type growth struct {
	from  index // empty while nothing grows
	moved int   // the ids below are in the larger index, too
	end   int   // the ids from here on are in the larger index alone
}

const (
	// moveEach is how many ids move for each that is added. The two indexes are
	// there together for a sixteenth of the time, then.
	moveEach = 32
	// manyIDs is from how many on they take more than a moment.
	manyIDs = 1 << 16
)

func (h *hot) growing() bool { return h.growth.from.slots != nil }

// reserve makes room in the index for n ids.
func (h *hot) reserve(n int) {
	if n <= h.index.room() {
		return
	}
	h.move(h.n)
	if h.n > 0 {
		h.growth = growth{from: h.index, end: h.n}
	}
	h.index = h.index.larger(n)
	if h.n < manyIDs {
		h.move(h.n)
	}
}

// reindex enters all ids into an index of their own.
func (h *hot) reindex() {
	h.index = index{}.larger(h.n)
	h.growth = growth{end: h.n}
	h.move(h.n)
}

// move enters up to n of the ids that have not moved yet into the larger index.
func (h *hot) move(n int) {
	g, x := &h.growth, &h.index
	for end := min(g.moved+n, g.end); g.moved < end; {
		ids := h.chunk[g.moved/chunkLen][g.moved%chunkLen:]
		ids = ids[:min(touchAhead, len(ids), end-g.moved)]
		homes := h.homes[:len(ids)]
		for i := range ids {
			homes[i] = x.home(ids[i].id)
		}
		h.touch(x, homes)
		for i, at := range homes {
			x.put(x.free(at), at, ids[i].id, g.moved+i)
		}
		g.moved += len(ids)
	}
	if g.moved == g.end {
		*g = growth{}
	}
}
