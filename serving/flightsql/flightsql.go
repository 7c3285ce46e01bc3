// Package flightsql is the Arrow Flight SQL door to queries: answers leave as
// the record batches that the engine makes, without a row being looked at.
//
// Asking takes two calls. GetFlightInfo finds the cut, and tells columns and
// receipt; its ticket holds that cut, not the answer, until it was read once, and
// for [Options].Ticket at most. DoGet runs the query at that cut; what broke off
// may be asked for again.
package flightsql

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"sync"
	"time"

	"github.com/apache/arrow/go/v17/arrow/flight"
	"github.com/apache/arrow/go/v17/arrow/flight/flightsql"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/keepalive"

	"anabranch/fault"
	"anabranch/internal/clock"
	"anabranch/internal/lifecycle"
	"anabranch/serving/sql"
)

// Users knows who may ask.
type Users interface {
	Check(name, password string) bool
}

// Options of the door.
type Options struct {
	TLS     *tls.Config // nil: none, and then whoever listens on the way reads along
	Users   Users       // nil: whoever connects may ask
	Version string      // of the program

	Ticket     time.Duration // how long a ticket holds its cut, default 1 min
	Tickets    int           // how many are held at once, default 64: one more, and the oldest goes
	Prepared   time.Duration // how long a prepared statement stays unused, default 1 h
	Statements int           // how many there are at once, default 1024
	Session    time.Duration // how long a handshake is good for, default 12 h
	Message    int           // bytes of one message to the door, default 4 MiB

	Clock  clock.Clock  // default clock.Wall
	Logger *slog.Logger // default none
}

// Door answers on the listeners that Serve is given.
type Door struct {
	flightsql.BaseServer
	engine   *sql.Engine
	o        Options
	grpc     *grpc.Server
	tickets  *shelf[*ticket]
	prepared *shelf[*statement]
	tokens   tokens
	loop     lifecycle.Loop // takes off what nobody came for
	streams  sync.WaitGroup // answers that are being read
	ctx      context.Context
	stop     context.CancelCauseFunc
	known    []uint32 // what the server tells about itself
}

var errStopping = fault.WithCode(fault.New(fault.Transient, "the server stops: connect again"), "stopping")

// New returns a door to engine.
func New(engine *sql.Engine, o Options) (*Door, error) {
	o.Ticket, o.Tickets = cmp.Or(o.Ticket, time.Minute), cmp.Or(o.Tickets, 64)
	o.Prepared, o.Statements = cmp.Or(o.Prepared, time.Hour), cmp.Or(o.Statements, 1024)
	o.Session, o.Message = cmp.Or(o.Session, 12*time.Hour), cmp.Or(o.Message, 4<<20)
	o.Version = cmp.Or(o.Version, "dev")
	if o.Clock == nil {
		o.Clock = clock.Wall
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	d := &Door{engine: engine, o: o}
	d.tickets = newShelf(o.Clock, o.Ticket, o.Tickets, (*ticket).close)
	d.prepared = newShelf(o.Clock, o.Prepared, o.Statements, func(*statement) {})
	d.prepared.room = 64 << 20
	var err error
	if d.tokens, err = newTokens(o.Clock, o.Session); err != nil {
		return nil, err
	}
	if err := d.describe(); err != nil {
		return nil, err
	}
	d.ctx, d.stop = context.WithCancelCause(context.Background())
	options := []grpc.ServerOption{
		grpc.ChainUnaryInterceptor(d.unary), grpc.ChainStreamInterceptor(d.stream),
		grpc.MaxRecvMsgSize(o.Message), grpc.MaxConcurrentStreams(64), grpc.WaitForHandlers(true),
		grpc.ConnectionTimeout(10 * time.Second),
		grpc.KeepaliveParams(keepalive.ServerParameters{Time: time.Minute, Timeout: 20 * time.Second}),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: 10 * time.Second, PermitWithoutStream: true}),
	}
	if o.TLS != nil {
		options = append(options, grpc.Creds(credentials.NewTLS(o.TLS)))
	}
	d.grpc = grpc.NewServer(options...)
	flight.RegisterFlightServiceServer(d.grpc, flightsql.NewFlightServer(d))
	d.loop.Go(d.tickets.keep, d.prepared.keep)
	return d, nil
}

// Serve answers on l until Close; then it returns nil.
func (d *Door) Serve(l net.Listener) error {
	err := d.grpc.Serve(l)
	if errors.Is(err, grpc.ErrServerStopped) || d.ctx.Err() != nil {
		return nil
	}
	return err
}

// Close ends what runs and returns when all of it has ended.
func (d *Door) Close() {
	d.stop(errStopping)
	d.grpc.Stop()
	d.streams.Wait()
	d.loop.Stop()
	d.tickets.clear()
	d.prepared.clear()
}
