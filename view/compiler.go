package view

import (
	"context"
	"database/sql"
	"fmt"
	"strings"

	"github.com/duckdb/duckdb-go/v2"

	"anabranch/event"
	"anabranch/fault"
)

// Compiler compiles views and rules. It holds a private, empty database in
// memory that parses, binds and types, and never sees a row: opening one costs
// more than compiling a text, so the texts of one definition share it. It is
// not safe for concurrent use.
type Compiler struct {
	db    *sql.DB
	shape *event.Shape // of the table "events" in db; nil: there is none yet
}

// NewCompiler opens a Compiler, which its caller closes.
func NewCompiler(ctx context.Context) (*Compiler, error) {
	connector, err := duckdb.NewConnector("", nil)
	if err != nil {
		return nil, fault.Wrap(fault.Bug, fmt.Errorf("open duckdb: %w", err))
	}
	c := &Compiler{db: sql.OpenDB(connector)}
	c.db.SetMaxOpenConns(1)
	// No statement here may read files or settings: the text is a user's.
	for _, q := range []string{"SET threads = 1", "SET autoinstall_known_extensions = false", "SET enable_external_access = false"} {
		if _, err := c.db.ExecContext(ctx, q); err != nil {
			c.Close()
			d := duck{db: c.db, src: Source{Name: "the compiler"}}
			return nil, d.foreign(ctx, "set up", err)
		}
	}
	return c, nil
}

// Close lets the database go. What was compiled stays good.
func (c *Compiler) Close() error { return c.db.Close() }

// duck is the database with a table of the given shape, asked about src.
func (c *Compiler) duck(ctx context.Context, src Source, shape *event.Shape) (*duck, error) {
	d := &duck{db: c.db, src: src}
	if c.shape == shape {
		return d, nil
	}
	c.shape = nil
	var table strings.Builder
	table.WriteString("CREATE OR REPLACE TABLE events (")
	for i, f := range shape.Fields {
		if i > 0 {
			table.WriteString(", ")
		}
		table.WriteString(quote(f.Name) + " " + f.Type.SQL())
	}
	table.WriteString(")")
	if _, err := c.db.ExecContext(ctx, table.String()); err != nil {
		return nil, d.foreign(ctx, "prepare the table of events", err)
	}
	c.shape = shape
	return d, nil
}

// Compile is Compiler.View with a Compiler of its own.
func Compile(ctx context.Context, src Source, shape *event.Shape, timeField string) (*View, error) {
	c, err := NewCompiler(ctx)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	return c.View(ctx, src, shape, timeField)
}

// CompilePredicate is Compiler.Predicate with a Compiler of its own.
func CompilePredicate(ctx context.Context, src Source, shape *event.Shape) (*Predicate, error) {
	c, err := NewCompiler(ctx)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	return c.Predicate(ctx, src, shape)
}
