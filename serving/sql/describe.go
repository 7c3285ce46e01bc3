package sql

import (
	"context"
	"fmt"
	"strings"

	bindings "github.com/duckdb/duckdb-go-bindings"
	"github.com/duckdb/duckdb-go/v2"

	"anabranch/fault"
	"anabranch/serving"
)

// Description is what a query takes and returns.
type Description struct {
	Params  []string // DuckDB's names of the types of $1, $2, ...; "" where it depends on the value, DECIMAL without its width
	Columns []Column
}

// Describe tells the parameters and columns of a query without running it. A
// query whose columns depend on the values of its parameters has none.
func (e *Engine) Describe(ctx context.Context, r Request) (Description, error) {
	var d Description
	err := e.prepared(ctx, r, func(s *duckdb.Stmt, from origins) (err error) {
		d, err = describe(s)
		from.tell(d.Columns)
		return err
	})
	if err != nil { // before looking at d: somebody may still fill it in
		return Description{}, e.explained(err, unchanged(r.SQL), nil)
	}
	return d, nil
}

// prepared has fn look at a query that is prepared where all views are empty,
// within the time of queries. After an error fn may still be looking.
func (e *Engine) prepared(ctx context.Context, r Request, fn func(*duckdb.Stmt, origins) error) error {
	ctx, cancel := r.Limits.within(e.o.Limits).limited(ctx)
	var err error
	if !beside(ctx, func() { err = e.prepare(ctx, r, fn) }, cancel) {
		return ended(ctx, ctx.Err())
	}
	defer cancel()
	return err
}

func (e *Engine) prepare(ctx context.Context, r Request, fn func(*duckdb.Stmt, origins) error) error {
	conn, err := e.db.Conn(ctx)
	if err != nil {
		return fault.Wrap(fault.Transient, err)
	}
	defer conn.Close()
	c, err := e.check(ctx, conn, &r)
	if err != nil {
		return err
	}
	// Held until DuckDB is done, which may be long behind the reader. Not a
	// query's: what tools ask before they show anything does not wait for heavy
	// queries, nor they for it.
	over, err := e.plans.take(ctx, r.User)
	if err != nil {
		return err
	}
	defer over()
	ep, err := e.emptyEpoch(ctx, c.asked, c.extras)
	if err != nil {
		return err
	}
	if _, err := conn.ExecContext(ctx, "USE "+name(ep.catalog)); err != nil {
		e.release(ep)
		return classify(err)
	}
	defer e.leave(context.WithoutCancel(ctx), conn, ep)
	text, err := c.written(ctx, conn, ep, nil)
	if err != nil {
		return e.unexplained(err, text, ep)
	}
	err = conn.Raw(func(dc any) error {
		return preparing(ctx, dc, text.runs, func(s *duckdb.Stmt) error { return fn(s, c.origins) })
	})
	if err != nil && fault.KindOf(err) == fault.Unknown {
		err = classify(err)
	}
	return e.explained(ended(ctx, err), text, ep.columns())
}

func describe(s *duckdb.Stmt) (d Description, err error) {
	d.Params = make([]string, s.NumInput())
	for i := range d.Params {
		t, err := s.ParamType(i + 1)
		if err != nil {
			return d, err
		}
		d.Params[i] = scalarTypes[t]
		if t == duckdb.TYPE_DECIMAL {
			d.Params[i] = "DECIMAL" // its width is not told
		}
	}
	n, err := s.ColumnCount()
	if err != nil {
		return d, err
	}
	for i := range n {
		info, err := s.ColumnTypeInfo(i)
		if err != nil || info.InternalType() == duckdb.TYPE_INVALID {
			return Description{Params: d.Params}, nil
		}
		c := Column{Type: typeName(info), Nullable: true}
		if c.Name, err = s.ColumnName(i); err != nil {
			return d, err
		}
		d.Columns = append(d.Columns, c)
	}
	return d, nil
}

// scalarTypes are the names that an answer's columns have as well.
var scalarTypes = map[duckdb.Type]string{
	duckdb.TYPE_BOOLEAN: "BOOLEAN", duckdb.TYPE_TINYINT: "TINYINT", duckdb.TYPE_SMALLINT: "SMALLINT", duckdb.TYPE_INTEGER: "INTEGER",
	duckdb.TYPE_BIGINT: "BIGINT", duckdb.TYPE_UTINYINT: "UTINYINT", duckdb.TYPE_USMALLINT: "USMALLINT", duckdb.TYPE_UINTEGER: "UINTEGER",
	duckdb.TYPE_UBIGINT: "UBIGINT", duckdb.TYPE_FLOAT: "FLOAT", duckdb.TYPE_DOUBLE: "DOUBLE", duckdb.TYPE_TIMESTAMP: "TIMESTAMP",
	duckdb.TYPE_DATE: "DATE", duckdb.TYPE_TIME: "TIME", bindings.TypeTimeNS: "TIME_NS", duckdb.TYPE_INTERVAL: "INTERVAL", duckdb.TYPE_HUGEINT: "HUGEINT",
	duckdb.TYPE_UHUGEINT: "UHUGEINT", duckdb.TYPE_VARCHAR: "VARCHAR", duckdb.TYPE_BLOB: "BLOB", duckdb.TYPE_TIMESTAMP_S: "TIMESTAMP_S",
	duckdb.TYPE_TIMESTAMP_MS: "TIMESTAMP_MS", duckdb.TYPE_TIMESTAMP_NS: "TIMESTAMP_NS", duckdb.TYPE_UUID: "UUID", duckdb.TYPE_BIT: "BIT",
	duckdb.TYPE_TIME_TZ: "TIMETZ", duckdb.TYPE_TIMESTAMP_TZ: "TIMESTAMPTZ", duckdb.TYPE_BIGNUM: "BIGNUM", duckdb.TYPE_ENUM: "ENUM",
}

func typeName(info duckdb.TypeInfo) string {
	switch d := info.Details().(type) {
	case *duckdb.DecimalDetails:
		return fmt.Sprintf("DECIMAL(%d,%d)", d.Width, d.Scale)
	case *duckdb.ListDetails:
		return typeName(d.Child) + "[]"
	case *duckdb.ArrayDetails:
		return fmt.Sprintf("%s[%d]", typeName(d.Child), d.Size)
	case *duckdb.MapDetails:
		return fmt.Sprintf("MAP(%s, %s)", typeName(d.Key), typeName(d.Value))
	case *duckdb.StructDetails:
		list := make([]string, len(d.Entries))
		for i, e := range d.Entries {
			list[i] = name(e.Name()) + " " + typeName(e.Info())
		}
		return "STRUCT(" + strings.Join(list, ", ") + ")"
	}
	return scalarTypes[info.InternalType()]
}

// emptyEpoch makes a catalog in which all views are there without rows. The
// caller leaves it, and it is gone.
func (e *Engine) emptyEpoch(ctx context.Context, asked map[*serving.Source][]string, x extras) (*epoch, error) {
	e.mu.Lock()
	e.serial++
	ep := &epoch{extras: x, sources: e.serving.Sources(), catalog: catalogOf(e.serial), users: 1, ready: make(chan struct{}), passing: true}
	e.epochs = append(e.epochs, ep)
	e.mu.Unlock()
	ep.err = e.build(ctx, ep, nil, nil, asked)
	close(ep.ready)
	if ep.err != nil {
		e.forget(ep)
		return nil, ep.err
	}
	return ep, nil
}
