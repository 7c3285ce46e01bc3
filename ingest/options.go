package ingest

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/hex"
	"io"
	"log/slog"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"anabranch/deadletter"
	"anabranch/event"
	"anabranch/fault"
	"anabranch/internal/clock"
	"anabranch/internal/pace"
	"anabranch/schemas"
	"anabranch/stream"
)

// Letters keeps what is not accepted; a deadletter.Store does.
type Letters interface {
	// Put stores the letters of one request, durably; putting the same
	// request again replaces them. It does not keep the slice.
	Put(ctx context.Context, request string, letters []deadletter.Letter) error
}

// Predicate says which rows of a batch a rule is about; a view.Predicate does.
type Predicate interface {
	// Eval sets out[i] for each row of b. The error is Invalid when the
	// expression fails for some row.
	Eval(b *event.Batch, out []bool) error
}

// Rule is one quality rule. The first rule that matches an event decides, so
// the rules that filter belong here too, though a filtered event goes into the
// log like any other: speed and batch leave it out of the views.
type Rule struct {
	Code    string
	Message string
	Field   string // the field it is about, when it is about one alone
	Action  string // schemas.ActionDeadLetter or schemas.ActionFilter
	Matches Predicate
}

// Options of a Gateway.
type Options struct {
	Pipeline string
	Schema   *schemas.Schema // what new events are read as, and its version written into frames
	Identity schemas.Identity
	Format   schemas.Format // of a body that does not say
	Rules    []Rule         // in order, the first match decides
	Log      stream.Log
	Letters  Letters

	// Linger is how long the first row of a frame waits for others. Default
	// 5 ms; negative: not at all.
	Linger time.Duration
	// FrameBytes is the size of frame body above which a frame is appended
	// without waiting longer. Default 1 MiB, at most 4 MiB.
	FrameBytes int
	// Lanes are the classes of producers; the highest priority is the lane of
	// a request that names none. Default: one lane.
	Lanes []schemas.Lane
	// MaxInFlight bounds the bytes held for requests that are not answered
	// yet: half for what requests in progress may need, half for rows that
	// wait for the log. A small request counts as 320 KiB. Default 256 MiB,
	// at least 8 MiB.
	MaxInFlight int64
	// Loads returns what the gateway shares with others and how much of it is
	// taken; it is asked for each request. Default: nothing.
	Loads func() []Load
	// Limits bound one request's body.
	Limits Limits
	// Retries is how often an append is repeated that failed for a passing
	// reason. Default 3; negative: never.
	Retries int
	// RetryAfter is the wait before the first repetition; it doubles each
	// time. Default 100 ms.
	RetryAfter time.Duration

	// Producer names this gateway in the frames it writes; it differs for
	// each start of each process. Default: random.
	Producer string
	// Random is where names come from that nobody gave. Default the
	// machine's.
	Random io.Reader
	// Delay counts how long frames took from their first row until the log
	// had them; may be nil.
	Delay   *pace.Meter
	Clock   clock.Clock           // default the machine's
	Logger  *slog.Logger          // default: nothing is logged
	Metrics prometheus.Registerer // default: none
}

// Limits bound one body, as a defence against mistakes and bombs: bodies are
// read piece by piece and never held whole.
type Limits struct {
	// Wire is how many bytes of body are read as they come. Default 512 MiB.
	Wire int64
	// Decoded is how many bytes it may unpack to. Default 2 GiB.
	Decoded int64
}

const (
	defaultFrameBytes = 1 << 20
	maxFrameBytes     = 4 << 20
	minInFlight       = 8 << 20
)

func (o Options) withDefaults() (Options, error) {
	o.Linger = cmp.Or(o.Linger, 5*time.Millisecond)
	o.FrameBytes = cmp.Or(o.FrameBytes, defaultFrameBytes)
	o.MaxInFlight = cmp.Or(o.MaxInFlight, 256<<20)
	o.Limits.Wire = cmp.Or(o.Limits.Wire, 512<<20)
	o.Limits.Decoded = cmp.Or(o.Limits.Decoded, 2<<30)
	o.Retries = cmp.Or(o.Retries, 3)
	o.RetryAfter = cmp.Or(o.RetryAfter, 100*time.Millisecond)
	if o.Random == nil {
		o.Random = rand.Reader
	}
	if o.Clock == nil {
		o.Clock = clock.Wall
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if len(o.Lanes) == 0 {
		o.Lanes = []schemas.Lane{{Name: "default"}}
	}
	o.Lanes = slices.Clone(o.Lanes)
	slices.SortStableFunc(o.Lanes, func(a, b schemas.Lane) int { return cmp.Compare(b.Priority, a.Priority) })
	refuse := func(format string, args ...any) (Options, error) {
		return o, fault.New(fault.Invalid, "ingest of "+o.Pipeline+": "+format, args...)
	}
	switch {
	case o.Schema == nil || o.Log == nil || o.Letters == nil:
		return o, fault.New(fault.Bug, "ingest of %s needs a schema, a log and a place for dead letters", o.Pipeline)
	case o.FrameBytes < 1 || o.FrameBytes > maxFrameBytes:
		return refuse("frames of %d bytes: want 1 to %d", o.FrameBytes, maxFrameBytes)
	case o.MaxInFlight < minInFlight:
		return refuse("%d bytes in flight: want at least %d", o.MaxInFlight, minInFlight)
	case o.Limits.Wire < 1 || o.Limits.Decoded < 1:
		return refuse("body limits of %d and %d bytes: want more than 0", o.Limits.Wire, o.Limits.Decoded)
	}
	for _, r := range o.Rules {
		if r.Action != schemas.ActionDeadLetter && r.Action != schemas.ActionFilter || r.Matches == nil || r.Code == "" {
			return refuse("rule %q with action %q: want a code, a predicate, and %s or %s", r.Code, r.Action, schemas.ActionDeadLetter, schemas.ActionFilter)
		}
	}
	if o.Producer == "" {
		name, err := randomName(o.Random)
		if err != nil {
			return o, err
		}
		o.Producer = name
	}
	return o, nil
}

// randomName returns a name that no other is likely to have.
func randomName(from io.Reader) (string, error) {
	var b [12]byte
	if _, err := io.ReadFull(from, b[:]); err != nil {
		return "", fault.Wrap(fault.Transient, err)
	}
	return hex.EncodeToString(b[:]), nil
}
