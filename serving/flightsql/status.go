package flightsql

import (
	"context"
	"errors"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"anabranch/fault"
)

// byCode is the gRPC status of a fault's code that says more than its kind.
var byCode = map[string]codes.Code{
	"timeout":        codes.DeadlineExceeded,
	"time_limit":     codes.DeadlineExceeded,
	"cancelled":      codes.Canceled,
	"password":       codes.Unauthenticated,
	"ticket_gone":    codes.FailedPrecondition,
	"receipt_gone":   codes.FailedPrecondition,
	"no_statement":   codes.NotFound,
	"unknown_view":   codes.NotFound,
	"unknown_table":  codes.NotFound,
	"unknown_column": codes.NotFound,
	"out_of_range":   codes.OutOfRange,
	"unsupported":    codes.Unimplemented,
}

// byKind is the gRPC status of every other error.
var byKind = map[fault.Kind]codes.Code{
	fault.Unknown:   codes.Unavailable,
	fault.Transient: codes.Unavailable,
	fault.Throttled: codes.ResourceExhausted,
	fault.Poison:    codes.InvalidArgument,
	fault.Conflict:  codes.Aborted,
	fault.Corrupt:   codes.DataLoss,
	fault.Denied:    codes.PermissionDenied,
	fault.Invalid:   codes.InvalidArgument,
	fault.NotFound:  codes.NotFound,
	fault.Full:      codes.ResourceExhausted,
	fault.Bug:       codes.Internal,
}

// domain is whose codes the reasons in errors are.
const domain = "anabranch"

// statusOf is an error as gRPC tells it: a status, the text, and the code of
// all doors as the reason of an ErrorInfo.
func statusOf(err error) error {
	if err == nil {
		return nil
	}
	kind, code := fault.KindOf(err), fault.CodeOf(err)
	if s, ok := status.FromError(err); ok && kind == fault.Unknown {
		return s.Err() // gRPC's own
	}
	c, ok := byCode[code]
	switch {
	case ok:
	case code == "" && errors.Is(err, context.Canceled):
		c, code = codes.Canceled, "cancelled"
	case code == "" && errors.Is(err, context.DeadlineExceeded):
		c, code = codes.DeadlineExceeded, "timeout"
	default:
		c = byKind[kind]
	}
	if code == "" {
		code = kind.String()
	}
	s := status.New(c, err.Error())
	if detailed, err := s.WithDetails(&errdetails.ErrorInfo{Reason: code, Domain: domain}); err == nil {
		s = detailed
	}
	return s.Err()
}
