package activities

import (
	"context"

	"anabranch/batch"
)

// Packer is a Runner that can put small files together; *batch.Runner is one.
type Packer interface {
	Compactable(ctx context.Context) (batch.Packed, error)
	Pack(ctx context.Context, p batch.PlanRef, unit int) (batch.Ref, error)
}

var _ Packer = (*batch.Runner)(nil)

// Compactable says what a compaction would put together.
func (a *Activities) Compactable(ctx context.Context, in Target) (batch.Packed, error) {
	return step(ctx, a, in.Pipeline, func(ctx context.Context, r Runner) (batch.Packed, error) {
		packer, err := can[Packer](r, "compact")
		if err != nil {
			return batch.Packed{}, err
		}
		return packer.Compactable(ctx)
	})
}

// Pack puts the files of one unit of a compaction together.
func (a *Activities) Pack(ctx context.Context, in Unit) (batch.Ref, error) {
	return step(ctx, a, in.Pipeline, func(ctx context.Context, r Runner) (batch.Ref, error) {
		packer, err := can[Packer](r, "compact")
		if err != nil {
			return batch.Ref{}, err
		}
		return packer.Pack(ctx, in.Plan, in.N)
	})
}
