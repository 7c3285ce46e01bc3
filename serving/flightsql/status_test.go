package flightsql

import (
	"context"
	"fmt"
	"testing"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"anabranch/fault"
)

func TestStatusOfErrors(t *testing.T) {
	t.Parallel()
	for k := fault.Unknown; k <= fault.Bug; k++ {
		if _, ok := byKind[k]; !ok {
			t.Errorf("kind %s has no status", k)
		}
	}
	for _, c := range []struct {
		err    error
		want   codes.Code
		reason string
	}{
		{fault.New(fault.Invalid, "x"), codes.InvalidArgument, "invalid"},
		{fmt.Errorf("ask: %w", fault.WithCode(fault.New(fault.Invalid, "x"), "unknown_view")), codes.NotFound, "unknown_view"},
		{fault.WithCode(fault.New(fault.Throttled, "x"), "busy"), codes.ResourceExhausted, "busy"},
		{fault.WithCode(fault.New(fault.Throttled, "x"), "timeout"), codes.DeadlineExceeded, "timeout"},
		{fault.New(fault.Corrupt, "x"), codes.DataLoss, "corrupt"},
		{fmt.Errorf("x: %w", context.Canceled), codes.Canceled, "cancelled"},
		{fault.Wrap(fault.Transient, context.DeadlineExceeded), codes.DeadlineExceeded, "timeout"},
		{status.Error(codes.Unimplemented, "x"), codes.Unimplemented, ""},
	} {
		s, _ := status.FromError(statusOf(c.err))
		reason := ""
		if len(s.Details()) > 0 {
			reason = s.Details()[0].(*errdetails.ErrorInfo).Reason
		}
		if s.Code() != c.want || reason != c.reason {
			t.Errorf("%v: %s, reason %q, want %s, %q", c.err, s.Code(), reason, c.want, c.reason)
		}
	}
	if statusOf(nil) != nil {
		t.Error("nil must stay nil")
	}
}

// callOf is a call of a client that is still there.
type callOf struct {
	grpc.ServerStream
	ctx context.Context
}

func (c callOf) Context() context.Context { return c.ctx }

// Whoever sends rows ends without an error when the door closes in the midst of
// them; the client must not take what came for all.
func TestClosingIsNoEnd(t *testing.T) {
	t.Parallel()
	d, err := New(nil, Options{})
	if err != nil {
		t.Fatal(err)
	}
	get := func(during func()) codes.Code {
		return status.Code(d.stream(nil, callOf{ctx: t.Context()}, &grpc.StreamServerInfo{FullMethod: "/FlightService/DoGet"},
			func(_ any, s grpc.ServerStream) error {
				during()
				return nil
			}))
	}
	if code := get(func() {}); code != codes.OK {
		t.Error("a whole answer:", code)
	}
	if code := get(d.Close); code != codes.Unavailable {
		t.Error("an answer that broke off:", code)
	}
}
