package metamorphic

import (
	"context"
	"errors"
	"io"
	"iter"
	"log/slog"
	"sync"
	"sync/atomic"

	"anabranch/bucket"
	"anabranch/fault"
	"anabranch/stream"
)

var errDied = errors.New("the run died here")

// fuse counts the calls of one run to the log and to the store, before and
// behind each that writes, and ends or stops the run at one of them.
type fuse struct {
	at     int64 // 0: never
	kill   context.CancelCauseFunc
	frozen chan struct{} // with wake, in the place of kill: closed when it stands still
	wake   chan struct{}
	n      atomic.Int64
	thawed sync.Once
}

func (f *fuse) step() error {
	n := f.n.Add(1)
	if f.at == 0 || n < f.at {
		return nil
	}
	if f.wake == nil {
		f.kill(errDied)
		return fault.Wrap(fault.Transient, errDied)
	}
	if n == f.at {
		close(f.frozen)
	}
	<-f.wake
	return nil
}

func (f *fuse) thaw() { f.thawed.Do(func() { close(f.wake) }) }

// fusedLog is the log as a run with a fuse sees it.
type fusedLog struct {
	stream.Log
	fuse *fuse
}

func (l *fusedLog) Append(ctx context.Context, p int, frame []byte) (uint64, error) {
	if err := l.fuse.step(); err != nil {
		return 0, err
	}
	offset, err := l.Log.Append(ctx, p, frame)
	if e := l.fuse.step(); e != nil {
		return 0, e
	}
	return offset, err
}

// fused is the store as a run with a fuse sees it.
type fused struct {
	bucket.Bucket
	fuse *fuse
}

func (b *fused) Get(ctx context.Context, name string) (io.ReadCloser, bucket.Info, error) {
	if err := b.fuse.step(); err != nil {
		return nil, bucket.Info{}, err
	}
	return b.Bucket.Get(ctx, name)
}

func (b *fused) Range(ctx context.Context, name string, offset, size int64) (io.ReadCloser, error) {
	if err := b.fuse.step(); err != nil {
		return nil, err
	}
	return b.Bucket.Range(ctx, name, offset, size)
}

func (b *fused) Stat(ctx context.Context, name string) (bucket.Info, error) {
	if err := b.fuse.step(); err != nil {
		return bucket.Info{}, err
	}
	return b.Bucket.Stat(ctx, name)
}

func (b *fused) List(ctx context.Context, prefix, after string) iter.Seq2[bucket.Info, error] {
	if err := b.fuse.step(); err != nil {
		return func(yield func(bucket.Info, error) bool) { yield(bucket.Info{}, err) }
	}
	return b.Bucket.List(ctx, prefix, after)
}

func (b *fused) Put(ctx context.Context, name string, body io.ReadSeeker, when bucket.Condition) (string, error) {
	if err := b.fuse.step(); err != nil {
		return "", err
	}
	tag, err := b.Bucket.Put(ctx, name, body, when)
	if e := b.fuse.step(); e != nil {
		return "", e
	}
	return tag, err
}

// listener is a log handler with an ear for what is rare.
type listener struct{ stage *stage }

func (l *listener) Enabled(_ context.Context, level slog.Level) bool { return level >= slog.LevelInfo }
func (l *listener) WithAttrs([]slog.Attr) slog.Handler               { return l }
func (l *listener) WithGroup(string) slog.Handler                    { return l }

func (l *listener) Handle(_ context.Context, r slog.Record) error {
	if r.Message == "planning again" {
		l.stage.saw("a batch lost the race to publish")
	}
	return nil
}
