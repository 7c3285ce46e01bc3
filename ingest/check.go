package ingest

import (
	"context"
	"fmt"
	"io"
)

// Check says which events of a body Accept would not take, and why; it stores
// nothing. The error is of the body's reader or of ctx.
func (g *Gateway) Check(ctx context.Context, body io.Reader, m Meta) ([]EventError, error) {
	refused, _, err := g.check(ctx, body, m)
	return refused, err
}

// check is Check, and tells how many events there are.
func (g *Gateway) check(ctx context.Context, body io.Reader, m Meta) (refused []EventError, rows int, err error) {
	d, err := g.decoder(m.Format)
	if err != nil {
		return nil, 0, err
	}
	defer g.putBack(m.Format, d)
	r := &request{g: g, meta: m, lineShift: max(m.FirstLine-1, 0), byPartition: make([][]uint32, len(g.parts))}
	d.Reset(body)
	for {
		if err := ctx.Err(); err != nil {
			return nil, 0, context.Cause(ctx)
		}
		got, err := d.Next()
		if err == io.EOF {
			return refused, rows, nil
		}
		if err != nil {
			return nil, 0, fmt.Errorf("check a body: %w", err)
		}
		rows += got.Batch.N + len(got.Bad)
		if err := r.sort(got); err != nil {
			return nil, 0, err
		}
		d.GiveBack() // letters have copies
		for _, l := range r.lettersOfNow {
			refused = append(refused, asError(l))
		}
	}
}
