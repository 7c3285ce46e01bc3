package natslog

import (
	"context"
	"fmt"
	"maps"
	"strconv"
	"sync"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"anabranch/fault"
	"anabranch/stream"
)

// log is one opening of a pipeline's log.
type log struct {
	store    *Store
	pipeline string
	parts    []*part
	once     sync.Once
	closed   chan struct{}

	mu      sync.Mutex // guards readers
	readers map[*reader]struct{}
}

// Partitions implements stream.Log.
func (l *log) Partitions() int { return len(l.parts) }

func (l *log) part(partition int) (*part, error) {
	if isClosed(l.closed) {
		return nil, stream.ErrClosed
	}
	if err := stream.CheckPartition(len(l.parts), partition); err != nil {
		return nil, err
	}
	return l.parts[partition], nil
}

// Append implements stream.Appender. The server writes and syncs the records
// of one partition one after the other; those of several partitions at once.
func (l *log) Append(ctx context.Context, partition int, frame []byte) (uint64, error) {
	p, err := l.part(partition)
	if err != nil {
		return 0, err
	}
	if err := stream.CheckAppend(len(l.parts), partition, len(frame)); err != nil {
		return 0, err
	}
	if err := p.damaged(); err != nil {
		return 0, err
	}
	if err := l.store.checkFree(int64(len(frame))); err != nil {
		return 0, err
	}
	noted := p.note.highest()
	ack, err := l.publish(ctx, p, frame)
	if err != nil {
		return 0, err
	}
	if ack.Stream != p.stream {
		return 0, fault.New(fault.Invalid, "append to partition %d of %s: stream %s took the frame; its subjects must not cover %s", partition, l.pipeline, ack.Stream, p.subject)
	}
	if ack.Sequence <= noted { // it has the offset of a record that was acknowledged before
		p.endsBelow(ack.Sequence, noted, l.store.opts.Logger)
		return 0, p.damaged()
	}
	if err := p.note.acknowledged(ack.Sequence); err != nil {
		return 0, err
	}
	return ack.Sequence, nil
}

// publish hands the server a frame and waits until it is synced. It does not
// wait for a server that has given up.
func (l *log) publish(ctx context.Context, p *part, frame []byte) (*jetstream.PubAck, error) {
	keeper := l.store.keeper
	defer keeper.enter()()
	refuse := func(why error) error {
		return fmt.Errorf("append to partition %d of %s: %w", p.number, p.pipeline, why)
	}
	health := keeper.health()
	if health.err != nil {
		return nil, refuse(health.err)
	}
	ctx, cancel := context.WithTimeout(ctx, l.store.opts.AppendTimeout)
	defer cancel()
	defer context.AfterFunc(health.good, cancel)()
	ack, err := l.store.js.PublishMsg(ctx, &nats.Msg{Subject: p.subject, Data: frame})
	if err == nil {
		return ack, nil
	}
	if now := keeper.health(); now.err != nil {
		return nil, refuse(now.err)
	}
	if !fault.Is(classify(err, ""), fault.Full) {
		keeper.hint() // it may have been silent for a reason
	}
	return nil, classify(err, "append to partition %d of %s", p.number, p.pipeline)
}

func (s *Store) checkFree(size int64) error {
	if s.server == nil || s.opts.MinFree < 0 {
		return nil
	}
	return s.checkRoom(size, s.opts.MinFree)
}

// checkRoom reports whether size bytes can be written to the embedded
// server's disk so that keep stay free; Full when not.
func (s *Store) checkRoom(size, keep int64) error {
	free, err := s.server.free()
	if err != nil {
		return err
	}
	if free-size < keep {
		return fault.New(fault.Full, "append: the file system of %s has %d bytes left, and %d are kept free", s.opts.Dir, free, keep)
	}
	return nil
}

// bounds is what a stream says about itself.
type bounds struct {
	first, next, trimmed uint64
	there                uint64 // the first record that the server has, or will have
	config               jetstream.StreamConfig
	stream               jetstream.Stream
}

func (l *log) bounds(ctx context.Context, p *part) (bounds, error) {
	defer l.store.keeper.enter()()
	noted := p.note.highest()
	str, err := l.store.js.Stream(ctx, p.stream)
	if err != nil {
		return bounds{}, classify(err, "look at partition %d of %s", p.number, l.pipeline)
	}
	info := str.CachedInfo()
	if l.store.server != nil { // a server of several that has just become the leader may be behind
		p.compareNote(info.State.LastSeq, noted, l.store.opts.Logger)
	}
	b := bounds{next: info.State.LastSeq + 1, there: info.State.FirstSeq, config: info.Config, stream: str}
	if text := info.Config.Metadata[metaTrimmed]; text != "" {
		if b.trimmed, err = strconv.ParseUint(text, 10, 64); err != nil {
			return bounds{}, fault.New(fault.Corrupt, "partition %d of %s: its trim mark %q is not an offset", p.number, l.pipeline, text)
		}
	}
	// Not the server's first: that also rises when the first record is lost.
	b.first = min(max(b.trimmed, 1), b.next)
	return b, nil
}

// Bounds implements stream.Log.
func (l *log) Bounds(ctx context.Context, partition int) (uint64, uint64, error) {
	p, err := l.part(partition)
	if err != nil {
		return 0, 0, err
	}
	if err := p.damaged(); err != nil {
		return 0, 0, err
	}
	b, err := l.bounds(ctx, p)
	if err == nil {
		err = p.damaged()
	}
	if err != nil {
		return 0, 0, err
	}
	return b.first, b.next, nil
}

// Trim implements stream.Log. The mark is set before the records go: a reader
// that finds them gone can then tell on purpose from by accident.
func (l *log) Trim(ctx context.Context, partition int, below uint64) error {
	p, err := l.part(partition)
	if err != nil {
		return err
	}
	p.trim.Lock()
	defer p.trim.Unlock()
	for {
		b, err := l.bounds(ctx, p)
		if err != nil {
			return err
		}
		if below > b.next {
			return fault.New(fault.Invalid, "trim partition %d of %s below %d: the log ends at %d", partition, l.pipeline, below, b.next)
		}
		if below <= 1 || below < b.trimmed {
			return nil
		}
		marked := below > b.trimmed
		if err := l.trim(ctx, p, b, below); err != nil || !marked {
			return err
		}
		// Once more: a process that had stood still may just have taken the
		// mark back to its own.
	}
}

// trim marks and purges. The mark is written whole, over whatever it is by
// now: when records have gone since the look that b is, another process has
// trimmed them and its mark, which was higher, has to stand again.
func (l *log) trim(ctx context.Context, p *part, b bounds, below uint64) error {
	if err := l.store.keeper.trimmable(); err != nil {
		return fmt.Errorf("trim partition %d of %s below %d: %w", p.number, l.pipeline, below, err)
	}
	defer l.store.keeper.enter()()
	for mark := below; mark > b.trimmed; {
		config := b.config
		config.Metadata = maps.Clone(config.Metadata)
		config.Metadata[metaTrimmed] = strconv.FormatUint(mark, 10)
		now, err := l.store.js.UpdateStream(ctx, config)
		if err != nil {
			return classify(err, "mark partition %d of %s as trimmed below %d", p.number, l.pipeline, mark)
		}
		there := now.CachedInfo().State.FirstSeq
		if there <= max(mark, b.there) {
			break
		}
		mark = there
	}
	return classify(l.drop(ctx, p, b.stream, below), "trim partition %d of %s below %d", p.number, l.pipeline, below)
}

// Read implements stream.Log.
func (l *log) Read(ctx context.Context, partition int, from uint64) (stream.Reader, error) {
	p, err := l.part(partition)
	if err != nil {
		return nil, err
	}
	b, err := l.bounds(ctx, p)
	if err != nil {
		return nil, err
	}
	from = max(from, 1) // JetStream counts from 1
	switch {
	case from < b.trimmed:
		return nil, stream.ErrTrimmed
	case from > b.next && p.damaged() != nil:
		return nil, p.damaged()
	case from > b.next:
		return nil, fault.New(fault.Corrupt, "read partition %d of %s from %d: the log ends at %d, so records that were seen are gone", partition, l.pipeline, from, b.next)
	}
	r := &reader{log: l, part: p, next: from, size: firstSize, closed: make(chan struct{})}
	l.mu.Lock()
	defer l.mu.Unlock()
	if isClosed(l.closed) { // under the lock under which Close collects the readers
		return nil, stream.ErrClosed
	}
	l.readers[r] = struct{}{}
	return r, nil
}

// Close implements stream.Log.
func (l *log) Close() error {
	l.once.Do(func() {
		close(l.closed)
		l.store.mu.Lock()
		delete(l.store.logs, l)
		l.store.mu.Unlock()
	})
	l.mu.Lock()
	var open []*reader
	for r := range l.readers {
		open = append(open, r)
	}
	l.mu.Unlock()
	for _, r := range open {
		r.Close()
	}
	return nil
}

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}
