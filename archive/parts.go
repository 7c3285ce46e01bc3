package archive

import (
	"slices"

	"golang.org/x/sync/errgroup"

	"anabranch/schemas"
)

// partsReader reads an object of which some parts were fetched; anything else
// comes in a request of its own.
type partsReader struct {
	footerReader
	parts  []schemas.Span
	memory []byte // of the parts, one behind the other
}

// partsGap is what is fetched along with its neighbours: as long as a request
// takes, so many bytes come.
const partsGap = 128 << 10

// fetch has the given parts, side by side, in place of those before.
func (r *partsReader) fetch(parts []schemas.Span) error {
	size := int64(0)
	for _, p := range parts {
		size += p.To - p.From
	}
	r.parts, r.memory = nil, slices.Grow(r.memory[:0], int(size))[:size]
	group, ctx := errgroup.WithContext(r.ctx)
	group.SetLimit(8)
	from := remote{ctx, r.a, r.name}
	memory := r.memory
	for _, p := range parts {
		into := memory[:p.To-p.From]
		memory = memory[len(into):]
		group.Go(func() error {
			_, err := from.ReadAt(into, p.From)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	r.parts = parts
	return nil
}

// ReadAt implements io.ReaderAt.
func (r *partsReader) ReadAt(b []byte, off int64) (int, error) {
	memory := r.memory
	for _, p := range r.parts {
		if p.From <= off && off+int64(len(b)) <= p.To {
			return copy(b, memory[off-p.From:]), nil
		}
		memory = memory[p.To-p.From:]
	}
	return r.footerReader.ReadAt(b, off)
}
