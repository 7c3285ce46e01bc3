package workflows

import (
	"context"
	"fmt"
	"time"

	"go.temporal.io/sdk/client"

	"anabranch/fault"
)

// StartCanary starts a canary, or joins the one with the same key.
func StartCanary(ctx context.Context, c client.Client, queue string, in CanaryInput, now time.Time) (Started, error) {
	return asked{in.Pipeline, &in.Key, in.Reason, in.By}.start(ctx, c, queue, "canary", CanaryType, &in, fmt.Sprintf("canary of %s, %g %% of the queries", in.Pipeline, in.Share), now)
}

// PokeCanary tells a canary that a version was published. One that has ended
// does not mind.
func PokeCanary(ctx context.Context, c client.Client, id string) error {
	if err := ofServer(c.SignalWorkflow(ctx, id, "", PublishedSignal, nil)); err != nil && !fault.Is(err, fault.NotFound) {
		return fmt.Errorf("tell %s of a new version: %w", id, err)
	}
	return nil
}
