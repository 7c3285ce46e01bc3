package activitiestest

import (
	"context"

	"anabranch/activities"
	"anabranch/batch"
)

var _ activities.Expirer = (*World)(nil)

// Expire forgets three segments.
func (w *World) Expire(ctx context.Context, dry bool, _, _ string) (batch.Expired, error) {
	if err := w.step(ctx, "expire", -1); err != nil {
		return batch.Expired{}, err
	}
	defer w.mu.Unlock()
	return batch.Expired{Version: w.version, Dry: dry, Objects: 3, Bytes: 300, Kinds: []batch.Forgotten{
		{Kind: "segments", Why: "raw events, counted more than 400d ago", Objects: 3, Bytes: 300, Names: []string{"retail/segments/p0000/00000000000000000000.parquet"}},
	}, Kept: []string{"partition 0: 2 segments"}}, nil
}
