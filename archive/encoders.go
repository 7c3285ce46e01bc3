package archive

import (
	"context"
	"time"

	"anabranch/fault"
	"anabranch/internal/processors"
)

// encoders are the turns of those sealers of this process that encode: one
// fewer than there are processors. Under a steady load the segments of all
// partitions are full in the same moment, and encoding all of them at once would
// leave no processor to who appends.
var encoders = make(chan struct{}, processors.ButOne())

// patience is how far a sealer falls behind the log at most because it waits
// for its turn. Under a load that takes all processors nobody waits: events
// that come in have no advantage over those that are there.
const patience = time.Second

// turn waits for one; the caller calls over when it has encoded. The error is
// that of ctx.
func (f *following) turn(ctx context.Context) (over func(), err error) {
	behind := time.Duration(0)
	if n := len(f.open.frames); n > 0 {
		last := time.UnixMicro(f.open.frames[n-1].ingested)
		behind = max(f.a.opts.Clock.Now().Sub(last), 0)
	}
	if behind >= patience {
		return func() {}, nil
	}
	select {
	case encoders <- struct{}{}:
		return func() { <-encoders }, nil
	case <-f.a.opts.Clock.After(patience - behind):
		return func() {}, nil
	case <-ctx.Done():
		return nil, fault.Wrap(fault.Transient, context.Cause(ctx))
	}
}
