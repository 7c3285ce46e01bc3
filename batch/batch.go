package batch

import (
	"cmp"
	"context"
	"log/slog"

	"github.com/prometheus/client_golang/prometheus"

	"anabranch/archive"
	"anabranch/deadletter"
	"anabranch/event"
	"anabranch/fault"
	"anabranch/internal/clock"
	"anabranch/internal/pace"
	"anabranch/schemas"
	"anabranch/stream"
	"anabranch/view"
)

// Options say what a Runner works on. A zero field means its default.
type Options struct {
	Pipeline   string                // required
	Definition string                // version of the pipeline's definition, for the manifest
	Code       string                // version of the program, for the manifest
	Schemas    *schemas.Set          // required; events of every version are read as the newest
	Views      []*view.View          // what is computed, compiled against the newest schema
	Older      []*view.View          // other versions of them, named by archive.ViewKey, that manifests may still have
	Held       map[string]string     // versions by view that do not answer before somebody promotes them
	Filters    []view.NamedPredicate // in order, the first match wins
	// FiltersThen returns the filter rules of a version of the definition, for
	// audits of what was counted then; nil: they were always Filters.
	FiltersThen func(ctx context.Context, definition string) ([]view.NamedPredicate, error)
	Log         stream.Log        // required: barriers are appended to it
	Archive     *archive.Archive  // required
	Letters     *deadletter.Store // required: where conflicting copies go
	Publishes   schemas.Publish   // what a run may publish by itself
	Retention   schemas.Retention // what Expire keeps
	TimeField   string            // the event time, a column of the newest schema; empty: all events are of day 0

	ChunkRows  int64 // events that Compact sorts in memory at once; default 2,000,000
	ChunkBytes int64 // and about how many bytes they may take; default 512 MiB. A segment is never parted
	FoldRows   int64 // events that one unit of Fold takes at least, unless there are fewer; default 500,000
	MaxGroups  int64 // groups that one unit of Finish holds; default 1,000,000
	StateBytes int64 // and about how many bytes of states; default 1 GiB. A group is never parted
	PackBytes  int64 // what a compaction makes of small files, about; those under a quarter of it are small; default 64 MiB
	Parallel   int   // units that Run works on at once; default 4

	Pace    *pace.Pacer           // holds steps to their share of the processors; nil: full speed
	Clock   clock.Clock           // default clock.Wall
	Logger  *slog.Logger          // default: discard
	Metrics prometheus.Registerer // nil: none
}

// defaulted fills in the defaults and checks the rest; errors are Invalid.
func (o Options) defaulted() (Options, error) {
	o.ChunkRows = cmp.Or(o.ChunkRows, 2_000_000)
	o.ChunkBytes = cmp.Or(o.ChunkBytes, 512<<20)
	o.FoldRows = cmp.Or(o.FoldRows, 500_000)
	o.MaxGroups = cmp.Or(o.MaxGroups, 1_000_000)
	o.StateBytes = cmp.Or(o.StateBytes, 1<<30)
	o.PackBytes = cmp.Or(o.PackBytes, 64<<20)
	o.Parallel = cmp.Or(o.Parallel, 4)
	if o.Clock == nil {
		o.Clock = clock.Wall
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	bad := func(field, want string) error {
		return fault.New(fault.Invalid, "batch of pipeline %q: Options.%s: want %s", o.Pipeline, field, want)
	}
	switch {
	case o.Pipeline == "":
		return o, bad("Pipeline", "a name")
	case o.Schemas == nil || o.Schemas.Newest() == nil:
		return o, bad("Schemas", "at least one schema")
	case o.Log == nil:
		return o, bad("Log", "a log")
	case o.Archive == nil:
		return o, bad("Archive", "an archive")
	case o.Letters == nil:
		return o, bad("Letters", "a store of dead letters")
	case o.ChunkRows < 1 || o.ChunkBytes < 1 || o.FoldRows < 1 || o.MaxGroups < 1 || o.StateBytes < 1 || o.PackBytes < 1 || o.Parallel < 1:
		return o, bad("ChunkRows, ChunkBytes, FoldRows, MaxGroups, StateBytes, PackBytes and Parallel", "numbers above zero")
	}
	if o.TimeField != "" {
		i := o.Schemas.Newest().Shape().Index(o.TimeField)
		if i < 0 {
			return o, bad("TimeField", "a field of the newest schema, not "+o.TimeField)
		}
		if k := o.Schemas.Newest().Shape().Fields[i].Type.Kind; k != event.Timestamp && k != event.Date {
			return o, bad("TimeField", "a timestamp or a date; "+o.TimeField+" is neither")
		}
	}
	codes, names := map[string]bool{}, map[string]bool{}
	for _, f := range o.Filters {
		if f.Code == "" || f.Predicate == nil || codes[f.Code] {
			return o, bad("Filters", "a code of its own and a predicate in each")
		}
		codes[f.Code] = true
	}
	for _, v := range o.Views {
		if names[v.Name()] {
			return o, bad("Views", "one view of each name; "+v.Name()+" is there twice")
		}
		names[v.Name()] = true
	}
	for _, v := range o.Older {
		if v.Name() != archive.ViewKey(archive.ViewOf(v.Name()), v.Version()) || names[v.Name()] {
			return o, bad("Older", "each version once, under its archive.ViewKey, not "+v.Name())
		}
		names[v.Name()] = true
	}
	return o, nil
}

// Runner takes the steps of batch runs. It keeps nothing between them and is
// safe for concurrent use.
type Runner struct {
	Options
	metrics *metrics
}

// New returns a Runner; the error is Invalid and names the option.
func New(o Options) (*Runner, error) {
	o, err := o.defaulted()
	if err != nil {
		return nil, err
	}
	m, err := newMetrics(o.Metrics, o.Pipeline)
	if err != nil {
		return nil, err
	}
	return &Runner{Options: o, metrics: m}, nil
}
