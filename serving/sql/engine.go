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
	"fmt"
	"log/slog"
	"regexp"
	"strings"
	"sync"
	"time"

	_ "github.com/duckdb/duckdb-go/v2" // the driver

	"anabranch/fault"
	"anabranch/serving"
	"anabranch/serving/lookup"
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
	MaxPerUser int // of them of one user, default half of MaxQueries
	MaxWaiting int // how many wait, default 256
	// MaxPlans is how many plans are made at once for whoever asks for parameters
	// and columns alone; half of them are one user's. As many may wait as of
	// queries, as long. Default MaxQueries.
	MaxPlans int
	Patience time.Duration // default 5 s
	// Limits of every query. Default: a minute, ten million rows, 1 GiB.
	Limits Limits
	MaxSQL int // bytes of one query, default 256 KiB
	// Lookup has indexes of batch files, by which the overlay of a new cut is
	// made of what changed. Default one of its own.
	Lookup *lookup.Lookup
	Logger *slog.Logger
}

// Engine runs queries. It is safe for concurrent use.
type Engine struct {
	serving *serving.Serving
	o       Options
	db      *sql.DB
	folders *regexp.Regexp // what messages do not tell
	turns   *turns
	plans   *turns        // of those that nobody asked an answer of
	cutting chan struct{} // one token for each cut being made: it copies states
	chains  *chains
	parses  parses

	merging  sync.Mutex      // guards mergers
	mergers  map[string]bool // functions that merge, by name
	seats    *seats          // of readers of large answers
	crowd    *crowd
	standing standing
	lanes    lanes

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
	o.MaxPerUser = cmp.Or(o.MaxPerUser, max(1, o.MaxQueries/2))
	o.MaxWaiting = cmp.Or(o.MaxWaiting, 256)
	o.MaxPlans = cmp.Or(o.MaxPlans, o.MaxQueries)
	o.Limits.Time = cmp.Or(o.Limits.Time, time.Minute)
	o.Limits.Rows = cmp.Or(o.Limits.Rows, 10_000_000)
	o.Limits.Bytes = cmp.Or(o.Limits.Bytes, 1<<30)
	o.Patience = cmp.Or(o.Patience, 5*time.Second)
	if o.MaxSQL == 0 {
		o.MaxSQL = 256 << 10
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	var db *sql.DB
	var err error
	inPool(func() { db, err = sql.Open("duckdb", "") }) // which starts DuckDB's threads
	if err != nil {
		return nil, fault.Wrap(fault.Bug, fmt.Errorf("open the SQL engine: %w", err))
	}
	dirs := make([]string, len(o.CacheDirs))
	for i, d := range o.CacheDirs {
		dirs[i] = text(strings.TrimRight(d, "/") + "/")
	}
	// The last two lines lock the engine: readers reach no file but the cached
	// copies, and cannot change that.
	settings := []string{
		"SET memory_limit=" + text(o.MemoryLimit),
		fmt.Sprintf("SET threads=%d", o.Threads),
		"SET TimeZone='UTC'",
		"SET temp_directory=''", // nothing of a query goes to disk
		"SET autoinstall_known_extensions=false",
		"SET autoload_known_extensions=false",
		"SET allowed_directories=[" + strings.Join(dirs, ",") + "]",
		"SET enable_external_access=false",
		"SET lock_configuration=true",
	}
	inPool(func() { // another number of threads starts more, or all anew
		for _, set := range settings {
			if _, err = db.ExecContext(ctx, set); err != nil {
				err = fmt.Errorf("%s: %w", set, err)
				return
			}
		}
		err = ownFunctions(ctx, db)
	})
	if err != nil {
		db.Close()
		return nil, fault.Wrap(fault.Bug, fmt.Errorf("set up the SQL engine: %w", err))
	}
	indexes := newChains(o.Lookup, s, func(what string, err error) {
		o.Logger.Warn("overlays cost more than they have to", "what", what, "error", err)
	})
	return &Engine{
		chains: indexes, mergers: map[string]bool{}, serving: s, o: o, db: db, seats: newSeats(), crowd: newCrowd(o.Threads - 1), folders: folders(o.CacheDirs),
		turns:   newTurns(turnsOfQueries, o.MaxQueries, o.MaxPerUser, o),
		plans:   newTurns(turnsOfPlans, o.MaxPlans, max(1, o.MaxPlans/2), o),
		cutting: make(chan struct{}, o.Threads),
	}, nil
}

// Close ends the engine; queries that run fail.
func (e *Engine) Close() error {
	e.mu.Lock()
	epochs := e.epochs
	e.epochs = nil
	e.mu.Unlock()
	for _, ep := range epochs {
		ep.local.Close()
		if ep.users == 0 {
			ep.unmark()
		}
	}
	e.moveOut(e.standing.end()...)
	e.lanes.close()
	e.chains.close()
	defer e.crowd.close()
	return e.db.Close()
}

// Query runs one SELECT at one cut. The caller closes the answer.
//
// Errors: Invalid for a mistake in the SQL, with its place; NotFound for an
// unknown pipeline; what serving.Pin reports.
func (e *Engine) Query(ctx context.Context, r Request) (*Answer, error) {
	s, err := e.enter(ctx, r)
	if err != nil {
		return nil, err
	}
	return s.answer(e.seats)
}

// stay is a query that may run now: in its turn, on a connection of its own, in
// the catalog of its cut.
type stay struct {
	ctx     context.Context // ends with the time that the query may take
	meter   *meter
	conn    *sql.Conn
	epoch   *epoch
	receipt serving.Receipt
	text    wording
	args    []any
	origins origins
	crowd   *crowd
	lanes   *lanes
	// What it needs of the overlays, of which its connection reads no more.
	filters map[string]*filter
	leave   func() error      // gives all of it back
	taken   func()            // it is known to take long
	done    bool              // read to its end: DuckDB does nothing more on conn, and holds nothing
	told    func(error) error // an error of running it, in the reader's words
}

// onLane returns a lane, until the query leaves.
func (s *stay) onLane() (*lane, error) {
	l, err := s.lanes.lane(s.crowd)
	if err != nil {
		return nil, err
	}
	leave := s.leave
	s.leave = func() error {
		s.lanes.done(l)
		return leave()
	}
	return l, nil
}

// enter checks a query and takes it to its cut.
func (e *Engine) enter(ctx context.Context, r Request) (*stay, error) {
	limits := r.Limits.within(e.o.Limits)
	ctx, cancel := limits.limited(ctx)
	over := e.seats.begin()
	s, err := e.admitInTime(ctx, r)
	if err != nil {
		over()
		defer cancel()
		return nil, e.explained(ended(ctx, err), unchanged(r.SQL), nil)
	}
	s.ctx, s.meter = ctx, &meter{Limits: limits}
	leave := s.leave
	s.leave = func() error {
		cancel()
		defer over()
		return leave()
	}
	s.taken = over
	return s, nil
}

// admitInTime is admit. What it does for a reader who has left it to itself is
// given back when it is done: an explanation plans what it explains.
func (e *Engine) admitInTime(ctx context.Context, r Request) (*stay, error) {
	if _, explain := cutExplain(r.SQL); !explain {
		return e.admit(ctx, r)
	}
	var s *stay
	var err error
	forget := func() {
		if err == nil {
			_ = s.leave()
		}
	}
	if !beside(ctx, func() { s, err = e.admit(ctx, r) }, forget) {
		return nil, context.Cause(ctx)
	}
	return s, err
}

func (e *Engine) admit(ctx context.Context, r Request) (*stay, error) {
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
	c, err := e.check(ctx, conn, &r)
	if err != nil {
		return nil, err
	}
	var fresh serving.Fresh
	if c.asOf == nil {
		if fresh, err = e.settle(ctx, c.asked, r.Fresh); err != nil {
			return nil, err
		}
	}
	over, err := e.turns.take(ctx, r.User)
	if err != nil {
		return nil, err
	}
	done = func() error {
		defer over()
		return conn.Close()
	}
	var ep *epoch
	if c.asOf != nil && len(c.asked) > 0 {
		ep, err = e.epochAsOf(ctx, c.asked, c.extras, c.asOf)
	} else {
		ep, err = e.epochFor(ctx, c.asked, c.extras, fresh)
	}
	if err != nil {
		return nil, err
	}
	receipt := ep.receipt
	if c.asOf != nil {
		if receipt, err = asGiven(receipt, c.asOf); err != nil {
			e.release(ep)
			return nil, err
		}
	}
	if conn, err = e.stand(ctx, conn, ep.catalog); err != nil {
		e.release(ep)
		return nil, classify(err)
	}
	args := r.arguments()
	text, err := c.written(ctx, conn, ep, args)
	if err != nil {
		err = e.unexplained(err, text, ep)
		e.leave(context.WithoutCancel(ctx), conn, ep)
		return nil, err
	}
	if c.explain {
		args = nil
	} else {
		text, args = plannedOnce(text, args)
	}
	var filters map[string]*filter
	if !c.explain {
		filters = ep.filters(c.needs)
	}
	whole, err := ep.narrow(conn, filters)
	if err != nil {
		e.leave(context.WithoutCancel(ctx), conn, ep)
		return nil, err
	}
	give := done
	done = nil
	s := &stay{conn: conn, epoch: ep, receipt: receipt, text: text, args: args, filters: filters, origins: c.origins, crowd: e.crowd, lanes: &e.lanes}
	s.told = func(err error) error { return e.explained(ended(ctx, err), text, ep.columns()) }
	s.leave = func() error {
		whole()
		if !s.done {
			e.leave(context.WithoutCancel(ctx), conn, ep)
			return give()
		}
		defer over()
		if instead := e.standing.keep(conn, ep.catalog); instead != nil {
			e.moveOut(instead)
		}
		e.release(ep)
		GiveBack()
		return nil
	}
	return s, nil
}

// leave takes a connection out of an epoch's catalog before the epoch may go.
func (e *Engine) leave(ctx context.Context, conn *sql.Conn, ep *epoch) {
	var err error
	e.crowd.patiently(func() { _, err = conn.ExecContext(ctx, "USE memory") })
	if err != nil {
		e.o.Logger.Warn("leave epoch", "epoch", ep.catalog, "error", err)
	}
	e.release(ep)
	GiveBack()
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
