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

// may says which refusals a call has asked for; from any other call they
// are no verdict.
type may uint8

const (
	nothing     may = 0
	maybeAbsent may = 1 << iota // 404 with the code NoSuchKey: there is no such object
	maybeBare                   // 404 without a word says so too: the answer to a HEAD has no body
	maybeLost                   // 412: the condition does not hold
)

// gone is the error of a bucket that was there when it was opened. Nobody who
// calls can do anything about it, and the same call succeeds once somebody
// else has: Denied, as with keys that were taken back.
func (b *Bucket) gone(err error) error {
	return fault.WithHint(fault.WithCode(fault.New(fault.Denied, "there is no bucket %s any more: %w", b.o.Bucket, err), "no_such_bucket"),
		"bring the bucket back with its objects; the program goes on by itself then")
}

// kinded gives an answer of the store its kind: by its code where one was
// sent (a HEAD has none), else by the status.
func (b *Bucket) kinded(may may, err error) error {
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
	denied := func(hint string, args ...any) error {
		return fault.WithHint(fault.Wrap(fault.Denied, err), hint, args...)
	}
	switch codeOf(err) {
	case "NoSuchKey":
		if may&maybeAbsent != 0 {
			return bucket.ErrNotFound
		}
	case "PreconditionFailed":
		if may&maybeLost != 0 {
			return bucket.ErrCondition
		}
	case "ConditionalRequestConflict": // another conditional put of the name runs: ask again, then it is decided
		return fault.Wrap(fault.Transient, err)
	case "NoSuchBucket":
		return b.gone(err)
	case "SlowDown", "Throttling", "ThrottlingException", "RequestLimitExceeded", "TooManyRequestsException", "ServiceUnavailable":
		return fault.Wrap(fault.Throttled, err)
	case "QuotaExceeded", "InsufficientStorage", "InsufficientCapacity", "XMinioStorageFull", "XMinioAdminBucketQuotaExceeded":
		return fault.WithHint(fault.Wrap(fault.Full, err), "make room in the object store")
	case "AccessDenied", "InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken", "InvalidToken", "AccountProblem", "AllAccessDisabled":
		return denied("let these credentials get, put, list and delete in bucket %s, or give others", b.o.Bucket)
	case "RequestTimeTooSkewed":
		return denied("set this machine's clock")
	case "RequestTimeout", "InternalError", "OperationAborted", "IncompleteBody", "BadDigest", "XAmzContentSHA256Mismatch":
		return fault.Wrap(fault.Transient, err) // the last three: bytes were damaged or lost on the way
	}
	var answer *smithyhttp.ResponseError
	if !errors.As(err, &answer) {
		return fault.Wrap(fault.Transient, err) // no answer: the network
	}
	switch status := answer.HTTPStatusCode(); {
	case status == http.StatusNotFound && may&maybeBare != 0:
		return bucket.ErrNotFound
	case status == http.StatusPreconditionFailed && may&maybeLost != 0:
		return bucket.ErrCondition
	case status == http.StatusNotFound, status == http.StatusPreconditionFailed:
		// To a call that cannot be refused so: something on the way answers for
		// the store, or the store is confused.
		return fault.Wrap(fault.Transient, err)
	case status == http.StatusUnauthorized, status == http.StatusForbidden:
		return denied("let these credentials get, put, list and delete in bucket %s, or give others", b.o.Bucket)
	case status == http.StatusTooManyRequests, status == http.StatusServiceUnavailable:
		return fault.Wrap(fault.Throttled, err)
	case status == http.StatusInsufficientStorage:
		return fault.WithHint(fault.Wrap(fault.Full, err), "make room in the object store")
	case status == http.StatusConflict, status == http.StatusRequestTimeout, status < 300, status >= 500:
		return fault.Wrap(fault.Transient, err)
	}
	return fault.Wrap(fault.Invalid, err)
}
