package natslog

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"anabranch/fault"
	"anabranch/stream"
)

const (
	// aheadBytes is about how much a reader asks for ahead of its caller.
	aheadBytes = 8 << 20
	// pullBytes bounds one pull when records turn out larger than those
	// before; the largest one fits.
	pullBytes = maxPayload + 4<<20
	// firstSize is how large a reader takes records to be before it saw one.
	firstSize = 64 << 10
	// The records asked for ahead: few large ones, many small ones.
	minAhead, maxAhead = 4, 512
	// returnBytes and maxAhead bound what one Next returns.
	returnBytes = 16 << 20
	// pullExpires is how long the server holds a pull that nothing answers,
	// and beatEvery how often it says meanwhile that it is alive.
	pullExpires, beatEvery = 30 * time.Second, time.Second
	// tick is how often a waiting reader looks around; after silentTicks
	// without a word it makes itself a new consumer.
	tick        = time.Second
	silentTicks = 4
	// idleConsumer is how long the server keeps a consumer nobody asks.
	idleConsumer = time.Minute
	// retryAfter paces attempts while the server cannot be reached.
	retryAfter = 250 * time.Millisecond
)

// reader reads one partition through a consumer of its own, which it makes
// again whenever in doubt: its place is next, not the consumer.
type reader struct {
	log    *log
	part   *part
	once   sync.Once
	closed chan struct{}

	mu   sync.Mutex // held by Next and while cleaning up; guards what follows
	next uint64

	// The consumer; sub is nil when there is none.
	consumer    string
	sub         *nats.Subscription
	arriving    chan *nats.Msg
	outstanding int    // records asked for that neither came nor expired
	made        uint64 // Store.lives when the consumer was made
	size        int    // about the size of a record, a moving average
	troubled    bool   // has said that it gets no records
}

// Next implements stream.Reader.
func (r *reader) Next(ctx context.Context) ([]stream.Record, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for {
		if err := r.stopped(ctx); err != nil {
			return nil, err
		}
		if err := r.part.lostFrom(r.next); err != nil {
			return nil, err
		}
		got, err := r.receive(ctx)
		if len(got) > 0 {
			r.troubled = false
			return got, nil
		}
		if err == nil {
			continue
		}
		r.drop()
		if stopped := r.stopped(ctx); stopped != nil {
			return nil, stopped
		}
		if !fault.KindOf(err).Retryable() {
			return nil, err
		}
		// The next consumer may fare as this one did: the record itself may be
		// what breaks it. So it is asked for.
		got, why := r.ask(ctx)
		if len(got) > 0 || why != nil && !fault.KindOf(why).Retryable() {
			return got, why
		}
		if !r.troubled && r.stopped(ctx) == nil { // not for each attempt: there are four a second
			r.troubled = true
			r.log.store.opts.Logger.Warn("log reader begins anew until records come", "pipeline", r.part.pipeline, "partition", r.part.number, "offset", r.next, "why", err)
		}
		r.wait(ctx, retryAfter)
	}
}

// stopped says why Next has to return, nil when it has not.
func (r *reader) stopped(ctx context.Context) error {
	if isClosed(r.closed) || isClosed(r.log.closed) {
		return stream.ErrClosed
	}
	return ctx.Err()
}

func (r *reader) wait(ctx context.Context, d time.Duration) {
	select {
	case <-r.log.store.opts.Clock.After(d):
	case <-ctx.Done():
	case <-r.closed:
	}
}

// errNewConsumer is why a consumer is given up without an error to show.
var errNewConsumer = errors.New("the server is silent, or has lost its consumers")

// receive waits for records and returns them. It returns neither records nor
// an error when there is a reason to look at everything again.
func (r *reader) receive(ctx context.Context) ([]stream.Record, error) {
	if r.part.snags.before(r.next, 1) == 0 {
		return r.ask(ctx)
	}
	if r.sub == nil {
		if err := r.start(ctx); err != nil {
			return nil, err
		}
	}
	silent, end := 0, uint64(0)
	ticking := r.log.store.opts.Clock.After(tick) // not anew for each heartbeat, or it would never fire
	for {
		if err := r.pull(); err != nil {
			return nil, err
		}
		select {
		case m := <-r.arriving:
			silent = 0
			if got, err := r.take(ctx, m); len(got) > 0 || err != nil {
				return got, err
			}
		case <-ticking:
			ticking = r.log.store.opts.Clock.After(tick)
			silent++
			if silent >= silentTicks || r.log.store.lives() != r.made {
				return nil, errNewConsumer
			}
			var got []stream.Record
			var err error
			if end, got, err = r.look(ctx, end); len(got) > 0 || err != nil {
				return got, err
			}
		case <-ctx.Done():
			return nil, nil
		case <-r.closed:
			return nil, nil
		}
	}
}

// take handles m and whatever has arrived behind it.
func (r *reader) take(ctx context.Context, m *nats.Msg) ([]stream.Record, error) {
	var got []stream.Record
	bytes := 0
	for {
		if status := m.Header.Get("Status"); status != "" && len(m.Data) == 0 {
			if err := r.status(status, m); err != nil {
				return got, err
			}
		} else {
			r.outstanding--
			meta, err := m.Metadata()
			if err != nil {
				return got, fmt.Errorf("delivery without its place: %w", err)
			}
			switch seq := meta.Sequence.Stream; {
			case seq > r.next && len(got) > 0:
				r.drop() // the next call comes here again, with nothing in hand
				return got, nil
			case seq > r.next:
				return r.ask(ctx)
			case seq == r.next:
				if err := r.part.check(seq, m.Subject); err != nil {
					return got, err
				}
				got = append(got, stream.Record{Offset: seq, Frame: m.Data})
				r.next++
				bytes += len(m.Data)
				r.size += (len(m.Data) - r.size) / 8
			}
		}
		if len(got) >= maxAhead || bytes >= returnBytes {
			return got, nil
		}
		select {
		case m = <-r.arriving:
		default:
			return got, nil
		}
	}
}

// status handles what the server says instead of a record.
func (r *reader) status(status string, m *nats.Msg) error {
	switch status {
	case "100": // a heartbeat
		return nil
	case "408", "409": // a pull expired, or its next record is over its bytes
		if left, err := strconv.Atoi(m.Header.Get("Nats-Pending-Messages")); err == nil {
			r.outstanding -= left
			return nil
		}
	}
	return fmt.Errorf("the server answered %s %s", status, m.Header.Get("Description"))
}

// start makes a consumer that begins at next.
func (r *reader) start(ctx context.Context) error {
	store := r.log.store
	defer store.keeper.enter()()
	r.made = store.lives()
	doing := func(err error) error {
		return classify(err, "read partition %d of %s from %d", r.part.number, r.part.pipeline, r.next)
	}
	consumer, err := store.js.CreateConsumer(ctx, r.part.stream, jetstream.ConsumerConfig{
		DeliverPolicy: jetstream.DeliverByStartSequencePolicy, OptStartSeq: r.next,
		AckPolicy: jetstream.AckNonePolicy, MemoryStorage: true, Replicas: 1, InactiveThreshold: idleConsumer,
	})
	if err != nil {
		return doing(err)
	}
	r.consumer = consumer.CachedInfo().Name
	// Twice what is ever asked for ahead: the channel never overflows, which
	// the client would answer by dropping records.
	r.arriving = make(chan *nats.Msg, 2*maxAhead)
	r.outstanding = 0
	if r.sub, err = store.reading.ChanSubscribe(store.reading.NewInbox(), r.arriving); err != nil {
		return doing(err)
	}
	return nil
}

// pull asks for more records when half of what may be outstanding has come.
func (r *reader) pull() error {
	ahead := min(max(aheadBytes/max(r.size, 1), minAhead), maxAhead)
	ahead = r.part.snags.before(r.next, ahead)
	if r.outstanding > ahead/2 || r.outstanding >= ahead {
		return nil
	}
	n := ahead - r.outstanding
	ask, _ := json.Marshal(struct {
		Batch     int           `json:"batch"`
		Bytes     int           `json:"max_bytes"`
		Expires   time.Duration `json:"expires"`
		Heartbeat time.Duration `json:"idle_heartbeat"`
	}{n, pullBytes, pullExpires, beatEvery})
	err := r.log.store.reading.PublishRequest("$JS.API.CONSUMER.MSG.NEXT."+r.part.stream+"."+r.consumer, r.sub.Subject, ask)
	if err != nil {
		return classify(err, "ask for records of partition %d of %s", r.part.number, r.part.pipeline)
	}
	r.outstanding += n
	return nil
}

// lives counts how often all consumers were lost: with their connection, or
// when the streams were closed and recovered.
func (s *Store) lives() uint64 { return s.reading.Stats().Reconnects + s.keeper.revivals() }

// drop gives the consumer up. It asks the server to remove it and does not
// wait: the server removes idle ones by itself.
func (r *reader) drop() {
	if r.sub == nil {
		return
	}
	_ = r.sub.Unsubscribe() // fails only when the connection is closed
	r.sub = nil
	_ = r.log.store.reading.Publish("$JS.API.CONSUMER.DELETE."+r.part.stream+"."+r.consumer, nil)
}

// Close implements stream.Reader.
func (r *reader) Close() error {
	r.once.Do(func() { close(r.closed) })
	r.mu.Lock() // Next has seen it and returned
	r.drop()
	r.mu.Unlock()
	r.log.mu.Lock()
	delete(r.log.readers, r)
	r.log.mu.Unlock()
	return nil
}
