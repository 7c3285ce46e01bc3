package natslog

import (
	"context"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"anabranch/fault"
)

// JetStream's codes that need an answer of their own.
const (
	codeInsufficient    jetstream.ErrorCode = 10023 // limits of the server do not allow it
	codeStorageExceeded jetstream.ErrorCode = 10047 // the store's limit is reached or reserved
	codeTooLarge        jetstream.ErrorCode = 10054 // over the stream's message size
	codeNoStream        jetstream.ErrorCode = 10059
	codeStoreFailed     jetstream.ErrorCode = 10077 // the stream could not store it: it is at its limit
)

// classify decides what kind of error err is and says what was being done.
func classify(err error, format string, args ...any) error {
	if err == nil {
		return nil
	}
	doing := fmt.Sprintf(format, args...)
	if errors.Is(err, nats.ErrReconnectBufExceeded) { // its text speaks of a buffer, which we have none of
		return fault.New(fault.Transient, "%s: the connection to the log's server is broken, and is being made again", doing)
	}
	if kind := kindOf(err); kind != fault.Unknown {
		return fault.Wrap(kind, fmt.Errorf("%s: %w", doing, err))
	}
	return fmt.Errorf("%s: %w", doing, err)
}

func kindOf(err error) fault.Kind {
	if k := fault.KindOf(err); k != fault.Unknown {
		return k
	}
	var api *jetstream.APIError
	if errors.As(err, &api) {
		switch api.ErrorCode {
		case codeStoreFailed, codeStorageExceeded, codeInsufficient:
			return fault.Full
		case codeTooLarge:
			return fault.Invalid
		case codeNoStream:
			// It was there when the log was opened: somebody removed it.
			return fault.NotFound
		}
		switch {
		case api.Code == 401 || api.Code == 403:
			return fault.Denied
		case api.Code == 429:
			return fault.Throttled
		case api.Code == 400:
			return fault.Invalid
		}
		return fault.Transient
	}
	switch {
	case errors.Is(err, nats.ErrMaxPayload):
		return fault.Invalid
	case errors.Is(err, nats.ErrAuthorization), errors.Is(err, nats.ErrAuthExpired), errors.Is(err, nats.ErrAuthRevoked), errors.Is(err, nats.ErrPermissionViolation):
		return fault.Denied
	case errors.Is(err, jetstream.ErrStreamNotFound):
		return fault.NotFound
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded),
		errors.Is(err, nats.ErrTimeout), errors.Is(err, nats.ErrNoResponders), errors.Is(err, jetstream.ErrNoStreamResponse),
		errors.Is(err, nats.ErrConnectionClosed), errors.Is(err, nats.ErrConnectionReconnecting), errors.Is(err, nats.ErrNoServers),
		errors.Is(err, nats.ErrDisconnected), errors.Is(err, nats.ErrReconnectBufExceeded), errors.Is(err, nats.ErrStaleConnection):
		return fault.Transient
	}
	return fault.Unknown
}
