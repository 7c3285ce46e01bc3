package view

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"

	"anabranch/event"
	"anabranch/fault"
)

// Source is the text of one view or rule, and where it stands.
type Source struct {
	Name string // of the view, or the code of the rule
	SQL  string
	File string // for messages; may be empty

	// Line and Column are the place in File of the first byte of SQL, from 1;
	// zero means that SQL is the whole file.
	Line, Column int
}

// View is one compiled view. It is immutable and shared by goroutines.
type View struct {
	shape    *event.Shape // of the events it was compiled for
	source   Source
	version  string
	output   *event.Shape
	keys     []int // for each key of program its column of output
	inputs   []string
	lineage  Lineage
	notAdded []string // by column of output, see NotAdded
	within   bool
	program  *program
	check    checkQuery // what Oracle returns
}

// meaning names what compiled views compute beyond their text: it changes when
// states of the same text can no longer be merged with older ones.
const meaning = "1"

// View turns src into a view over events of the given shape; timeField names
// the event time and may be empty. The error is a *Problem (Invalid), or of
// another kind when DuckDB itself could not be asked.
func (c *Compiler) View(ctx context.Context, src Source, shape *event.Shape, timeField string) (*View, error) {
	d, err := c.duck(ctx, src, shape)
	if err != nil {
		return nil, err
	}
	tree, err := d.parse(ctx, src.SQL)
	if err != nil {
		return nil, err
	}
	if err := d.supported(tree); err != nil {
		return nil, err
	}
	for _, n := range tree.List {
		if err := d.noWindow(n); err != nil {
			return nil, err
		}
	}
	forget, err := d.namespace(ctx, tree.From.Schema)
	if err != nil {
		return nil, err
	}
	defer forget()
	columns, err := d.describe(ctx, src.SQL)
	if err != nil {
		return nil, err
	}
	if len(columns) != len(tree.List) {
		return nil, d.problem(tree.List[0].place(), "* is not supported in a view", "name the columns")
	}
	s := &selection{duck: d, shape: shape, tree: tree, columns: columns}
	s.binder = binder{ctx: ctx, duck: d, shape: shape, table: cmpOr(tree.From.Alias, tree.From.Table), aliases: map[string]*astNode{}, open: map[string]bool{}}
	if err := s.resolve(); err != nil {
		return nil, err
	}
	v := &View{source: src, shape: shape, output: s.output, keys: s.keyColumns, program: s.program()}
	for i, f := range shape.Fields {
		if s.used[i] {
			v.inputs = append(v.inputs, f.Name)
		}
	}
	v.lineage, v.notAdded = s.findLineage(), s.findNotAdded()
	v.within = withinDay(s.keys, shape, timeField)
	v.version = version(src.SQL, shape, v.inputs)
	if v.check, err = d.oracle(ctx, src.SQL, v.output); err != nil {
		return nil, err
	}
	return v, nil
}

func cmpOr(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

// version hashes the text and the columns it reads, by name and type: a field
// that the view does not read may change, and fields may change places.
func version(sql string, shape *event.Shape, inputs []string) string {
	h := sha256.New()
	fmt.Fprintf(h, "%s\x00%s\x00", meaning, strings.TrimSpace(sql))
	for _, name := range slices.Sorted(slices.Values(inputs)) {
		fmt.Fprintf(h, "%s %v\x00", name, shape.Fields[shape.Index(name)].Type)
	}
	return hex.EncodeToString(h.Sum(nil)[:8])
}

// supported refuses the clauses of a SELECT that a fold has no place for.
func (d *duck) supported(s *astSelect) error {
	no := func(at int, what, hint string) error {
		return d.problem(at, what+" is not supported in a view", hint)
	}
	if s == nil || s.Type != "SELECT_NODE" {
		return no(0, "UNION, EXCEPT or INTERSECT", "write one view for each side")
	}
	for _, m := range s.Modifiers {
		switch text := string(m); {
		case strings.Contains(text, "DISTINCT_MODIFIER"):
			return no(0, "SELECT DISTINCT", "write GROUP BY ALL")
		case strings.Contains(text, `"ORDER_MODIFIER"`) && !strings.Contains(text, "LIMIT"):
			return no(d.find("order"), "ORDER BY", "order the rows when asking the view")
		default:
			return no(d.find("limit"), "LIMIT", "limit the rows when asking the view")
		}
	}
	at := s.From.Location
	place := int(at)
	if at == nowhere {
		place = -1
	}
	switch {
	case len(s.With.Map) > 0:
		return no(0, "WITH", "write one SELECT")
	case s.Having != nil:
		return no(s.Having.place(), "HAVING", "a group may pass and fail it from event to event: filter when asking the view")
	case s.Qualify != nil:
		return no(s.Qualify.place(), "QUALIFY", "filter when asking the view")
	case s.Sample != nil || s.From.Sample != nil:
		return no(place, "a SAMPLE", "filter by a field instead")
	case s.From.Type == "EMPTY":
		return d.problem(0, "a view reads events", "write SELECT ... FROM events GROUP BY ALL")
	case s.From.Type == "JOIN":
		return no(place, "a JOIN", "read FROM events alone, and join when asking the view")
	case s.From.Type != "BASE_TABLE" || len(s.From.Columns) > 0:
		if place < 0 {
			place = strings.Index(strings.ToLower(d.src.SQL), "from")
		}
		return no(place, "FROM anything but events", "write FROM events")
	case !strings.EqualFold(s.From.Table, "events"):
		return d.problem(place, fmt.Sprintf("a view reads FROM events, not FROM %s", s.From.Table), "write FROM events")
	case len(s.GroupSets) > 1 || len(s.GroupSets) == 1 && len(s.GroupSets[0]) != len(s.GroupBy):
		return no(s.GroupBy[0].place(), "GROUPING SETS, CUBE or ROLLUP", "write one view for each set of keys")
	}
	return nil
}

// noWindow refuses window functions before DuckDB does so without a place.
func (d *duck) noWindow(n *astNode) error {
	if n.Class == "WINDOW" {
		return d.problem(n.place(), fmt.Sprintf("%s(...) OVER is not supported in a view", n.Function), "a view is a fold by key; use OVER when asking the view")
	}
	for _, p := range n.parts() {
		if err := d.noWindow(p); err != nil {
			return err
		}
	}
	return nil
}

// find returns the last place of a word in the text, for clauses that DuckDB
// gives no place; -1 when it is not there.
func (d *duck) find(word string) int {
	return strings.LastIndex(strings.ToLower(d.src.SQL), word) + d.off
}

// namespace makes a table of events in another schema, which a text may name,
// until forget is called: the next text must not see it.
func (d *duck) namespace(ctx context.Context, schema string) (forget func(), err error) {
	forget = func() {}
	if schema == "" || strings.EqualFold(schema, "main") {
		return forget, nil
	}
	for _, q := range []string{"CREATE SCHEMA " + quote(schema), "CREATE TABLE " + quote(schema) + ".events AS FROM main.events"} {
		if _, err := d.db.ExecContext(ctx, q); err != nil {
			forget()
			return forget, d.foreign(ctx, "bind", err)
		}
		forget = func() {
			// It cannot fail: the schema is there, and nobody else uses it.
			_, _ = d.db.ExecContext(context.WithoutCancel(ctx), "DROP SCHEMA "+quote(schema)+" CASCADE")
		}
	}
	return forget, nil
}

// Name returns the name of the view.
func (v *View) Name() string { return v.source.Name }

// As returns the same view under another name.
func (v *View) As(name string) *View {
	c := *v
	c.source.Name = name
	return &c
}

// SQL returns the text the view was compiled from.
func (v *View) SQL() string { return v.source.SQL }

// Version names what the view computes: a hash of its text and of the columns
// it reads. State of one version is never merged with that of another.
func (v *View) Version() string { return v.version }

// Output returns the columns of the SELECT list, in order, with DuckDB's types.
func (v *View) Output() *event.Shape { return v.output }

// Keys returns which columns of Output are the group, in the order of the
// state's key columns.
func (v *View) Keys() []int { return slices.Clone(v.keys) }

// Inputs returns the names of the event columns the view reads, in the order
// of the event's shape.
func (v *View) Inputs() []string { return slices.Clone(v.inputs) }

// WithinDay reports whether no group ever spans two event days, because one
// of the keys tells the day of the event time.
func (v *View) WithinDay() bool { return v.within }

// selection is a SELECT on its way to a program.
type selection struct {
	duck    *duck
	shape   *event.Shape
	tree    *astSelect
	columns []column
	binder  binder

	where      *expr
	keys       []*expr
	keyColumns []int
	items      []*expr // the SELECT list
	used       map[int]bool
	output     *event.Shape
}

// resolve binds the clauses and finds the keys among the SELECT list.
func (s *selection) resolve() error {
	b, d := &s.binder, s.duck
	for _, n := range s.tree.List {
		if n.Alias != "" {
			b.aliases[strings.ToLower(n.Alias)] = n
		}
	}
	s.items = make([]*expr, len(s.tree.List))
	fields := make([]event.Field, len(s.items))
	for i, n := range s.tree.List {
		e, err := b.bind(n)
		if err != nil {
			return err
		}
		name := s.columns[i].name
		if e.op == opInterval || e.untyped() || e.typ.SQL() != s.columns[i].typ {
			return b.refuse(n, "cast it to a type such as BIGINT, DOUBLE, DECIMAL, VARCHAR, DATE or TIMESTAMP", "the column %s of type %s is not supported in a view", name, s.columns[i].typ)
		}
		for _, f := range fields[:i] {
			if strings.EqualFold(f.Name, name) {
				return b.refuse(n, "give one of them another name with AS", "two columns are called %s", name)
			}
		}
		if err := d.constantsHold(e); err != nil {
			return err
		}
		s.items[i] = e
		fields[i] = event.Field{Name: name, Type: e.typ, Nullable: e.null}
	}
	s.output = event.NewShape(fields...)
	b.plain = true
	if s.tree.Where != nil {
		e, err := b.condition(s.tree.Where)
		if err != nil {
			return err
		}
		if err := d.constantsHold(e); err != nil {
			return err
		}
		s.where = e
	}
	if err := s.resolveKeys(); err != nil {
		return err
	}
	s.used = map[int]bool{}
	for _, e := range append([]*expr{s.where}, s.items...) {
		e.walk(func(e *expr) {
			if e.op == "column" {
				s.used[e.column] = true
			}
		})
	}
	return nil
}

func hasAggregate(e *expr) bool {
	found := false
	e.walk(func(e *expr) { found = found || e.op == "aggregate" })
	return found
}

// resolveKeys finds the keys: with GROUP BY ALL the columns without an
// aggregate, else those that the list names.
func (s *selection) resolveKeys() error {
	b := &s.binder
	add := func(column int) {
		key := s.items[column].key()
		for _, k := range s.keys {
			if k.key() == key {
				return
			}
		}
		s.keys, s.keyColumns = append(s.keys, s.items[column]), append(s.keyColumns, column)
	}
	if s.tree.Handling == "FORCE_AGGREGATES" {
		for i, e := range s.items {
			if !hasAggregate(e) {
				add(i)
			}
		}
		return nil
	}
	var folds bool
	for _, e := range s.items {
		folds = folds || hasAggregate(e)
	}
	if len(s.tree.GroupBy) == 0 && !folds {
		return b.refuse(s.tree.List[0], "add GROUP BY ALL, and aggregates such as count(*)", "a view without GROUP BY and aggregates is not supported")
	}
	for _, g := range s.tree.GroupBy {
		column, err := s.keyColumn(g)
		if err != nil {
			return err
		}
		add(column)
	}
	return nil
}

// keyColumn returns the column of the SELECT list that a GROUP BY expression
// means: its number, its expression or its name.
func (s *selection) keyColumn(g *astNode) (int, error) {
	b := &s.binder
	if g.Class == "CONSTANT" && g.Value.Type.ID == "INTEGER" {
		var n int
		if _, err := fmt.Sscan(string(g.Value.Value), &n); err == nil && n >= 1 && n <= len(s.items) {
			return n - 1, nil
		}
	}
	e, err := b.bind(g)
	if err != nil {
		return 0, err
	}
	for i, item := range s.items {
		if item.key() == e.key() {
			return i, nil
		}
	}
	return 0, b.refuse(g, "add it to the SELECT list: it tells the groups apart", "GROUP BY an expression that is not in the SELECT list is not supported in a view")
}

// postFailed is the error of an expression over finished aggregates.
func postFailed(why error) error {
	return fault.Wrap(fault.Invalid, fmt.Errorf("finish the groups: %w", why))
}
