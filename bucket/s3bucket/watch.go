package s3bucket

import (
	"context"
	"errors"
	"io"
	"sync"
	"sync/atomic"

	"anabranch/fault"
)

// watch is the time limit of one attempt: it ends the attempt when nothing
// moves for Options.Stall. A large body may take as long as it likes, and so
// may a reader that has other things to do; a store that holds the line and
// says nothing may not.
type watch struct {
	b      *Bucket
	ctx    context.Context // of the attempt
	cancel context.CancelCauseFunc
	// moves rises with everything that happens. It is odd while the store is
	// to move and even while we are.
	moves atomic.Uint64
	done  sync.WaitGroup
}

// watch begins an attempt: the store is to move.
func (b *Bucket) watch(ctx context.Context) *watch {
	w := &watch{b: b}
	w.ctx, w.cancel = context.WithCancelCause(ctx)
	w.moves.Store(1)
	w.done.Go(w.run)
	return w
}

func (w *watch) run() {
	for {
		before := w.moves.Load()
		select {
		case <-w.b.o.Clock.After(w.b.o.Stall):
			if before%2 == 1 && w.moves.Load() == before {
				w.cancel(fault.New(fault.Transient, "%w for %s", errStalled, w.b.o.Stall))
				return
			}
		case <-w.ctx.Done():
			return
		}
	}
}

// turn hands the turn to the other side.
func (w *watch) turn() { w.moves.Add(1) }

// stop ends the attempt.
func (w *watch) stop() {
	w.cancel(context.Canceled)
	w.done.Wait()
}

// why returns the error to tell for an attempt that ended with err: the
// watch's own where it was the watch that ended it.
func (w *watch) why(err error) error {
	if cause := context.Cause(w.ctx); err != nil && errors.Is(cause, errStalled) {
		return cause
	}
	return err
}

var errStalled = errors.New("the object store holds the line and has not moved a byte")

// sent is a body on its way to the store: each read of it is a move.
type sent struct {
	io.ReadSeeker
	watch *watch
}

func (s sent) Read(p []byte) (int, error) {
	s.watch.moves.Add(2)
	return s.ReadSeeker.Read(p)
}
