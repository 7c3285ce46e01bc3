package activitiestest

import (
	"context"
	"fmt"

	"anabranch/activities"
	"anabranch/ingest"
)

var _ activities.Importer = (*World)(nil)

// List finds three files.
func (w *World) List(ctx context.Context, _ string, _, _ string) (l ingest.Listing, err error) {
	if err := w.step(ctx, "list", -1); err != nil {
		return l, err
	}
	defer w.mu.Unlock()
	for n := range 3 {
		l.Files = append(l.Files, ingest.ImportFile{Name: fmt.Sprintf("2010-%02d.parquet", n+1), Size: 100})
	}
	return l, nil
}

// File imports ten events and refuses one.
func (w *World) File(ctx context.Context, _ string, _ string, n int, _ bool) (ingest.Imported, error) {
	if err := w.step(ctx, "file", n); err != nil {
		return ingest.Imported{}, err
	}
	defer w.mu.Unlock()
	return ingest.Imported{Name: fmt.Sprintf("2010-%02d.parquet", n+1), Rows: 11, Accepted: 10, DeadLettered: 1, Pieces: 1, Done: true, Positions: []string{fmt.Sprintf("0/%d/0", n+1)},
		Refused: []ingest.EventError{{Line: 4, Code: "wrong_type", Message: "no number"}}}, nil
}
