// Package sql answers SELECTs over merged views with DuckDB, in process.
//
// Every cut that a query sees is a catalog of its own in the engine, an
// [epoch]: batch files read where they lie, without the groups that speed has
// touched since the cut, and those groups merged in Go beside them. Queries at
// the same positions share an epoch; nothing in it ever changes.
package sql

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/duckdb/duckdb-go/v2"

	"anabranch/fault"
	"anabranch/schemas"
	"anabranch/serving"
)

// Options of an Engine.
type Options struct {
	// CacheDirs are the only folders the engine may read: the local copies of
	// batch files.
	CacheDirs   []string
	MemoryLimit string // as DuckDB writes it, default 2GB
	Threads     int    // default 2
	// MaxQueries is how many queries run at once; others wait their turn, for
	// Patience. Default 32.
	MaxQueries int
	Patience   time.Duration // default 5 s
	MaxSQL     int           // bytes of one query, default 256 KiB
	Logger     *slog.Logger
}

// Engine runs queries. It is safe for concurrent use.
type Engine struct {
	serving *serving.Serving
	o       Options
	db      *sql.DB
	running chan struct{} // one token for each query
	cutting chan struct{} // one token for each cut being made: it copies states

	mu     sync.Mutex // guards the fields below
	epochs []*epoch   // the newest last
	serial int
}

// New opens an engine over s.
func New(ctx context.Context, s *serving.Serving, o Options) (*Engine, error) {
	if o.MemoryLimit == "" {
		o.MemoryLimit = "2GB"
	}
	if o.Threads == 0 {
		o.Threads = 2
	}
	o.MaxQueries = cmp.Or(o.MaxQueries, 32)
	o.Patience = cmp.Or(o.Patience, 5*time.Second)
	if o.MaxSQL == 0 {
		o.MaxSQL = 256 << 10
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	db, err := sql.Open("duckdb", "")
	if err != nil {
		return nil, fault.Wrap(fault.Bug, fmt.Errorf("open the SQL engine: %w", err))
	}
	dirs := make([]string, len(o.CacheDirs))
	for i, d := range o.CacheDirs {
		dirs[i] = text(strings.TrimRight(d, "/") + "/")
	}
	// The last two lines lock the engine: readers reach no file but the cached
	// copies, and cannot change that.
	for _, set := range []string{
		"SET memory_limit=" + text(o.MemoryLimit),
		fmt.Sprintf("SET threads=%d", o.Threads),
		"SET TimeZone='UTC'",
		"SET autoinstall_known_extensions=false",
		"SET autoload_known_extensions=false",
		"SET allowed_directories=[" + strings.Join(dirs, ",") + "]",
		"SET enable_external_access=false",
		"SET lock_configuration=true",
	} {
		if _, err := db.ExecContext(ctx, set); err != nil {
			db.Close()
			return nil, fault.Wrap(fault.Bug, fmt.Errorf("set up the SQL engine: %s: %w", set, err))
		}
	}
	return &Engine{serving: s, o: o, db: db, running: make(chan struct{}, o.MaxQueries), cutting: make(chan struct{}, o.Threads)}, nil
}

// Close ends the engine; queries that run fail.
func (e *Engine) Close() error {
	e.mu.Lock()
	epochs := e.epochs
	e.epochs = nil
	e.mu.Unlock()
	for _, ep := range epochs {
		ep.local.Close()
	}
	return e.db.Close()
}

// Request is one query.
type Request struct {
	SQL   string
	Fresh serving.Fresh
}

// Query runs one SELECT at one cut. The caller closes the answer.
//
// Errors: Invalid for a mistake in the SQL, with its place; NotFound for an
// unknown pipeline; what serving.Pin reports.
func (e *Engine) Query(ctx context.Context, r Request) (*Answer, error) {
	if len(r.SQL) > e.o.MaxSQL {
		return nil, fault.WithCode(fault.New(fault.Invalid, "the query has %d bytes, the limit is %d", len(r.SQL), e.o.MaxSQL), "sql_too_long")
	}
	conn, err := e.db.Conn(ctx)
	if err != nil {
		return nil, fault.Wrap(fault.Transient, err)
	}
	done := conn.Close
	defer func() {
		if done != nil {
			_ = done()
		}
	}()
	tables, err := parse(ctx, conn, r.SQL)
	if err != nil {
		return nil, err
	}
	asked, err := e.resolve(tables)
	if err != nil {
		return nil, err
	}
	fresh, err := e.settle(ctx, asked, r.Fresh)
	if err != nil {
		return nil, err
	}
	over, err := e.turn(ctx)
	if err != nil {
		return nil, err
	}
	done = func() error {
		defer over()
		return conn.Close()
	}
	ep, err := e.epochFor(ctx, asked, fresh)
	if err != nil {
		return nil, err
	}
	if _, err := conn.ExecContext(ctx, "USE "+name(ep.catalog)); err != nil {
		e.release(ep)
		return nil, classify(err)
	}
	rows, err := conn.QueryContext(ctx, r.SQL)
	if err != nil {
		e.leave(ctx, conn, ep)
		return nil, classify(err)
	}
	a, err := newAnswer(rows, ep.receipt)
	if err != nil {
		rows.Close()
		e.leave(ctx, conn, ep)
		return nil, err
	}
	closeConn := done
	a.close = func() error {
		err := rows.Close()
		e.leave(context.WithoutCancel(ctx), conn, ep)
		return errors.Join(err, closeConn())
	}
	done = nil
	return a, nil
}

// turn waits until one more query may run. The caller calls what it returns
// when that is over.
func (e *Engine) turn(ctx context.Context) (over func(), err error) {
	soon, cancel := context.WithTimeout(ctx, e.o.Patience)
	defer cancel()
	select {
	case e.running <- struct{}{}:
		return func() { <-e.running }, nil
	case <-soon.Done():
	}
	if ctx.Err() != nil {
		return nil, fault.Wrap(fault.Transient, context.Cause(ctx))
	}
	return nil, fault.WithCode(fault.New(fault.Throttled, "%d queries run at this moment, and none has ended for %s", e.o.MaxQueries, e.o.Patience), "busy")
}

// leave takes a connection out of an epoch's catalog before the epoch may go.
func (e *Engine) leave(ctx context.Context, conn *sql.Conn, ep *epoch) {
	if _, err := conn.ExecContext(ctx, "USE memory"); err != nil {
		e.o.Logger.Warn("leave epoch", "epoch", ep.catalog, "error", err)
	}
	e.release(ep)
}

// resolve finds the pipelines and views that a query reads, by pipeline.
func (e *Engine) resolve(tables []table) (map[*serving.Source][]string, error) {
	asked := map[*serving.Source][]string{}
	for _, t := range tables {
		if t.schema == "" {
			if err := e.unqualified(t); err != nil {
				return nil, err
			}
			continue
		}
		if t.schema == "information_schema" || t.schema == "pg_catalog" || t.schema == "main" {
			continue
		}
		src, err := e.serving.Source(t.schema)
		if err != nil {
			return nil, err
		}
		if src.View(t.name) == nil {
			var names []string
			for _, v := range src.Views {
				names = append(names, v.Name())
			}
			return nil, fault.WithCode(fault.New(fault.Invalid, "pipeline %s has no view %q: %s", t.schema, t.name, schemas.DidYouMean(t.name, names)), "unknown_view")
		}
		if !contains(asked[src], t.name) {
			asked[src] = append(asked[src], t.name)
		}
	}
	return asked, nil
}

// unqualified helps with a view named without its pipeline. Tables of the
// engine itself (duckdb_tables and the like) are fine.
func (e *Engine) unqualified(t table) error {
	for _, src := range e.serving.Sources() {
		if src.View(t.name) != nil {
			return fault.WithCode(fault.New(fault.Invalid, "table %q is not known: did you mean %s.%s?", t.name, src.Name, t.name), "unknown_view")
		}
	}
	return nil
}

func contains(list []string, s string) bool {
	for _, x := range list {
		if x == s {
			return true
		}
	}
	return false
}

// text quotes s as an SQL string, name as an SQL identifier.
func text(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }
func name(s string) string { return `"` + strings.ReplaceAll(s, `"`, `""`) + `"` }

// classify gives DuckDB's errors a kind: this is the edge where they are
// understood.
func classify(err error) error {
	var d *duckdb.Error
	if !errors.As(err, &d) {
		return fault.Wrap(fault.Transient, err)
	}
	switch d.Type {
	case duckdb.ErrorTypeOutOfMemory:
		return fault.WithCode(fault.New(fault.Throttled, "the query needs more memory than queries may have: %s", d.Msg), "memory_limit")
	case duckdb.ErrorTypeInterrupt:
		return fault.New(fault.Transient, "the query was interrupted")
	case duckdb.ErrorTypeIO, duckdb.ErrorTypeInternal, duckdb.ErrorTypeFatal, duckdb.ErrorTypeSerialization:
		return fault.New(fault.Corrupt, "run the query: %s", d.Msg)
	case duckdb.ErrorTypePermission:
		return fault.New(fault.Denied, "%s", d.Msg)
	}
	return fault.WithCode(fault.New(fault.Invalid, "%s", d.Msg), "sql")
}
