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
	if in.Key == "" {
		in.Key = stamp(now)
	}
	if err := plainName("pipeline", in.Pipeline); err != nil {
		return Started{}, err
	}
	id := fmt.Sprintf("canary-%s-%s", in.Pipeline, safe(in.Key))
	return start(ctx, c, queue, id, CanaryType, in, fmt.Sprintf("canary of %s, %g %% of the queries", in.Pipeline, in.Share), in.Reason, in.By)
}

// AwaitCanary waits for what a canary comes to.
func AwaitCanary(ctx context.Context, c client.Client, s Started) (CanaryResult, error) {
	var out CanaryResult
	if err := c.GetWorkflow(ctx, s.ID, s.RunID).Get(ctx, &out); err != nil {
		return out, ofRun(err)
	}
	return out, nil
}

// PokeCanary tells a canary that a version was published. One that has ended
// does not mind.
func PokeCanary(ctx context.Context, c client.Client, id string) error {
	if err := ofServer(c.SignalWorkflow(ctx, id, "", PublishedSignal, nil)); err != nil && !fault.Is(err, fault.NotFound) {
		return fmt.Errorf("tell %s of a new version: %w", id, err)
	}
	return nil
}
