package sql

import (
	"context"

	"github.com/apache/arrow/go/v17/arrow"
	bindings "github.com/duckdb/duckdb-go-bindings"
	"github.com/duckdb/duckdb-go/v2"

	"anabranch/fault"
	"anabranch/serving"
)

// Held is a query whose cut is found and stays until Close: it is answered as
// often as it is asked, with the same rows. It keeps that cut's files and
// overlay, and neither a turn nor a connection.
type Held struct {
	Schema  *arrow.Schema // nil: it depends on the arguments
	Receipt serving.Receipt

	engine  *Engine
	request Request
	epoch   *epoch
	text    wording
	args    []any
	origins origins
	// As a stay has them.
	filters map[string]*filter
	closed  bool // guarded by Engine.mu
}

// Hold finds the cut of a query, and what columns it answers with.
func (e *Engine) Hold(ctx context.Context, r Request) (*Held, error) {
	s, err := e.enter(ctx, r)
	if err != nil {
		return nil, err
	}
	h := &Held{Receipt: s.receipt, engine: e, request: r, epoch: s.epoch, text: s.text, args: s.args, origins: s.origins, filters: s.filters}
	leave := func() { _ = s.leave() }
	plan := func() {
		err = s.conn.Raw(func(dc any) error {
			return preparing(s.ctx, dc, s.text.runs, func(prepared *duckdb.Stmt) (err error) {
				h.Schema, _, err = shapesOf(prepared)
				return err
			})
		})
	}
	if !beside(s.ctx, plan, leave) {
		return nil, s.told(context.Cause(s.ctx))
	}
	defer leave()
	if err != nil && fault.KindOf(err) == fault.Unknown {
		err = classify(err)
	}
	if err != nil {
		return nil, s.told(err)
	}
	if h.Schema != nil {
		fields := h.Schema.Fields()
		h.origins.mark(fields)
		h.Schema = withReceipt(fields, h.Receipt)
	}
	e.mu.Lock()
	s.epoch.users++
	e.mu.Unlock()
	return h, nil
}

// Records answers, as Engine.Records does. After Close it is NotFound.
func (h *Held) Records(ctx context.Context) (*Records, error) {
	limits := h.request.Limits.within(h.engine.o.Limits)
	ctx, cancel := limits.limited(ctx)
	told := func(err error) error { return h.engine.explained(ended(ctx, err), h.text, h.epoch.columns()) }
	s, err := h.enter(ctx)
	if err != nil {
		defer cancel()
		return nil, told(err)
	}
	s.ctx, s.meter, s.told = ctx, &meter{Limits: limits}, told
	leave := s.leave
	s.leave = func() error {
		cancel()
		return leave()
	}
	return s.records()
}

// enter takes the query to its cut.
func (h *Held) enter(ctx context.Context) (*stay, error) {
	e := h.engine
	over, err := e.turns.take(ctx, h.request.User)
	if err != nil {
		return nil, err
	}
	conn, err := e.db.Conn(ctx)
	if err != nil {
		over()
		return nil, fault.Wrap(fault.Transient, err)
	}
	give := func() error {
		defer over()
		return conn.Close()
	}
	e.mu.Lock()
	closed := h.closed
	if !closed {
		h.epoch.users++
	}
	e.mu.Unlock()
	if closed {
		_ = give()
		return nil, fault.New(fault.NotFound, "the query is closed")
	}
	whole := func() {}
	s := &stay{conn: conn, epoch: h.epoch, receipt: h.Receipt, text: h.text, args: h.args, origins: h.origins, crowd: e.crowd, lanes: &e.lanes, leave: func() error {
		whole()
		e.leave(context.WithoutCancel(ctx), conn, h.epoch)
		return give()
	}}
	if _, err := conn.ExecContext(ctx, "USE "+name(h.epoch.catalog)); err != nil {
		_ = s.leave()
		return nil, classify(err)
	}
	undo, err := h.epoch.narrow(conn, h.filters)
	if err != nil {
		_ = s.leave()
		return nil, err
	}
	whole = undo
	return s, nil
}

// Close lets the cut go; records that are being read go on. Calling it twice is
// fine.
func (h *Held) Close() {
	h.engine.mu.Lock()
	closed := h.closed
	h.closed = true
	h.engine.mu.Unlock()
	if !closed {
		h.engine.release(h.epoch)
	}
}

// Shapes returns the columns that a query answers with and its parameters, as
// Arrow has them, without a look at the data. Where it depends on the values
// of the parameters what the columns are, answer is nil; a parameter that may
// be of any type is a text.
func (e *Engine) Shapes(ctx context.Context, r Request) (answer, params *arrow.Schema, err error) {
	err = e.prepared(ctx, r, func(s *duckdb.Stmt, _ origins) (err error) {
		answer, params, err = shapesOf(s)
		return err
	})
	if err != nil { // before looking at the others: somebody may still fill them in
		return nil, nil, e.explained(err, unchanged(r.SQL), nil)
	}
	return answer, params, nil
}

func shapesOf(s *duckdb.Stmt) (answer, params *arrow.Schema, err error) {
	handle, err := handle[*bindings.PreparedStatement](s, "preparedStmt")
	if err != nil {
		return nil, nil, err
	}
	p := *handle
	fields := []arrow.Field{}
	for i := range bindings.NParams(p) {
		f := arrow.Field{Name: bindings.ParameterName(p, i+1), Type: arrow.BinaryTypes.String, Nullable: true}
		if bindings.ParamType(p, i+1) != bindings.TypeInvalid {
			if c, err := child(bindings.ParamLogicalType(p, i+1)); err == nil {
				f.Type = c.dataType()
			}
		}
		fields = append(fields, f)
	}
	params = arrow.NewSchema(fields, nil)
	fields = []arrow.Field{}
	for i := range bindings.PreparedStatementColumnCount(p) {
		if bindings.PreparedStatementColumnType(p, i) == bindings.TypeInvalid {
			return nil, params, nil
		}
		name := bindings.PreparedStatementColumnName(p, i)
		c, err := child(bindings.PreparedStatementColumnLogicalType(p, i))
		if err != nil {
			return nil, nil, notArrow(name, err)
		}
		fields = append(fields, arrow.Field{Name: name, Type: c.dataType(), Nullable: true})
	}
	return arrow.NewSchema(fields, nil), params, nil
}

// notArrow is the error of a column that Arrow has no place for.
func notArrow(column string, err error) error {
	return fault.WithCode(fault.New(fault.Invalid, "column %s: %v", column, err), "not_arrow")
}
