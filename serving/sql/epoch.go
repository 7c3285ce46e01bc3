package sql

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"anabranch/event"
	"anabranch/internal/planted"
	"anabranch/serving"
	"anabranch/view"
)

// epoch is one cut of the asked views, as a catalog of the engine: schemas are
// pipelines, tables are views.
type epoch struct {
	key     string
	sources []*serving.Source // in force when it was made; held, so that no other ever has their address
	catalog string
	receipt serving.Receipt
	views   map[string]map[string]*view.View // the versions that answer, by pipeline and asked view
	local   serving.Local
	marks   []mark           // of the rows of its files that are not read
	laid    map[string]*laid // by pipeline.view as it was asked for
	slots   []slot           // of the marks and overlays in the text of its views
	texts   map[tableName]string
	kind    string // epochs of one kind differ in where speed stands; "": it is of the past, or of none
	users   int    // guarded by Engine.mu
	passing bool   // gone as soon as nobody uses it; nobody shares it

	ready chan struct{} // closed once err is final
	err   error
	// abandoned tells that err is only that of who was making it.
	abandoned bool
	extras
	parts []*part // where the rows come from
}

// catalogOf names an epoch as no pipeline can be called: cut3.day would be two
// things.
func catalogOf(serial int) string { return fmt.Sprintf("cut %d", serial) }

// keep is how many epochs stay when nobody uses them.
const keep = 4

// columns are the names of all columns that a query of this epoch may mean.
func (ep *epoch) columns() []string {
	var names []string
	for _, of := range ep.views {
		for _, v := range of {
			for _, f := range v.Output().Fields {
				if !slices.Contains(names, f.Name) {
					names = append(names, f.Name)
				}
			}
		}
	}
	for _, tables := range ep.references {
		for _, table := range tables {
			for _, c := range table.Columns {
				if !slices.Contains(names, c.Name) {
					names = append(names, c.Name)
				}
			}
		}
	}
	slices.Sort(names)
	return names
}

// settle waits for what fresh asks for and returns it as positions, which are
// there by then: waiting may take long and needs no memory, so it comes before
// taking a turn.
func (e *Engine) settle(ctx context.Context, asked map[*serving.Source][]string, fresh serving.Fresh) (serving.Fresh, error) {
	there := serving.Fresh{AtLeast: map[string]event.Cut{}}
	if err := e.serving.Known(fresh); err != nil {
		return there, err
	}
	for src := range asked {
		at, err := e.serving.Wait(ctx, src, fresh)
		if err != nil {
			return there, err
		}
		there.AtLeast[src.Name] = at
	}
	return there, nil
}

// epochFor returns an epoch of the newest cut for the asked views, which the
// caller releases. One that stands at the present positions is shared.
func (e *Engine) epochFor(ctx context.Context, asked map[*serving.Source][]string, x extras, fresh serving.Fresh) (*epoch, error) {
	sources := make([]*serving.Source, 0, len(asked))
	for src := range asked {
		slices.Sort(asked[src])
		sources = append(sources, src)
	}
	slices.SortFunc(sources, func(a, b *serving.Source) int { return strings.Compare(a.Name, b.Name) })

	if ep, err := e.present(ctx, sources, asked, x, fresh); ep != nil || err != nil {
		return ep, err
	}
	made, err := e.cut(ctx)
	if err != nil {
		return nil, err
	}
	defer made()
	gone := map[*serving.Source]*serving.Unfetched{} // whose newest version cannot be had
	over := make([]bases, len(sources))
	for i := range over {
		over[i] = bases{}
		defer over[i].release()
	}
	for {
		// All pins anew each time: building an epoch uses up their states.
		pins := make([]*serving.Pin, len(sources))
		for i, src := range sources {
			var err error
			if u := gone[src]; u != nil {
				pins[i], err = e.serving.Before(ctx, u, asked[src])
			} else {
				pins[i], err = e.serving.PinSince(ctx, src, asked[src], fresh, e.chains.have(src, x, over[i]))
			}
			if err != nil {
				return nil, err
			}
		}
		ep, err := e.epochOf(ctx, pins, over, asked, x, false, made)
		var u *serving.Unfetched
		if !errors.As(err, &u) {
			return ep, err
		}
		gone[u.Source] = u
	}
}

// cut waits for a turn to make an epoch, and returns what ends it; calling that
// twice is fine.
func (e *Engine) cut(ctx context.Context) (made func(), err error) {
	select {
	case e.cutting <- struct{}{}:
		return sync.OnceFunc(func() { <-e.cutting }), nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// epochOf returns an epoch of these pins, whose deltas lie over some bases. Those of the past were not the newest
// version. Made ends the turn: whoever waits for another to make the epoch does
// not keep a third from making one.
func (e *Engine) epochOf(ctx context.Context, pins []*serving.Pin, over []bases, asked map[*serving.Source][]string, x extras, past bool, made func()) (*epoch, error) {
	key := keyOf(pins, asked, x)
	ep, inForce, err := e.shared(ctx, key, made)
	if ep != nil || err != nil {
		return ep, err
	}
	ep = &epoch{key: key, extras: x, sources: inForce, users: 1, ready: make(chan struct{})}
	var last *epoch
	if !past {
		ep.kind = kindOf(pins, asked, x)
		last = e.passed(ep.kind, inForce)
	}
	if last != nil {
		ep.catalog, ep.slots, ep.texts = last.catalog, last.slots, last.texts
	} else {
		e.serial++
		ep.catalog = catalogOf(e.serial)
	}
	e.epochs = append(e.epochs, ep)
	e.mu.Unlock()

	if ep.err = replay(ctx, pins); ep.err == nil {
		e.crowd.patiently(func() { ep.err = e.build(ctx, ep, pins, over, asked) })
	}
	if last != nil {
		last.slots = nil
		last.local.Close()
		last.unmark()
	}
	if ep.err != nil {
		ep.abandoned = ctx.Err() != nil
		e.forget(ep)
	}
	close(ep.ready)
	if ep.err != nil {
		return nil, ep.err
	}
	for _, p := range pins {
		if !past {
			e.serving.Answered(p, asked[p.Source])
		}
	}
	e.evict()
	return ep, nil
}

// keyOf names what an epoch answers: equal keys, equal rows.
func keyOf(pins []*serving.Pin, asked map[*serving.Source][]string, x extras) string {
	var key strings.Builder
	for _, p := range pins {
		at := p.At()
		if planted.On(planted.EpochOfOld) {
			at = nil
		}
		fmt.Fprintf(&key, "%s %d %s %v;", p.Source.Name, p.Manifest.Version, at, p.Stale != "")
		for _, v := range asked[p.Source] {
			fmt.Fprintf(&key, " %s %s", v, p.View(v).Version())
		}
		fmt.Fprintf(&key, " references %s", p.References) // the receipt has them
	}
	key.WriteString(x.key())
	return key.String()
}

// kindOf names what the catalog of an epoch is made of, but for how far speed has
// come: of one kind, the next can have the catalog of the last.
func kindOf(pins []*serving.Pin, asked map[*serving.Source][]string, x extras) string {
	var kind strings.Builder
	for _, p := range pins {
		fmt.Fprintf(&kind, "%s %d;", p.Source.Name, p.Manifest.Version)
		for _, v := range asked[p.Source] {
			fmt.Fprintf(&kind, " %s %s", v, p.View(v).Version())
		}
		fmt.Fprintf(&kind, " references %s", p.References)
	}
	kind.WriteString(x.key())
	return kind.String()
}

// passed takes out an epoch of a kind that nobody uses, if there is one: speed
// has passed it, or else it were shared. The caller holds e.mu, and has its catalog.
func (e *Engine) passed(kind string, inForce []*serving.Source) *epoch {
	i := slices.IndexFunc(e.epochs, func(ep *epoch) bool {
		return ep.users == 0 && !ep.passing && ep.kind == kind && slices.Equal(ep.sources, inForce)
	})
	if i < 0 {
		return nil
	}
	ep := e.epochs[i]
	e.epochs = slices.Delete(e.epochs, i, i+1)
	return ep
}

// shared returns the epoch with a key, which the caller releases. Without one
// it returns the pipelines in force and leaves e.mu locked.
// Wait is called before waiting for another to make it.
func (e *Engine) shared(ctx context.Context, key string, wait func()) (*epoch, []*serving.Source, error) {
	inForce := e.serving.Sources()
	e.mu.Lock()
again:
	for _, ep := range e.epochs {
		if ep.passing || ep.key != key || !slices.Equal(ep.sources, inForce) {
			continue
		}
		ep.users++
		e.mu.Unlock()
		wait()
		select {
		case <-ep.ready:
		case <-ctx.Done():
			e.release(ep)
			return nil, nil, context.Cause(ctx)
		}
		switch {
		case ep.err == nil:
			return ep, nil, nil
		case !ep.abandoned:
			err := ep.err
			e.release(ep)
			return nil, nil, err
		}
		// Whoever was making it has gone away.
		e.release(ep)
		e.mu.Lock()
		goto again
	}
	return nil, inForce, nil
}

// present returns the epoch of where the pipelines stand now, if there is one
// already: then speed is not asked for the groups it has touched.
func (e *Engine) present(ctx context.Context, sources []*serving.Source, asked map[*serving.Source][]string, x extras, fresh serving.Fresh) (*epoch, error) {
	e.mu.Lock()
	none := len(e.epochs) == 0
	e.mu.Unlock()
	if none {
		return nil, nil
	}
	pins := make([]*serving.Pin, len(sources))
	for i, src := range sources {
		var err error
		if pins[i], err = e.serving.Peek(ctx, src, asked[src], fresh); err != nil {
			return nil, nil // asking for all of it tells why, or finds an older version
		}
	}
	ep, _, err := e.shared(ctx, keyOf(pins, asked, x), func() {})
	if ep == nil && err == nil {
		e.mu.Unlock()
	}
	return ep, err
}

func (e *Engine) release(ep *epoch) {
	e.mu.Lock()
	ep.users--
	e.mu.Unlock()
	e.evict()
}

// forget drops an epoch that could not be built.
func (e *Engine) forget(ep *epoch) {
	e.mu.Lock()
	ep.users--
	e.epochs = slices.DeleteFunc(e.epochs, func(o *epoch) bool { return o == ep })
	e.mu.Unlock()
	e.drop(ep)
}

// evict drops the oldest epochs that nobody uses.
func (e *Engine) evict() {
	for {
		e.mu.Lock()
		i := -1
		if len(e.epochs) > keep {
			i = slices.IndexFunc(e.epochs, func(ep *epoch) bool { return ep.users == 0 })
		}
		if j := slices.IndexFunc(e.epochs, func(ep *epoch) bool { return ep.users == 0 && ep.passing }); j >= 0 {
			i = j
		}
		if i < 0 {
			e.mu.Unlock()
			return
		}
		ep := e.epochs[i]
		e.epochs = slices.Delete(e.epochs, i, i+1)
		e.mu.Unlock()
		e.drop(ep)
	}
}

func (e *Engine) drop(ep *epoch) {
	e.moveOut(e.standing.out(ep.catalog)...)
	var err error
	e.crowd.patiently(func() { _, err = e.db.Exec("DETACH DATABASE IF EXISTS " + name(ep.catalog)) })
	if err != nil {
		e.o.Logger.Warn("drop epoch", "epoch", ep.catalog, "error", err)
	}
	ep.local.Close()
	ep.unmark()
}

// unmark frees the marks and the overlays, and where they were found, when no
// query reads them any more.
func (ep *epoch) unmark() {
	for _, m := range ep.marks {
		m.free()
	}
	ep.marks = nil
	for _, l := range ep.laid {
		l.release()
	}
	ep.laid = nil
	for _, p := range ep.slots {
		p.free()
	}
	ep.slots = nil
}
