package sql

import (
	"context"
	"database/sql"
	"fmt"
	"maps"
	"slices"
	"strings"
	"unsafe"

	"anabranch/event"
	"anabranch/fault"
	"anabranch/serving"
	"anabranch/view"
)

// build makes the catalog: the asked views and nothing else. Without pins they
// have no rows.
func (e *Engine) build(ctx context.Context, ep *epoch, pins []*serving.Pin, over []bases, asked map[*serving.Source][]string) error {
	conn, err := e.db.Conn(ctx)
	if err != nil {
		return classify(err)
	}
	defer conn.Close()
	b := &builder{ctx: ctx, conn: conn, ep: ep, chains: e.chains}
	fresh := ep.texts == nil // or it has the catalog of one before
	if fresh {
		ep.texts = map[tableName]string{}
		b.exec("ATTACH ':memory:' AS " + name(ep.catalog))
		b.exec(fmt.Sprintf("CREATE SCHEMA %s.%s", name(ep.catalog), name(overlaySchema)))
	}
	ep.views, ep.laid = map[string]map[string]*view.View{}, map[string]*laid{}
	byName, basesOf := map[string]*serving.Pin{}, map[string]bases{}
	for i, p := range pins {
		byName[p.Source.Name] = p
		if over != nil {
			basesOf[p.Source.Name] = over[i]
		}
	}
	for _, src := range slices.SortedFunc(maps.Keys(asked), func(a, b *serving.Source) int { return strings.Compare(a.Name, b.Name) }) {
		views := asked[src]
		if fresh {
			b.exec(fmt.Sprintf("CREATE SCHEMA IF NOT EXISTS %s.%s", name(ep.catalog), name(src.Name)))
		}
		p := byName[src.Name]
		of := map[string]*view.View{}
		ep.views[src.Name] = of
		for _, asked := range views {
			if p == nil {
				of[asked] = src.Shown(asked)
				b.exec("CREATE TABLE " + b.table(src.Name, asked).String() + columns(b.with(of[asked].Output(), src.Name, asked)))
				continue
			}
			of[asked] = p.View(asked)
			b.merged(p, asked, basesOf[src.Name][asked])
		}
		for i := range ep.references[src] {
			b.reference(src, p, &ep.references[src][i])
		}
	}
	ep.receipt = e.serving.Receipt(pins...)
	return b.err
}

// builder makes the tables of one epoch; after an error it does nothing.
type builder struct {
	ctx   context.Context
	conn  *sql.Conn
	ep    *epoch
	taken int // of its slots
	err   error
	*chains
}

func (b *builder) exec(query string) {
	if b.err != nil {
		return
	}
	if _, err := b.conn.ExecContext(b.ctx, query); err != nil {
		b.err = fmt.Errorf("prepare the cut: %w", classify(err))
	}
}

// relation makes a view of DuckDB's, unless it is there with the same text.
func (b *builder) relation(table tableName, text string) {
	if b.err != nil || b.ep.texts[table] == text {
		return
	}
	b.exec("CREATE OR REPLACE VIEW " + table.String() + " AS " + text)
	b.ep.texts[table] = text
}

// slot returns what our functions take to find what lies at an address.
func (b *builder) slot(at unsafe.Pointer) int64 {
	if b.taken == len(b.ep.slots) {
		b.ep.slots = append(b.ep.slots, newSlot())
	}
	p := b.ep.slots[b.taken]
	b.taken++
	p.put(at)
	return p.address()
}

func (b *builder) table(schema, table string) tableName {
	return tableName{b.ep.catalog, schema, table}
}

// merged makes one view: batch below the cut, speed at and above it. Where the
// pin has only what changed, base has the rest.
func (b *builder) merged(p *serving.Pin, name string, base *laid) {
	if b.err != nil {
		return
	}
	v := p.View(name)
	results, err := p.Results(name)
	if err != nil {
		b.err = err
		return
	}
	a := &asked{pin: p, name: name, view: v, batch: len(results) > 0, merges: b.ep.merge[p.Source.Name+"."+name]}
	if a.delta, b.err = p.State(name); b.err != nil {
		return
	}
	if p.Delta.Partial[v.Name()] {
		if a.base = base; base == nil {
			b.err = fault.New(fault.Bug, "view %s.%s: speed answered with a part of what nobody has", p.Source.Name, name)
			return
		}
	}
	part := b.ep.noted(p.Source.Name+"."+name, v.Version(), v.Output(), results, a.delta.Len())
	if a.batch {
		local, err := p.Fetch(b.ctx, results)
		if err != nil {
			b.err = err
			return
		}
		a.paths, part.paths = local.Paths, local.Paths
		b.ep.local.Add(local)
	}
	table := b.table(p.Source.Name, name)
	if len(v.Keys()) == 0 {
		b.single(a, table)
		return
	}
	a.of = outputs(v)
	if a.merges {
		a.of += ", _state AS " + mergeColumn
	}
	if b.ep.state {
		a.of += ", 'final' AS " + stateColumn
	}
	l := b.overlay(a)
	if b.err != nil {
		return
	}
	b.ep.laid[p.Source.Name+"."+name] = l
	part.overlay = l.rows
	b.relation(table, strings.Join(b.parts(a, l), " UNION ALL "))
	if b.err == nil {
		b.keep(a, l)
	}
}

// single makes a view without keys.
func (b *builder) single(a *asked, table tableName) {
	if !b.ep.state {
		b.keyless(a, table)
		return
	}
	rows, is := b.table(overlaySchema, "merged "+a.pin.Source.Name+" "+a.name), "provisional"
	if a.batch {
		is = "amended"
	}
	b.keyless(a, rows)
	b.relation(table, "SELECT *, "+text(is)+" AS "+stateColumn+" FROM "+rows.String())
}

// mergeField is the column that merge reads.
var mergeField = event.Field{Name: mergeColumn, Type: event.Type{Kind: event.Bytes}}

// with returns a view's columns with those that the query asks for besides.
func (b *builder) with(s *event.Shape, pipeline, view string) *event.Shape {
	fields := slices.Clone(s.Fields)
	if b.ep.merge[pipeline+"."+view] {
		fields = append(fields, mergeField)
	}
	if b.ep.state {
		fields = append(fields, event.Field{Name: stateColumn, Type: event.Type{Kind: event.String}})
	}
	return event.NewShape(fields...)
}

// create makes a table of a batch.
func (b *builder) create(table tableName, rows *event.Batch) {
	b.exec("CREATE OR REPLACE TABLE " + table.String() + columns(rows.Shape))
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
			list[i] = name(asHuge) + "(" + name(f.Name) + ") AS " + name(f.Name)
		}
	}
	return strings.Join(list, ", ")
}
