package activities

import (
	"context"

	"anabranch/batch"
)

// Expirer is a Runner that can forget what is no longer wanted; *batch.Runner
// is one.
type Expirer interface {
	Expire(ctx context.Context, dry bool, reason, by string) (batch.Expired, error)
}

var _ Expirer = (*batch.Runner)(nil)

// Expire asks a pipeline to forget what its retention no longer wants.
type Expire struct {
	Pipeline string `json:"pipeline"`
	Dry      bool   `json:"dry,omitempty"`
	Reason   string `json:"reason,omitempty"`
	By       string `json:"by,omitempty"`
}

// Expire forgets, or says what it would forget.
func (a *Activities) Expire(ctx context.Context, in Expire) (batch.Expired, error) {
	return step(ctx, a, in.Pipeline, func(ctx context.Context, r Runner) (batch.Expired, error) {
		expirer, err := can[Expirer](r, "expire")
		if err != nil {
			return batch.Expired{}, err
		}
		return expirer.Expire(ctx, in.Dry, in.Reason, in.By)
	})
}
