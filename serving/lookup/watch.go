package lookup

import (
	"context"
	"maps"
	"slices"

	"github.com/zeebo/xxh3"

	"anabranch/event"
	"anabranch/fault"
	"anabranch/serving"
	"anabranch/view"
)

// Watch follows the groups of a request as events and versions come. It is for
// one goroutine.
//
// What it compares are the groups that speed has touched since the cut. Under a
// new cut these are others; groups that changed in the meantime are still among
// them, because it goes over only when it has seen everything below that cut.
type Watch struct {
	l    *Lookup
	r    Request
	name string
	pin  *serving.Pin
	seen map[string]mark // of the touched groups, by key
}

// mark is what a group looked like: what speed has of it, and all of it.
type mark struct{ delta, whole uint64 }

// Change is what a step of a watch has found.
type Change struct {
	*Answer
	// Reset says that it cannot tell what has changed: anything may have. Rows
	// is nil.
	Reset bool
}

// Watch begins to follow. The answer has all the groups, or with snapshot false
// no rows.
func (l *Lookup) Watch(ctx context.Context, r Request, snapshot bool) (*Watch, *Answer, error) {
	src, name, err := l.find(r.View)
	if err == nil {
		err = l.serving.Known(r.Fresh)
	}
	if err != nil {
		return nil, nil, err
	}
	w := &Watch{l: l, r: r, name: name}
	a, err := w.begin(ctx, src, snapshot)
	return w, a, err
}

// Fork returns a watch that stands where w does, for another goroutine.
func (w *Watch) Fork() *Watch {
	f := *w
	f.seen = maps.Clone(w.seen)
	return &f
}

// Len is how many groups it remembers.
func (w *Watch) Len() int { return len(w.seen) }

// begin pins the newest cut and marks the touched groups as seen.
func (w *Watch) begin(ctx context.Context, src *serving.Source, snapshot bool) (*Answer, error) {
	p, err := w.l.serving.PinPicked(ctx, src, w.name, w.r.Fresh, w.r.pick)
	if err != nil {
		return nil, err
	}
	w.pin, w.seen = p, map[string]mark{}
	st, err := p.State(w.name)
	if err != nil {
		return nil, err
	}
	touched, err := st.Groups()
	if err != nil {
		return nil, err
	}
	if _, err := w.changed(ctx, p, touched); err != nil {
		return nil, err
	}
	a := w.answer(p, nil)
	if snapshot {
		limit := w.l.o.Limit
		if w.r.Limit > 0 {
			limit = min(limit, w.r.Limit)
		}
		a.Rows, err = w.l.merged(ctx, p, w.name, limit)
	}
	return a, err
}

func (w *Watch) answer(p *serving.Pin, rows *event.Batch) *Answer {
	return &Answer{Pipeline: p.Source.Name, View: w.name, Version: p.View(w.name), Rows: rows, Receipt: w.l.serving.Receipt(p)}
}

// Next returns the groups that are not what they were at the step before; nil
// when there are none.
func (w *Watch) Next(ctx context.Context) (*Change, error) {
	src := w.pin.Source
	if now, _, err := w.l.find(src.Name + "." + w.name); err != nil {
		return nil, err
	} else if now != src { // the pipeline was opened anew
		return w.reset(ctx, now)
	}
	known := src.Batch.Known()
	newer := known != nil && known.Version > w.pin.Manifest.Version
	if !newer && slices.Equal(src.Speed.At(), w.pin.At()) {
		return nil, nil
	}
	p, err := w.l.serving.Again(ctx, w.pin, w.name)
	switch {
	case fault.Is(err, fault.Conflict):
		return w.reset(ctx, src)
	case fault.Is(err, fault.Transient) && ctx.Err() == nil:
		return nil, nil
	case err != nil:
		return nil, err
	}
	rows, err := w.step(ctx, p)
	if err != nil {
		return nil, err
	}
	w.pin = p
	if newer && p.At().AtLeast(known.Cut) {
		if known.Version != p.Manifest.Version+1 || known.Kind != "nightly" {
			return w.reset(ctx, src)
		}
		before := w.seen
		next, err := w.l.serving.PinPicked(ctx, src, w.name, serving.Fresh{AtLeast: map[string]event.Cut{src.Name: p.At()}}, w.r.pick)
		if err != nil {
			return nil, err
		}
		if next.Manifest.Version != known.Version || next.View(w.name) != p.View(w.name) {
			return w.reset(ctx, src)
		}
		more, err := w.step(ctx, next)
		if err != nil {
			return nil, err
		}
		w.forget(next, before)
		w.pin, rows = next, append(rows, more...)
	}
	if len(rows) == 0 {
		return nil, nil
	}
	return &Change{Answer: w.answer(w.pin, joined(rows))}, nil
}

// reset begins anew.
func (w *Watch) reset(ctx context.Context, src *serving.Source) (*Change, error) {
	a, err := w.begin(ctx, src, false)
	return &Change{Answer: a, Reset: true}, err
}

// step returns the groups of a pin that look other than they did.
func (w *Watch) step(ctx context.Context, p *serving.Pin) ([]*event.Batch, error) {
	st, err := p.State(w.name)
	if err != nil {
		return nil, err
	}
	touched, err := st.Groups()
	if err != nil {
		return nil, err
	}
	states := &touched.Columns[len(touched.Columns)-1]
	var rows []uint32
	var key []byte
	for i := range touched.N {
		key = keyOf(key[:0], touched, i)
		if p.Manifest == w.pin.Manifest && w.seen[string(key)].delta == xxh3.Hash(states.Bytes(i)) {
			continue
		}
		rows = append(rows, uint32(i))
	}
	if len(rows) == 0 {
		return nil, nil
	}
	changed, err := w.changed(ctx, p, touched.Gather(rows))
	if err != nil || changed == nil {
		return nil, err
	}
	return []*event.Batch{changed}, nil
}

// changed finishes some touched groups, marks them as seen, and returns the
// rows of those that look other than before.
func (w *Watch) changed(ctx context.Context, p *serving.Pin, touched *event.Batch) (*event.Batch, error) {
	if touched.N == 0 {
		return nil, nil
	}
	v := p.View(w.name)
	whole := v.New()
	if err := whole.MergeGroups(touched); err != nil {
		return nil, err
	}
	if err := w.l.addBatch(ctx, p, v, w.name, touched, whole); err != nil {
		return nil, err
	}
	groups, result, err := whole.Finish()
	if err != nil {
		return nil, err
	}
	last := len(touched.Columns) - 1
	var key []byte
	for i := range touched.N {
		key = keyOf(key[:0], touched, i)
		m := w.seen[string(key)]
		m.delta = xxh3.Hash(touched.Columns[last].Bytes(i))
		w.seen[string(key)] = m
	}
	var rows []uint32
	for i := range groups.N {
		key = keyOf(key[:0], groups, i)
		m := w.seen[string(key)]
		if h := xxh3.Hash(groups.Columns[last].Bytes(i)); h != m.whole {
			m.whole = h
			w.seen[string(key)] = m
			rows = append(rows, uint32(i))
		}
	}
	if rows == nil {
		return nil, nil
	}
	return result.Gather(rows), nil
}

// forget drops the marks of groups that a pin no longer has above its cut.
func (w *Watch) forget(p *serving.Pin, before map[string]mark) {
	kept := map[string]mark{}
	if st, err := p.State(w.name); err == nil {
		if groups, err := st.Groups(); err == nil {
			var key []byte
			for i := range groups.N {
				key = keyOf(key[:0], groups, i)
				kept[string(key)] = before[string(key)]
			}
		}
	}
	w.seen = kept
}

// addBatch adds what the files have of some groups.
func (l *Lookup) addBatch(ctx context.Context, p *serving.Pin, v *view.View, name string, groups *event.Batch, st *view.State) error {
	files, err := p.Results(name)
	if err != nil {
		return err
	}
	found := newRows(v.StateShape())
	pick := &view.Pick{Keys: make([]*event.Column, len(groups.Columns)-1), Range: -1}
	wanted := make([][]byte, len(pick.Keys))
	for k := range pick.Keys {
		pick.Keys[k] = &groups.Columns[k] // any row: only which keys are given counts
	}
	for _, f := range files {
		if f.Rows == 0 {
			continue
		}
		ix, release, err := l.index(ctx, p, f, v, pick)
		if err != nil {
			return err
		}
		for i := range groups.N {
			for k := range wanted {
				wanted[k] = appendCell(nil, &groups.Columns[k], i)
			}
			if err = ix.find(pick, wanted, found.batch.N+1, found); err != nil {
				break
			}
		}
		release()
		if err != nil {
			return err
		}
	}
	if found.batch.N == 0 {
		return nil
	}
	return st.MergeGroups(found.whole())
}

func keyOf(dst []byte, groups *event.Batch, i int) []byte {
	for k := range groups.Columns[:len(groups.Columns)-1] {
		dst = appendCell(dst, &groups.Columns[k], i)
	}
	return dst
}

// joined puts the rows of batches with one shape behind each other. Of a group
// that is in several the last is right.
func joined(all []*event.Batch) *event.Batch {
	if len(all) == 1 {
		return all[0]
	}
	out := newRows(all[0].Shape)
	for _, b := range all {
		for i := range b.N {
			for c := range b.Columns {
				one := appendCell(nil, &b.Columns[c], i)
				out.put(c, one)
			}
			out.batch.N++
		}
	}
	return out.whole()
}
