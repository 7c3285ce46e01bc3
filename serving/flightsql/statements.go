package flightsql

import (
	"context"
	"encoding/json"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/flight"
	"github.com/apache/arrow/go/v17/arrow/flight/flightsql"
	"github.com/apache/arrow/go/v17/arrow/memory"

	"anabranch/fault"
	"anabranch/serving/sql"
)

// ticket is a query at its cut, whose rows somebody may come for.
type ticket struct {
	held   *sql.Held
	ctx    context.Context // ends when the query is cancelled
	cancel context.CancelCauseFunc
}

func (t *ticket) close() { t.held.Close() }

var (
	errCancelled  = fault.WithCode(fault.New(fault.Transient, "the query was cancelled"), "cancelled")
	errTicketGone = fault.WithCode(fault.New(fault.NotFound, "the ticket is over, or none of this server's: ask for the flight info again"), "ticket_gone")
)

// info finds the cut of a query and gives a ticket for its rows.
func (d *Door) info(ctx context.Context, r sql.Request, desc *flight.FlightDescriptor) (*flight.FlightInfo, error) {
	held, err := d.engine.Hold(ctx, r)
	if err != nil {
		return nil, err
	}
	t := &ticket{held: held}
	t.ctx, t.cancel = context.WithCancelCause(d.ctx)
	receipt, err := json.Marshal(held.Receipt)
	if err != nil {
		held.Close()
		return nil, fault.Wrap(fault.Bug, err)
	}
	id, err := d.tickets.put(r.User, t)
	if err != nil {
		held.Close()
		return nil, err
	}
	handle, err := flightsql.CreateStatementQueryTicket(id)
	if err != nil {
		return nil, fault.Wrap(fault.Bug, err)
	}
	return &flight.FlightInfo{
		Schema: serialize(held.Schema), FlightDescriptor: desc, TotalRecords: -1, TotalBytes: -1, Ordered: true, AppMetadata: receipt,
		Endpoint: []*flight.FlightEndpoint{{Ticket: &flight.Ticket{Ticket: handle}, AppMetadata: receipt}},
	}, nil
}

func serialize(s *arrow.Schema) []byte {
	if s == nil {
		return nil
	}
	return flight.SerializeSchema(s, memory.DefaultAllocator)
}

// GetFlightInfoStatement finds the cut of a SELECT.
func (d *Door) GetFlightInfoStatement(ctx context.Context, q flightsql.StatementQuery, desc *flight.FlightDescriptor) (*flight.FlightInfo, error) {
	r, err := request(ctx, q.GetQuery())
	if err != nil {
		return nil, err
	}
	return d.info(ctx, r, desc)
}

// GetSchemaStatement tells the columns of a SELECT.
func (d *Door) GetSchemaStatement(ctx context.Context, q flightsql.StatementQuery, _ *flight.FlightDescriptor) (*flight.SchemaResult, error) {
	r, err := request(ctx, q.GetQuery())
	if err != nil {
		return nil, err
	}
	answer, _, err := d.engine.Shapes(ctx, r)
	if err != nil {
		return nil, err
	}
	return &flight.SchemaResult{Schema: serialize(answer)}, nil
}

// DoGetStatement answers what a ticket stands for. An answer that broke off may
// be asked for again.
func (d *Door) DoGetStatement(ctx context.Context, q flightsql.StatementQueryTicket) (*arrow.Schema, <-chan flight.StreamChunk, error) {
	user := userOf(ctx)
	t, ok := d.tickets.get(user, q.GetStatementHandle())
	if !ok {
		return nil, nil, errTicketGone
	}
	call := ctx
	ctx, cancel := context.WithCancelCause(call)
	stop := context.AfterFunc(t.ctx, func() { cancel(context.Cause(t.ctx)) })
	over := func() {
		stop()
		cancel(nil)
	}
	rec, err := t.held.Records(ctx)
	if err != nil {
		defer over()
		if fault.Is(err, fault.NotFound) {
			err = errTicketGone
		}
		return nil, nil, d.why(ctx, err)
	}
	return rec.Schema, d.send(call, ctx, rec, func(whole bool) {
		if whole { // nobody comes again, and the cut may go
			d.tickets.drop(user, q.GetStatementHandle())
		}
		over()
	}), nil
}

// send reads an answer in a goroutine of its own, so that the next batch is
// made while one is on its way. It ends with the query's context, which it
// tells whoever still listens: a call that is over does not. Over is told
// whether all of the answer was taken.
func (d *Door) send(call, ctx context.Context, rec *sql.Records, over func(whole bool)) <-chan flight.StreamChunk {
	out := make(chan flight.StreamChunk)
	d.streams.Go(func() {
		whole := false
		defer close(out)
		defer func() { over(whole) }()
		defer rec.Close()
		for {
			batch, err := rec.Next()
			if batch == nil && err == nil {
				whole = true
				return
			}
			if err == nil {
				select {
				case out <- flight.StreamChunk{Data: batch}:
					continue
				case <-ctx.Done():
					batch.Release()
					err = context.Cause(ctx)
				}
			}
			select {
			case out <- flight.StreamChunk{Err: d.why(ctx, err)}:
			case <-call.Done():
			}
			return
		}
	})
	return out
}

// CancelFlightInfo ends a query and its ticket.
func (d *Door) CancelFlightInfo(ctx context.Context, r *flight.CancelFlightInfoRequest) (flight.CancelFlightInfoResult, error) {
	became := flight.CancelStatusNotCancellable
	for _, e := range r.GetInfo().GetEndpoint() {
		q, err := flightsql.GetStatementQueryTicket(e.GetTicket())
		if err != nil {
			continue
		}
		if t, ok := d.tickets.get(userOf(ctx), q.GetStatementHandle()); ok {
			t.cancel(errCancelled)
			d.tickets.drop(userOf(ctx), q.GetStatementHandle())
			became = flight.CancelStatusCancelled
		}
	}
	return flight.CancelFlightInfoResult{Status: became}, nil
}
