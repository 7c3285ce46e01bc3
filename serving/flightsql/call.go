package flightsql

import (
	"cmp"
	"context"
	"errors"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/apache/arrow/go/v17/arrow/flight"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"

	"anabranch/fault"
	"anabranch/serving"
	"anabranch/serving/sql"
)

// unary and stream are around every call: who asks, what becomes of errors and
// panics, and that calls end with the door.
func (d *Door) unary(ctx context.Context, req any, _ *grpc.UnaryServerInfo, next grpc.UnaryHandler) (out any, err error) {
	defer d.recovered(&err)
	if ctx, err = d.identify(ctx); err != nil {
		return nil, statusOf(err)
	}
	ctx, cancel := d.ending(ctx)
	defer cancel()
	out, err = next(ctx, req)
	return out, statusOf(d.why(ctx, err))
}

func (d *Door) stream(srv any, s grpc.ServerStream, info *grpc.StreamServerInfo, next grpc.StreamHandler) (err error) {
	defer d.recovered(&err)
	if strings.HasSuffix(info.FullMethod, "/Handshake") {
		return statusOf(d.handshake(s))
	}
	ctx, err := d.identify(s.Context())
	if err != nil {
		return statusOf(err)
	}
	ctx, cancel := d.ending(ctx)
	defer cancel()
	err = next(srv, &streamOf{ServerStream: s, ctx: ctx})
	if err == nil { // rows may have ended because the call did, or the door, of which ctx learns a moment later
		err = cmp.Or(context.Cause(ctx), context.Cause(d.ctx))
	}
	return statusOf(d.why(ctx, err))
}

// recovered makes an error of a panic: what a client sends is decoded by
// Arrow's readers, which trust it.
func (d *Door) recovered(err *error) {
	if p := recover(); p != nil {
		d.o.Logger.Error("a call panicked", "panic", p, "stack", string(debug.Stack()))
		*err = statusOf(fault.New(fault.Bug, "the call broke off: %v", p))
	}
}

// streamOf is a stream whose calls have another context.
type streamOf struct {
	grpc.ServerStream
	ctx      context.Context
	messages messages
}

func (s *streamOf) Context() context.Context { return s.ctx }

// RecvMsg lets only arguments through that Arrow's reader can be trusted with.
func (s *streamOf) RecvMsg(m any) error {
	if err := s.ServerStream.RecvMsg(m); err != nil {
		return err
	}
	if data, ok := m.(*flight.FlightData); ok {
		if err := s.messages.check(data.DataHeader, len(data.DataBody)); err != nil {
			return fault.WithCode(fault.New(fault.Invalid, "the arguments: %v", err), "parameter")
		}
	}
	return nil
}

// ending returns a context that ends with the door, too.
func (d *Door) ending(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(ctx)
	stop := context.AfterFunc(d.ctx, func() { cancel(context.Cause(d.ctx)) })
	return ctx, func() {
		stop()
		cancel(nil)
	}
}

// why prefers why a call's context ended to what that did to the query.
func (d *Door) why(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); err != nil && cause != nil && fault.CodeOf(err) == "" && !errors.Is(err, cause) {
		return cause
	}
	return err
}

// The headers of a call that say how it wants to be answered.
const (
	headerConsistency = "anabranch-consistency" // eventual or latest
	headerAtLeast     = "anabranch-at-least"    // a receipt
	headerAsOf        = "anabranch-as-of"       // a receipt: exactly what that covers
	headerTimeout     = "anabranch-timeout"     // such as 10s
	headerRows        = "anabranch-max-rows"
	headerBytes       = "anabranch-max-bytes"
)

var headers = []string{headerConsistency, headerAtLeast, headerAsOf, headerTimeout, headerRows, headerBytes}

// request is a query as the headers of its call want it.
func request(ctx context.Context, query string, args ...any) (sql.Request, error) {
	r := sql.Request{SQL: query, Args: args, User: userOf(ctx)}
	md, _ := metadata.FromIncomingContext(ctx)
	for name := range md { // a slip would be answered, and with something else than was meant
		if strings.HasPrefix(name, "anabranch-") && !slices.Contains(headers, name) {
			return r, fault.WithCode(fault.New(fault.Invalid, "there is no header %.100s: want %s", name, strings.Join(headers, ", ")), "parameter")
		}
	}
	header := func(name string) string {
		if all := md.Get(name); len(all) > 0 {
			return strings.TrimSpace(all[len(all)-1])
		}
		return ""
	}
	var err error
	if r.Fresh.Latest, err = serving.ParseConsistency(headerConsistency, header(headerConsistency)); err != nil {
		return r, err
	}
	if r.Fresh.AtLeast, err = serving.ParseAtLeast(header(headerAtLeast)); err != nil {
		return r, err
	}
	if text := header(headerAsOf); text != "" {
		if r.AsOf, err = serving.ParseReceipt(text); err != nil {
			return r, err
		}
	}
	if text := header(headerTimeout); text != "" {
		if r.Limits.Time, err = time.ParseDuration(text); err != nil || r.Limits.Time <= 0 {
			return r, fault.New(fault.Invalid, "%s %q: want a duration such as 10s", headerTimeout, text)
		}
	}
	for name, into := range map[string]*int64{headerRows: &r.Limits.Rows, headerBytes: &r.Limits.Bytes} {
		if text := header(name); text != "" {
			if *into, err = strconv.ParseInt(text, 10, 64); err != nil || *into <= 0 {
				return r, fault.New(fault.Invalid, "%s %q: want a number above 0", name, text)
			}
		}
	}
	return r, nil
}
