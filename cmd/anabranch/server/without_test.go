package server

import (
	"context"

	"anabranch/stream"
)

// without is a log whose readers of partition 0 never see one record.
type without struct {
	stream.Log
	offset uint64
}

func (w without) Read(ctx context.Context, partition int, from uint64) (stream.Reader, error) {
	r, err := w.Log.Read(ctx, partition, from)
	if err != nil || partition != 0 {
		return r, err
	}
	return lossy{r, w.offset}, nil
}

type lossy struct {
	stream.Reader
	offset uint64
}

func (l lossy) Next(ctx context.Context) ([]stream.Record, error) {
	for {
		records, err := l.Reader.Next(ctx)
		var kept []stream.Record
		for _, r := range records {
			if r.Offset != l.offset {
				kept = append(kept, r)
			}
		}
		if err != nil || len(kept) > 0 {
			return kept, err
		}
	}
}
