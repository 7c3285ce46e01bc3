package flightsql

import (
	"context"
	"errors"
	"io"
	"sync"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/flight"
	"github.com/apache/arrow/go/v17/arrow/flight/flightsql"

	"anabranch/fault"
)

// statement is a prepared SELECT: its text and what was bound last. Nothing of
// the engine is kept for it.
type statement struct {
	sql    string
	answer *arrow.Schema // nil: it depends on the arguments

	mu   sync.Mutex // guards args
	args []any
}

func (s *statement) bind(args []any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.args = args
}

func (s *statement) bound() []any {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.args
}

// size is about how many bytes a statement takes, with what is bound to it.
func (s *statement) size() int {
	n := 2 * len(s.sql)
	if s.answer != nil {
		for _, f := range s.answer.Fields() {
			n += 256 + 4*len(f.Name)
		}
	}
	for _, arg := range s.bound() {
		switch x := arg.(type) {
		case string:
			n += len(x)
		case []byte:
			n += len(x)
		}
		n += 64
	}
	return n
}

func (d *Door) statement(ctx context.Context, handle []byte) (*statement, error) {
	s, ok := d.prepared.get(userOf(ctx), handle)
	if !ok {
		return nil, fault.WithCode(fault.New(fault.NotFound, "there is no such prepared statement: it was closed, or not used for %s, or others came after it, of which there may be %d, of 64 MiB; prepare it again", d.o.Prepared, d.o.Statements), "no_statement")
	}
	d.prepared.touch(handle)
	return s, nil
}

// CreatePreparedStatement checks a SELECT and tells its columns and parameters.
func (d *Door) CreatePreparedStatement(ctx context.Context, q flightsql.ActionCreatePreparedStatementRequest) (out flightsql.ActionCreatePreparedStatementResult, err error) {
	r, err := request(ctx, q.GetQuery())
	if err != nil {
		return out, err
	}
	answer, params, err := d.engine.Shapes(ctx, r)
	if err != nil {
		return out, err
	}
	out.DatasetSchema, out.ParameterSchema = answer, params
	s := &statement{sql: r.SQL, answer: answer}
	if out.Handle, err = d.prepared.put(r.User, s); err == nil {
		d.prepared.weigh(out.Handle, s.size())
	}
	return out, err
}

// ClosePreparedStatement forgets a statement; one that is gone is fine.
func (d *Door) ClosePreparedStatement(ctx context.Context, q flightsql.ActionClosePreparedStatementRequest) error {
	d.prepared.drop(userOf(ctx), q.GetPreparedStatementHandle())
	return nil
}

// DoPutPreparedStatementQuery binds the arguments of a statement: one row.
func (d *Door) DoPutPreparedStatementQuery(ctx context.Context, q flightsql.PreparedStatementQuery, in flight.MessageReader, _ flight.MetadataWriter) ([]byte, error) {
	s, err := d.statement(ctx, q.GetPreparedStatementHandle())
	if err != nil {
		return nil, err
	}
	var args []any
	rows := int64(0)
	for {
		rec, err := in.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, fault.Wrap(fault.Invalid, err)
		}
		if rows += rec.NumRows(); rows > 1 {
			return nil, fault.WithCode(fault.New(fault.Invalid, "%d rows of arguments: a query takes one", rows), "parameter")
		}
		if rec.NumRows() == 1 {
			if args, err = arguments(rec); err != nil {
				return nil, err
			}
		}
	}
	s.bind(args)
	d.prepared.weigh(q.GetPreparedStatementHandle(), s.size())
	return q.GetPreparedStatementHandle(), nil
}

// GetFlightInfoPreparedStatement finds the cut of a statement with what is bound
// to it.
func (d *Door) GetFlightInfoPreparedStatement(ctx context.Context, q flightsql.PreparedStatementQuery, desc *flight.FlightDescriptor) (*flight.FlightInfo, error) {
	s, err := d.statement(ctx, q.GetPreparedStatementHandle())
	if err != nil {
		return nil, err
	}
	r, err := request(ctx, s.sql, s.bound()...)
	if err != nil {
		return nil, err
	}
	return d.info(ctx, r, desc)
}

// GetSchemaPreparedStatement tells the columns of a statement.
func (d *Door) GetSchemaPreparedStatement(ctx context.Context, q flightsql.PreparedStatementQuery, _ *flight.FlightDescriptor) (*flight.SchemaResult, error) {
	s, err := d.statement(ctx, q.GetPreparedStatementHandle())
	if err != nil {
		return nil, err
	}
	return &flight.SchemaResult{Schema: serialize(s.answer)}, nil
}

var errReadOnly = fault.WithCode(fault.New(fault.Denied, "views are read only: events come in through the front door"), "read_only")

// DoPutCommandStatementUpdate refuses to change anything.
func (d *Door) DoPutCommandStatementUpdate(context.Context, flightsql.StatementUpdate) (int64, error) {
	return 0, errReadOnly
}

// DoPutPreparedStatementUpdate refuses to change anything.
func (d *Door) DoPutPreparedStatementUpdate(context.Context, flightsql.PreparedStatementUpdate, flight.MessageReader) (int64, error) {
	return 0, errReadOnly
}

// DoPutCommandStatementIngest refuses to change anything.
func (d *Door) DoPutCommandStatementIngest(context.Context, flightsql.StatementIngest, flight.MessageReader) (int64, error) {
	return 0, errReadOnly
}
