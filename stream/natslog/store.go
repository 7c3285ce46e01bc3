package natslog

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"anabranch/event"
	"anabranch/fault"
	"anabranch/internal/disk"
	"anabranch/stream"
)

// Store keeps logs in JetStream.
type Store struct {
	opts   Options
	server *embedded // nil when external
	keeper *keeper   // nil when external

	// Appends and everything small go one way, deliveries to readers the
	// other: an acknowledgement never waits behind megabytes of frames.
	writing, reading *nats.Conn
	js               jetstream.JetStream

	mu     sync.Mutex // guards what follows
	parts  map[string]*part
	logs   map[*log]struct{}
	closed bool
}

var _ stream.Store = (*Store)(nil)

// Open starts the embedded server in Options.Dir, or connects to the one at
// Options.URL.
func Open(ctx context.Context, o Options) (*Store, error) {
	o, err := o.withDefaults()
	if err != nil {
		return nil, err
	}
	s := &Store{opts: o, parts: map[string]*part{}, logs: map[*log]struct{}{}}
	if o.Dir != "" {
		if err := checkSequences(o.Dir); err != nil {
			return nil, err
		}
		if s.server, err = startServer(ctx, o); err != nil {
			return nil, err
		}
		if err := os.MkdirAll(s.noteDir(), 0o755); err != nil {
			s.Close()
			return nil, diskFault(err, "make the folder of notes")
		}
	}
	if s.writing, err = s.connect(ctx, "anabranch appends"); err == nil {
		if s.reading, err = s.connect(ctx, "anabranch reads"); err == nil {
			s.js, err = jetstream.New(s.writing, jetstream.WithDefaultTimeout(o.AppendTimeout))
		}
	}
	if err == nil && s.writing.MaxPayload() < event.MaxFrame {
		err = fault.WithHint(fault.New(fault.Invalid, "the server at %s takes messages of up to %d bytes, frames need %d", o.URL, s.writing.MaxPayload(), event.MaxFrame),
			"set max_payload: 8MB there")
	}
	if err != nil {
		s.Close()
		return nil, err
	}
	if s.server != nil {
		s.keeper = newKeeper(s)
		s.server.says.onError(s.keeper.hint)
	}
	return s, nil
}

func (s *Store) noteDir() string { return filepath.Join(s.opts.Dir, noteFolder) }

func (s *Store) connect(ctx context.Context, name string) (*nats.Conn, error) {
	opts := []nats.Option{
		nats.Name(name), nats.MaxReconnects(-1), nats.ReconnectWait(200 * time.Millisecond),
		// An append that cannot be sent is an error now, not a frame that
		// surprises everybody after the next connection.
		nats.ReconnectBufSize(-1),
		nats.DisconnectErrHandler(func(_ *nats.Conn, err error) {
			if err != nil {
				s.opts.Logger.Warn("log connection lost", "connection", name, "error", err)
			}
		}),
		nats.ReconnectHandler(func(c *nats.Conn) { s.opts.Logger.Info("log connection back", "connection", name) }),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) {
			s.opts.Logger.Warn("log connection", "connection", name, "error", err)
		}),
	}
	url := s.opts.URL
	if s.server != nil {
		url = ""
		opts = append(opts, nats.InProcessServer(s.server))
	}
	if s.opts.Credentials != "" {
		opts = append(opts, nats.UserCredentials(s.opts.Credentials))
	}
	if end, ok := ctx.Deadline(); ok {
		opts = append(opts, nats.Timeout(max(end.Sub(s.opts.Clock.Now()), time.Millisecond)))
	}
	nc, err := nats.Connect(url, opts...)
	return nc, classify(err, "connect to the log's server %s", url)
}

// ClientURL is where other programs reach the server: the embedded one when it
// listens, or the external one. Empty when the server is reached in process
// only.
func (s *Store) ClientURL() string {
	switch {
	case s.server == nil:
		return s.opts.URL
	case s.opts.Listen == "":
		return ""
	}
	return s.server.ClientURL()
}

// Close closes the logs, the connections and the embedded server, and waits
// for all of them.
func (s *Store) Close() error {
	s.mu.Lock()
	done := s.closed
	s.closed = true
	var open []*log
	for l := range s.logs {
		open = append(open, l)
	}
	s.mu.Unlock()
	if done {
		return nil
	}
	for _, l := range open {
		l.Close()
	}
	s.keeper.close()
	for _, c := range []*nats.Conn{s.reading, s.writing} {
		if c != nil {
			c.Close()
		}
	}
	var err error
	switch {
	case s.server == nil:
	case s.keeper != nil && s.keeper.stuck.Load():
		err = fault.New(fault.Transient, "close the log: its server does not answer and was left behind; end this process")
	default:
		s.server.stop()
	}
	for _, p := range s.parts {
		p.note.close()
	}
	return err
}

// The names in a stream's metadata.
const (
	metaPartitions = "anabranch_partitions"
	metaTrimmed    = "anabranch_trimmed" // the offset below which records were trimmed on purpose
)

// Open implements stream.Store.
func (s *Store) Open(ctx context.Context, pipeline string, partitions int) (stream.Log, error) {
	if err := stream.CheckPipeline(pipeline, partitions); err != nil {
		return nil, err
	}
	defer s.keeper.enter()()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, stream.ErrClosed
	}
	l := &log{store: s, pipeline: pipeline, closed: make(chan struct{}), readers: map[*reader]struct{}{}}
	for n := range partitions {
		p, err := s.openPart(ctx, pipeline, n, partitions)
		if err != nil {
			return nil, err
		}
		l.parts = append(l.parts, p)
	}
	s.logs[l] = struct{}{}
	return l, nil
}

// openPart makes or opens one partition. Partition 0 is made first, so that
// its metadata tells the number of partitions even after a crash half way.
// s.mu is held.
func (s *Store) openPart(ctx context.Context, pipeline string, number, partitions int) (*part, error) {
	p := &part{
		pipeline: pipeline, number: number,
		stream: streamName(pipeline, number), subject: fmt.Sprintf("anabranch.%s.p%04d", pipeline, number),
	}
	want := jetstream.StreamConfig{
		Name: p.stream, Subjects: []string{p.subject}, Storage: jetstream.FileStorage, Replicas: 1,
		Retention: jetstream.LimitsPolicy, Discard: jetstream.DiscardNew, MaxMsgSize: maxPayload, MaxBytes: -1,
		DenyDelete: true, Metadata: map[string]string{metaPartitions: strconv.Itoa(partitions)},
	}
	if s.opts.MaxBytes > 0 {
		want.MaxBytes = s.opts.MaxBytes
	}
	str, err := s.js.Stream(ctx, p.stream)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		if s.server != nil { // set aside by a repair, perhaps
			if want.FirstSeq, err = readBegin(filepath.Join(s.noteDir(), p.stream+beginSuffix)); err != nil {
				return nil, err
			}
			if want.FirstSeq > 0 {
				want.Metadata[metaTrimmed] = strconv.FormatUint(want.FirstSeq, 10)
			}
		}
		str, err = s.js.CreateStream(ctx, want)
	}
	if err != nil {
		return nil, classify(err, "open partition %d of %s", number, pipeline)
	}
	info := str.CachedInfo()
	if made := info.Config.Metadata[metaPartitions]; made != want.Metadata[metaPartitions] {
		return nil, fault.New(fault.Invalid, "open the log of %s: it was made with %s partitions, not %d; their number never changes", pipeline, made, partitions)
	}
	if info.Config.MaxBytes != want.MaxBytes {
		changed := info.Config
		changed.MaxBytes = want.MaxBytes
		if _, err := s.js.UpdateStream(ctx, changed); err != nil {
			return nil, classify(err, "set the limit of partition %d of %s to %d bytes", number, pipeline, want.MaxBytes)
		}
	}
	if known := s.parts[p.stream]; known != nil {
		return known, nil
	}
	p.note = &note{}
	if s.server != nil {
		if p.note, err = openNote(disk.Real{}, filepath.Join(s.noteDir(), p.stream)); err != nil {
			return nil, err
		}
	}
	if p.compareNote(info.State.LastSeq, p.note.highest(), s.opts.Logger); p.damage.Load() == nil {
		if err := p.note.acknowledged(info.State.LastSeq); err != nil {
			return nil, err
		}
	}
	s.parts[p.stream] = p
	return p, nil
}

// compareNotes finds partitions that lost acknowledged records when their
// streams were recovered.
func (s *Store) compareNotes(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range s.parts {
		str, err := s.js.Stream(ctx, p.stream)
		if err != nil {
			return classify(err, "look at partition %d of %s", p.number, p.pipeline)
		}
		p.compareNote(str.CachedInfo().State.LastSeq, p.note.highest(), s.opts.Logger)
	}
	return nil
}

// compareNote notes the damage when the stream ends at last, below what was
// noted as acknowledged before it was asked.
func (p *part) compareNote(last, noted uint64, logger *slog.Logger) {
	if last < noted {
		p.endsBelow(last+1, noted, logger)
	}
}

// endsBelow notes that the records from offset end to noted are gone. A server
// that meets damage when it reads a block again cuts the last one off there,
// while it runs, and would give their offsets to others.
func (p *part) endsBelow(end, noted uint64, logger *slog.Logger) {
	old := p.damage.Load()
	if old != nil && old.end <= end {
		return
	}
	d := &damage{end: end}
	d.err = fault.WithHint(fault.New(fault.Corrupt, "partition %d of %s ends below offset %d, but %d records up to offset %d were acknowledged: its files are damaged",
		p.number, p.pipeline, d.end, noted-end+1, noted), "keep the files of stream %s; what was archived or snapshotted is not affected", p.stream)
	if !p.damage.CompareAndSwap(old, d) {
		p.endsBelow(end, noted, logger)
		return
	}
	logger.Error("log damaged", "pipeline", p.pipeline, "partition", p.number, "error", d.err)
}

// part is one partition, shared by all openings of its log.
type part struct {
	pipeline        string
	number          int
	stream, subject string
	note            *note // only in memory for an external server

	// damage says that acknowledged records are gone, nil when none are. It
	// stays, and its end never rises.
	damage atomic.Pointer[damage]
	snags  snags

	trim sync.Mutex // held while trimming: the mark and the purge belong together
}

// damage is the loss of acknowledged records from an offset on.
type damage struct {
	err error
	end uint64
}

// damaged returns the error of a part that lost records, else nil.
func (p *part) damaged() error {
	if d := p.damage.Load(); d != nil {
		return d.err
	}
	return nil
}
