package ingest

import (
	"context"
	"fmt"
	"io"
)

// Check says which events of a body Accept would not take, and why; it stores
// nothing. The error is of the body's reader or of ctx.
func (g *Gateway) Check(ctx context.Context, body io.Reader, m Meta) ([]EventError, error) {
	d, err := g.decoder(m.Format)
	if err != nil {
		return nil, err
	}
	defer g.putBack(m.Format, d)
	r := &request{g: g, meta: m, byPartition: make([][]uint32, len(g.parts))}
	d.Reset(body)
	var refused []EventError
	for {
		if err := ctx.Err(); err != nil {
			return nil, context.Cause(ctx)
		}
		rows, err := d.Next()
		if err == io.EOF {
			return refused, nil
		}
		if err != nil {
			return nil, fmt.Errorf("check a body: %w", err)
		}
		if err := r.sort(rows); err != nil {
			return nil, err
		}
		for _, l := range r.lettersOfNow {
			refused = append(refused, asError(l))
		}
	}
}
