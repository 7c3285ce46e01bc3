package sql

import (
	"cmp"
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"reflect"
	"runtime"

	bindings "github.com/duckdb/duckdb-go-bindings"
	"github.com/duckdb/duckdb-go/v2"

	"anabranch/fault"
)

// stream is a query that runs as far as it is read, chunk by chunk, in
// DuckDB's own vectors.
//
// DuckDB's driver hands out vectors only under a build tag, as Arrow of a
// version that does not link beside ours, and only of answers that it holds
// whole. So the stream borrows the driver's connection and prepared statement
// and fetches from them through the bindings that the driver is built on.
type stream struct {
	ctx    context.Context
	lane   *lane // where DuckDB works
	conn   bindings.Connection
	stmt   *duckdb.Stmt
	result *bindings.Result
	opened bool // result is there

	uninterrupted func() // ends the watch over ctx
}

// openStream runs a query until its first rows are there.
func openStream(ctx context.Context, l *lane, conn *sql.Conn, query string, args []any) (*stream, error) {
	s := &stream{ctx: ctx, lane: l, result: new(bindings.Result), uninterrupted: func() {}}
	err := conn.Raw(func(dc any) error { return s.open(dc, query, args) })
	if err != nil {
		s.close()
		return nil, s.classify(err)
	}
	return s, nil
}

func (s *stream) open(dc any, query string, args []any) (err error) {
	if s.conn, err = handle[bindings.Connection](dc, "conn"); err != nil {
		return err
	}
	piecesBegin(s.conn)
	s.uninterrupted = interrupting(s.ctx, s.conn)
	var prepared driver.Stmt
	s.lane.planning(func() { prepared, err = dc.(driver.ConnPrepareContext).PrepareContext(s.ctx, query) })
	if err != nil {
		return err
	}
	s.stmt = prepared.(*duckdb.Stmt)
	values := make([]driver.NamedValue, len(args))
	for i, v := range args {
		values[i] = driver.NamedValue{Ordinal: i + 1, Value: v}
	}
	if err := s.stmt.BindWithCtx(s.ctx, values); err != nil {
		return err
	}
	stmt, err := handle[*bindings.PreparedStatement](s.stmt, "preparedStmt")
	if err != nil {
		return err
	}
	var pending bindings.PendingResult
	defer bindings.DestroyPending(&pending)
	var state bindings.State
	s.lane.planning(func() { state = bindings.PendingPreparedStreaming(*stmt, &pending) })
	if state == bindings.StateError {
		return errorOf(bindings.PendingError(pending))
	}
	if err := s.ctx.Err(); err != nil {
		return err
	}
	state = s.lane.executePending(pending, s.result)
	s.opened = true
	if state == bindings.StateError {
		return s.failure()
	}
	return nil
}

// next returns the next chunk, which the caller destroys; at the end one
// without a pointer.
func (s *stream) next() (bindings.DataChunk, error) {
	if err := s.ctx.Err(); err != nil {
		return bindings.DataChunk{}, s.classify(err)
	}
	runtime.Gosched() // as in Answer.Next, for whoever reads by columns
	chunk := s.lane.fetchChunk(s.result)
	if chunk.Ptr != nil {
		return chunk, nil
	}
	if err := s.failure(); err != nil {
		return chunk, s.classify(s.reason(err))
	}
	return chunk, nil
}

// reason returns why the query failed. One of DuckDB's threads that meets an
// error interrupts the others, and sometimes a stream tells only that. Then the
// query is run once more, not as a stream, until it meets the error again.
func (s *stream) reason(err error) error {
	const most = 3
	for n := 0; n < most && s.ctx.Err() == nil && interrupted(err); n++ {
		stmt, e := handle[*bindings.PreparedStatement](s.stmt, "preparedStmt")
		if e != nil {
			return e
		}
		bindings.DestroyResult(s.result)
		if s.lane.executePrepared(*stmt, s.result) != bindings.StateError {
			break
		}
		err = cmp.Or(s.failure(), err)
	}
	return err
}

func interrupted(err error) bool {
	var d *duckdb.Error
	return errors.As(err, &d) && d.Type == duckdb.ErrorTypeInterrupt
}

// failure is what DuckDB says is wrong with the result; nil: nothing.
func (s *stream) failure() error {
	text := bindings.ResultError(s.result)
	if text == "" {
		return nil
	}
	return &duckdb.Error{Type: duckdb.ErrorType(bindings.ResultErrorType(s.result)), Msg: text}
}

// classify prefers why the context ended to what DuckDB says about it.
func (s *stream) classify(err error) error {
	if s.ctx.Err() != nil {
		return fault.Wrap(fault.Transient, context.Cause(s.ctx))
	}
	return classify(err)
}

// close ends the query. Nothing touches the connection afterwards.
func (s *stream) close() {
	s.uninterrupted()
	if s.opened {
		bindings.DestroyResult(s.result)
	}
	if s.stmt != nil {
		_ = s.stmt.Close()
	}
	if s.conn.Ptr != nil {
		piecesEnd(s.conn)
	}
}

// handle reads a field of the driver that holds one of its bindings' handles.
func handle[T any](of any, field string) (h T, err error) {
	v := reflect.ValueOf(of)
	if v.Kind() == reflect.Pointer && v.Elem().Kind() == reflect.Struct {
		f := v.Elem().FieldByName(field)
		if f.IsValid() && f.Type() == reflect.TypeFor[T]() {
			return *(*T)(f.Addr().UnsafePointer()), nil
		}
	}
	return h, fault.New(fault.Bug, "DuckDB's driver has no field %s of type %T in %T: its version is not the one this was written for", field, h, of)
}

// errorOf gives a message of DuckDB that came without its type a kind by its
// first words, as the driver does.
func errorOf(text string) error {
	return fmt.Errorf("%w", &duckdb.Error{Type: duckdb.ErrorTypeInvalid, Msg: text})
}
