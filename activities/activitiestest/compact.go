package activitiestest

import (
	"context"

	"anabranch/activities"
	"anabranch/batch"
)

var _ activities.Packer = (*World)(nil)

func (w *World) packs() int { return max(or(w.Packs, 3), 0) }

func (w *World) small() batch.Packed {
	n := w.packs()
	return batch.Packed{Kinds: []batch.PackedKind{{Kind: "day files", Of: 100, Files: 10 * n, Into: n, Bytes: int64(n) * 1000}, {Kind: "states of sales", Of: 40}}}
}

// Compactable finds ten small files for each unit.
func (w *World) Compactable(ctx context.Context) (batch.Packed, error) {
	if err := w.step(ctx, "compactable", -1); err != nil {
		return batch.Packed{}, err
	}
	defer w.mu.Unlock()
	return w.small(), nil
}

// Pack does a unit.
func (w *World) Pack(ctx context.Context, p batch.PlanRef, unit int) (batch.Ref, error) {
	return w.unit(ctx, p, "pack", unit, w.packs(), "day files of partition 0")
}
