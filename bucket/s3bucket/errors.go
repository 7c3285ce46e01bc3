package s3bucket

import (
	"context"
	"errors"
	"net"
	"net/http"

	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"anabranch/bucket"
	"anabranch/fault"
)

func codeOf(err error) string {
	var api smithy.APIError
	if errors.As(err, &api) {
		return api.ErrorCode()
	}
	return ""
}

// kinded gives an answer of the store its kind: by its code where one was
// sent (a HEAD has none), else by the status.
func kinded(err error) error {
	if err == nil || fault.KindOf(err) != fault.Unknown {
		return err
	}
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	// Without an answer the SDK tells the whole request; the network's own words
	// say what is wrong.
	if op := new(net.OpError); errors.As(err, &op) {
		return fault.New(fault.Transient, "the object store does not answer: %w", op)
	}
	switch codeOf(err) {
	case "NoSuchKey":
		return bucket.ErrNotFound
	case "PreconditionFailed":
		return bucket.ErrCondition
	case "ConditionalRequestConflict": // another conditional put of the name runs: ask again, then it is decided
		return fault.Wrap(fault.Transient, err)
	case "NoSuchBucket":
		return fault.Wrap(fault.Invalid, err)
	case "SlowDown", "Throttling", "ThrottlingException", "RequestLimitExceeded", "TooManyRequestsException", "ServiceUnavailable":
		return fault.Wrap(fault.Throttled, err)
	case "QuotaExceeded", "InsufficientStorage", "InsufficientCapacity", "XMinioStorageFull", "XMinioAdminBucketQuotaExceeded":
		return fault.WithHint(fault.Wrap(fault.Full, err), "make room in the object store")
	case "AccessDenied", "InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken", "InvalidToken", "AccountProblem", "AllAccessDisabled":
		return fault.Wrap(fault.Denied, err)
	case "RequestTimeTooSkewed":
		return fault.WithHint(fault.Wrap(fault.Denied, err), "set this machine's clock")
	case "RequestTimeout", "InternalError", "OperationAborted", "IncompleteBody", "BadDigest", "XAmzContentSHA256Mismatch":
		return fault.Wrap(fault.Transient, err) // the last three: bytes were damaged or lost on the way
	}
	var answer *smithyhttp.ResponseError
	if !errors.As(err, &answer) {
		return fault.Wrap(fault.Transient, err) // no answer: the network
	}
	switch status := answer.HTTPStatusCode(); {
	case status == http.StatusNotFound:
		return bucket.ErrNotFound
	case status == http.StatusPreconditionFailed:
		return bucket.ErrCondition
	case status == http.StatusUnauthorized, status == http.StatusForbidden:
		return fault.Wrap(fault.Denied, err)
	case status == http.StatusTooManyRequests, status == http.StatusServiceUnavailable:
		return fault.Wrap(fault.Throttled, err)
	case status == http.StatusInsufficientStorage:
		return fault.WithHint(fault.Wrap(fault.Full, err), "make room in the object store")
	case status == http.StatusConflict, status == http.StatusRequestTimeout, status < 300, status >= 500:
		return fault.Wrap(fault.Transient, err)
	}
	return fault.Wrap(fault.Invalid, err)
}
