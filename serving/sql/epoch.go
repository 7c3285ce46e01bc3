package sql

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"

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
	users   int // guarded by Engine.mu

	ready chan struct{} // closed once err is final
	err   error
}

// keep is how many epochs stay when nobody uses them.
const keep = 4

// settle waits for what fresh asks for and returns it as positions, which are
// there by then: waiting may take long and needs no memory, so it comes before
// taking a turn.
func (e *Engine) settle(ctx context.Context, asked map[*serving.Source][]string, fresh serving.Fresh) (serving.Fresh, error) {
	there := serving.Fresh{AtLeast: map[string]event.Cut{}}
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
func (e *Engine) epochFor(ctx context.Context, asked map[*serving.Source][]string, fresh serving.Fresh) (*epoch, error) {
	sources := make([]*serving.Source, 0, len(asked))
	for src := range asked {
		slices.Sort(asked[src])
		sources = append(sources, src)
	}
	slices.SortFunc(sources, func(a, b *serving.Source) int { return strings.Compare(a.Name, b.Name) })

	select {
	case e.cutting <- struct{}{}:
		defer func() { <-e.cutting }()
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	gone := map[*serving.Source]*serving.Unfetched{} // whose newest version cannot be had
	for {
		// All pins anew each time: building an epoch uses up their states.
		pins := make([]*serving.Pin, len(sources))
		for i, src := range sources {
			var err error
			if u := gone[src]; u != nil {
				pins[i], err = e.serving.Before(ctx, u, asked[src])
			} else {
				pins[i], err = e.serving.Pin(ctx, src, asked[src], fresh)
			}
			if err != nil {
				return nil, err
			}
		}
		ep, err := e.epochOf(ctx, pins, asked)
		var u *serving.Unfetched
		if !errors.As(err, &u) {
			return ep, err
		}
		gone[u.Source] = u
	}
}

// epochOf returns an epoch of these pins.
func (e *Engine) epochOf(ctx context.Context, pins []*serving.Pin, asked map[*serving.Source][]string) (*epoch, error) {
	var key strings.Builder
	for _, p := range pins {
		at := p.Delta.At
		if planted.On(planted.EpochOfOld) {
			at = nil
		}
		fmt.Fprintf(&key, "%s %d %s %v;", p.Source.Name, p.Manifest.Version, at, p.Stale != "")
		for _, v := range asked[p.Source] {
			fmt.Fprintf(&key, " %s %s", v, p.View(v).Version())
		}
	}
	inForce := e.serving.Sources()

	e.mu.Lock()
	for _, ep := range e.epochs {
		if ep.key == key.String() && slices.Equal(ep.sources, inForce) {
			ep.users++
			e.mu.Unlock()
			select {
			case <-ep.ready:
			case <-ctx.Done():
				e.release(ep)
				return nil, context.Cause(ctx)
			}
			if ep.err != nil {
				e.release(ep)
				return nil, ep.err
			}
			return ep, nil
		}
	}
	e.serial++
	ep := &epoch{key: key.String(), sources: inForce, catalog: fmt.Sprintf("cut%d", e.serial), users: 1, ready: make(chan struct{})}
	e.epochs = append(e.epochs, ep)
	e.mu.Unlock()

	ep.err = e.build(ctx, ep, pins, asked)
	close(ep.ready)
	if ep.err != nil {
		e.forget(ep)
		return nil, ep.err
	}
	for _, p := range pins {
		e.serving.Answered(p, asked[p.Source])
	}
	e.evict()
	return ep, nil
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
	if _, err := e.db.Exec("DETACH DATABASE IF EXISTS " + name(ep.catalog)); err != nil {
		e.o.Logger.Warn("drop epoch", "epoch", ep.catalog, "error", err)
	}
	ep.local.Close()
}

// build makes the catalog. Views nobody asked for are there as empty tables,
// so that catalog queries list them.
func (e *Engine) build(ctx context.Context, ep *epoch, pins []*serving.Pin, asked map[*serving.Source][]string) error {
	conn, err := e.db.Conn(ctx)
	if err != nil {
		return classify(err)
	}
	defer conn.Close()
	b := &builder{ctx: ctx, conn: conn, ep: ep}
	b.exec("ATTACH ':memory:' AS " + name(ep.catalog))
	ep.views = map[string]map[string]*view.View{}
	byName := map[string]*serving.Pin{}
	for _, p := range pins {
		byName[p.Source.Name] = p
	}
	for _, src := range ep.sources {
		b.exec(fmt.Sprintf("CREATE SCHEMA %s.%s", name(ep.catalog), name(src.Name)))
		p := byName[src.Name]
		if p != nil {
			src = p.Source // the pipeline may have been opened anew since it was asked
		}
		for _, v := range src.Views {
			if !contains(asked[src], v.Name()) {
				b.exec("CREATE TABLE " + b.table(src.Name, v.Name()).String() + columns(src.Shown(v.Name()).Output()))
			}
		}
		ep.views[src.Name] = map[string]*view.View{}
		for _, name := range asked[src] {
			ep.views[src.Name][name] = p.View(name)
			b.merged(p, name)
		}
	}
	ep.receipt = e.serving.Receipt(pins...)
	return b.err
}

// builder makes the tables of one epoch; after an error it does nothing.
type builder struct {
	ctx  context.Context
	conn *sql.Conn
	ep   *epoch
	err  error
}

func (b *builder) exec(query string) {
	if b.err != nil {
		return
	}
	if _, err := b.conn.ExecContext(b.ctx, query); err != nil {
		b.err = fmt.Errorf("prepare the cut: %w", classify(err))
	}
}

func (b *builder) table(schema, table string) tableName {
	return tableName{b.ep.catalog, schema, table}
}

// merged makes one view: batch below the cut, speed at and above it.
func (b *builder) merged(p *serving.Pin, asked string) {
	if b.err != nil {
		return
	}
	v := p.View(asked)
	results, err := p.Results(asked)
	if err != nil {
		b.err = err
		return
	}
	delta, err := p.State(asked)
	if err != nil {
		b.err = err
		return
	}
	table := b.table(p.Source.Name, asked)
	if len(results) == 0 {
		b.fill(table, delta)
		return
	}
	local, err := p.Fetch(b.ctx, results)
	if err != nil {
		b.err = err
		return
	}
	b.ep.local.Add(local)
	files := make([]string, len(local.Paths))
	for i, path := range local.Paths {
		files[i] = text(path)
	}
	batch := "read_parquet([" + strings.Join(files, ",") + "])"
	if delta.Len() == 0 {
		b.exec("CREATE VIEW " + table.String() + " AS SELECT " + outputs(v) + " FROM " + batch)
		return
	}
	overlay := b.overlayNames(p.Source.Name, asked)
	untouched := b.overlay(overlay, v, delta, batch)
	b.exec("CREATE VIEW " + table.String() + " AS SELECT " + outputs(v) + " FROM " + batch + " AS b WHERE " + untouched +
		" UNION ALL SELECT * FROM " + overlay.rows.String())
}

// fill makes a table of a state's finished rows.
func (b *builder) fill(table tableName, st *view.State) {
	if b.err != nil {
		return
	}
	rows, err := st.Result()
	if err != nil {
		b.err = err
		return
	}
	b.create(table, rows)
}

// create makes a table of a batch.
func (b *builder) create(table tableName, rows *event.Batch) {
	b.exec("CREATE TABLE " + table.String() + columns(rows.Shape))
	if b.err == nil && rows.N > 0 {
		b.err = appendBatch(b.conn, table, rows)
	}
}

// columns is the column list of CREATE TABLE.
func columns(s *event.Shape) string {
	list := make([]string, len(s.Fields))
	for i, f := range s.Fields {
		list[i] = name(f.Name) + " " + f.Type.SQL()
	}
	return "(" + strings.Join(list, ", ") + ")"
}

// outputs is the SELECT list that reads a view's columns from its files.
// Parquet has no 128-bit integer: those columns lie there as decimals.
func outputs(v *view.View) string {
	list := make([]string, len(v.Output().Fields))
	for i, f := range v.Output().Fields {
		list[i] = name(f.Name)
		if f.Type.Kind == event.Huge {
			list[i] = "CAST(" + name(f.Name) + " AS HUGEINT) AS " + name(f.Name)
		}
	}
	return strings.Join(list, ", ")
}
