package natslog

import (
	"context"
	"errors"
	"slices"
	"sync"

	"github.com/nats-io/nats.go/jetstream"

	"anabranch/fault"
	"anabranch/stream"
)

// look is called while nothing comes. It returns where the log ends when
// records wait there for this reader; when they did already the time before,
// as seen tells, they are not coming, and look asks for the next one.
func (r *reader) look(ctx context.Context, seen uint64) (end uint64, got []stream.Record, err error) {
	b, err := r.log.bounds(ctx, r.part)
	switch {
	case err != nil && fault.KindOf(err).Retryable():
		return 0, nil, nil // no news; silence is counted elsewhere
	case err != nil:
		return 0, nil, err
	case r.part.lostFrom(r.next) != nil:
		return 0, nil, r.part.lostFrom(r.next)
	case b.next <= r.next:
		return 0, nil, nil
	case seen <= r.next:
		return b.next, nil, nil
	}
	got, err = r.ask(ctx)
	return 0, got, err
}

// ask asks the server for the record at next, which did not come through the
// consumer: only its delivery may have been lost, and then ask returns it.
// Otherwise the error is ErrTrimmed or Corrupt, or says why the server cannot
// be asked. It returns nothing where the log ends at next. The consumer is
// given up.
func (r *reader) ask(ctx context.Context) ([]stream.Record, error) {
	r.drop()
	b, err := r.log.bounds(ctx, r.part)
	if err != nil {
		return nil, err
	}
	if err := r.part.lostFrom(r.next); err != nil {
		return nil, err
	}
	if r.next >= max(b.next, b.trimmed) {
		return nil, nil
	}
	leave := r.log.store.keeper.enter()
	m, err := b.stream.GetMsg(ctx, r.next)
	leave()
	if err == nil {
		if err := r.part.check(r.next, m.Subject); err != nil {
			return nil, err
		}
		r.next++
		return []stream.Record{{Offset: m.Sequence, Frame: m.Data}}, nil
	}
	if kindOf(err) != fault.Unknown && !isAnswer(err) {
		return nil, classify(err, "look for offset %d in partition %d of %s", r.next, r.part.number, r.part.pipeline)
	}
	// It may have been trimmed between the two questions.
	if b, err2 := r.log.bounds(ctx, r.part); err2 != nil {
		return nil, err2
	} else if r.next < b.trimmed {
		return nil, stream.ErrTrimmed
	}
	return nil, r.part.lost(r.next, "has vanished from the log (%w)", err)
}

// isAnswer reports whether err is the server's word about the record, not a
// word about the server.
func isAnswer(err error) bool {
	var api *jetstream.APIError
	return errors.Is(err, jetstream.ErrMsgNotFound) || errors.As(err, &api) && api.ErrorCode != codeNoStream
}

// check looks at the subject under which the server has the record at offset.
// How long it is stands under no checksum: a flipped bit there makes a subject
// of the begin of the frame, or a frame of the end of the subject.
func (p *part) check(offset uint64, subject string) error {
	if subject == p.subject {
		return nil
	}
	p.snags.add(offset)
	return p.lost(offset, "is damaged: the server has it under the subject %.60q", subject)
}

// lostFrom returns the error of a part that lost the record at offset and all
// behind it, else nil.
func (p *part) lostFrom(offset uint64) error {
	if d := p.damage.Load(); d != nil && offset >= d.end {
		return d.err
	}
	return nil
}

// lost is the Corrupt error of a record.
func (p *part) lost(offset uint64, format string, args ...any) error {
	args = append([]any{p.number, p.pipeline, offset}, args...)
	return fault.WithHint(fault.New(fault.Corrupt, "partition %d of %s: the record at offset %d "+format, args...),
		"keep the files of stream %s; what was archived or snapshotted is not affected", p.stream)
}

// snags are the records of a partition whose delivery breaks the connection,
// which is that of all readers: what a damaged subject holds need not be what
// the protocol allows. Readers ask for no more than what stands before.
type snags struct {
	mu      sync.Mutex // guards offsets
	offsets []uint64
}

func (s *snags) add(offset uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !slices.Contains(s.offsets, offset) {
		s.offsets = append(s.offsets, offset)
	}
}

// before returns how many records come before the first snag from offset on,
// at most n.
func (s *snags) before(offset uint64, n int) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, at := range s.offsets {
		if at >= offset {
			n = int(min(uint64(n), at-offset))
		}
	}
	return n
}
