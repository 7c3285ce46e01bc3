package pgwire

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"regexp"
	"strings"

	"github.com/duckdb/duckdb-go/v2"

	"anabranch/fault"
	engine "anabranch/serving/sql"
)

// catalogType is the type of a column of the catalog: object ids are UINTEGER
// there, which nothing else is.
func catalogType(duck string) *pgType {
	oid := pgType{kind: kOID, oid: 26, array: 1028, size: 4, mod: -1}
	switch duck {
	case "UINTEGER":
		return &oid
	case "UINTEGER[]":
		return &pgType{kind: kArray, oid: 1028, size: -1, mod: -1, elem: &oid}
	}
	return typeOf(duck)
}

// catalogQuery is the action of a question about the catalog.
func (ses *session) catalogQuery(st statement) (action, error) {
	c := ses.srv.catalog
	asked := rewrite(st)
	text := asked.text
	told := func(err error) error {
		if err == nil || fault.CodeOf(err) != "" {
			return asked.placed(err)
		}
		return asked.placed(engine.CatalogError(err, text))
	}
	var called func([]string) []string
	open := func(ctx context.Context) (*sql.Conn, func(), error) {
		conn, give, err := c.connFor(ctx, ses)
		if err != nil {
			return nil, nil, err
		}
		if called, err = engine.CheckCatalog(ctx, conn, st.text, text, c.functions, catalogTables); err != nil {
			give()
			return nil, nil, told(err)
		}
		return conn, give, nil
	}
	return action{
		rows: true,
		run: func(ctx context.Context, args []any) (result, error) {
			if err := ses.effects(st, args); err != nil {
				return result{}, err
			}
			conn, give, err := open(ctx)
			if err != nil {
				return result{}, err
			}
			var r *sql.Rows
			ask := func() (err error) {
				r, err = conn.QueryContext(ctx, text, args...)
				return err
			}
			left, err := engine.Aside(ctx, conn, ask, func() {
				if r != nil {
					_ = r.Close()
				}
				give()
			})
			if left {
				return result{}, err
			}
			if err != nil {
				give()
				return result{}, told(err)
			}
			types, err := r.ColumnTypes()
			if err != nil {
				r.Close()
				give()
				return result{}, told(err)
			}
			out := &catalogRows{give: give, rows: r, told: told, values: make([]any, len(types)), into: make([]any, len(types))}
			names := make([]string, len(types))
			for i, t := range types {
				names[i] = t.Name()
			}
			names = namedBy(called, names)
			for i, t := range types {
				out.cols = append(out.cols, column{name: names[i], typ: catalogType(t.DatabaseTypeName())})
				out.into[i] = &out.values[i]
			}
			return result{rows: out, tag: "SELECT"}, nil
		},
		describe: func(ctx context.Context, declared []uint32) ([]*pgType, []column, error) {
			conn, give, err := open(ctx)
			if err != nil {
				return nil, nil, err
			}
			var d engine.Description
			as := text
			left, err := engine.Aside(ctx, conn, func() (err error) {
				d, err = describeCatalog(ctx, conn, as)
				if err == nil && len(d.Columns) == 0 && len(declared) > 0 {
					as, _ = typed(as, d.Params, declared, "VARCHAR")
					d, err = describeCatalog(ctx, conn, as)
				}
				return err
			}, give)
			if left {
				return nil, nil, err
			}
			give()
			if err != nil {
				return nil, nil, told(err)
			}
			text = as
			params := make([]*pgType, len(d.Params))
			for i, name := range d.Params {
				if name != "" {
					params[i] = catalogType(name)
				}
			}
			columns, names := make([]column, len(d.Columns)), make([]string, len(d.Columns))
			for i, col := range d.Columns {
				names[i] = col.Name
			}
			names = namedBy(called, names)
			for i, col := range d.Columns {
				columns[i] = column{name: names[i], typ: catalogType(col.Type)}
			}
			return params, columns, nil
		},
	}, nil
}

func describeCatalog(ctx context.Context, conn *sql.Conn, text string) (d engine.Description, err error) {
	err = conn.Raw(func(dc any) error {
		prepared, err := dc.(driver.ConnPrepareContext).PrepareContext(ctx, text)
		if err != nil {
			return err
		}
		defer prepared.Close()
		d, err = engine.DescribeStatement(prepared.(*duckdb.Stmt))
		return err
	})
	return d, err
}

type catalogRows struct {
	give   func()
	told   func(error) error
	rows   *sql.Rows
	cols   []column
	values []any
	into   []any
	data   []engine.Datum
}

func (r *catalogRows) columns() []column { return r.cols }
func (r *catalogRows) rest()             {}
func (r *catalogRows) close() {
	_ = r.rows.Close()
	r.give()
}

func (r *catalogRows) next() ([]engine.Datum, error) {
	if !r.rows.Next() {
		return nil, r.told(r.rows.Err())
	}
	if err := r.rows.Scan(r.into...); err != nil {
		return nil, r.told(err)
	}
	r.data = r.data[:0]
	for _, v := range r.values {
		r.data = append(r.data, engine.DatumOf(v))
	}
	return r.data, nil
}

// byItsCall is how DuckDB names the column of a function's call.
var byItsCall = regexp.MustCompile(`^"?([a-z_][a-z0-9_]*)"?\(`)

// namedBy names columns as PostgreSQL does: clients read version() in the column
// "version".
func namedBy(called func([]string) []string, names []string) []string {
	out := called(names)
	for i, name := range names {
		if out[i] != "" {
			continue
		}
		out[i] = name
		if m := byItsCall.FindStringSubmatch(name); m != nil { // a word of the session's that became a call
			out[i] = strings.TrimSuffix(m[1], "_star") // count(*)
		}
	}
	return out
}
