package worker

import (
	"context"
	"fmt"
	"log/slog"

	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/log"

	"anabranch/fault"
)

// Dial connects to a Temporal server and checks that it answers. The client
// connects again by itself when the server comes back at the same address; the
// caller closes it. The error is Transient.
func Dial(ctx context.Context, address, namespace string, logger *slog.Logger) (client.Client, error) {
	if logger == nil {
		logger = slog.New(slog.DiscardHandler)
	}
	c, err := client.DialContext(ctx, client.Options{HostPort: address, Namespace: namespace, Logger: log.NewStructuredLogger(logger)})
	if err != nil {
		return nil, fault.Wrap(fault.Transient, fmt.Errorf("reach the Temporal server at %s: %w", address, err))
	}
	return c, nil
}
