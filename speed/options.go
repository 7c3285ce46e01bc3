package speed

import (
	"cmp"
	"log/slog"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"anabranch/archive"
	"anabranch/bucket"
	"anabranch/fault"
	"anabranch/internal/clock"
	"anabranch/internal/disk"
	"anabranch/internal/pace"
	"anabranch/schemas"
	"anabranch/stream"
	"anabranch/view"
)

// Options say what a Speed reads and keeps. A zero field means its default.
type Options struct {
	Pipeline  string                // required
	Schemas   *schemas.Set          // required; events of every version are read as the newest
	Views     []*view.View          // what is kept, compiled against the newest schema
	Filters   []view.NamedPredicate // in order, the first match wins
	Log       stream.Log            // required
	Archive   *archive.Archive      // required: manifests, id runs, segments
	TimeField string                // the event time, a column of the newest schema; empty: none

	Disk   disk.Files    // default disk.Real
	Dir    string        // where on it snapshots go; empty: not to disk
	Bucket bucket.Bucket // where snapshots go as well; nil: not to a bucket

	SnapshotEvery   time.Duration // default one minute
	SnapshotRecords int           // a snapshot after so many records too; default 100,000

	// Grace is how long the generations below a published cut are kept for
	// readers that still hold the older manifest. Default one minute; negative:
	// not at all.
	Grace time.Duration

	Delay   *pace.Meter           // counts how long frames took from the gateway into the views; may be nil
	Folding *pace.Meter           // counts how long they took of that after they were read; may be nil
	Clock   clock.Clock           // default clock.Wall
	Logger  *slog.Logger          // default: discard
	Metrics prometheus.Registerer // nil: none
}

// defaulted fills in the defaults and checks the rest; errors are Invalid.
func (o Options) defaulted() (Options, error) {
	o.SnapshotEvery = cmp.Or(o.SnapshotEvery, time.Minute)
	o.SnapshotRecords = cmp.Or(o.SnapshotRecords, 100_000)
	o.Grace = cmp.Or(o.Grace, time.Minute)
	if o.Clock == nil {
		o.Clock = clock.Wall
	}
	if o.Disk == nil {
		o.Disk = disk.Real{}
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	bad := func(field, want string) error {
		return fault.New(fault.Invalid, "speed of pipeline %q: %s: want %s", o.Pipeline, field, want)
	}
	switch {
	case o.Pipeline == "":
		return o, bad("Options.Pipeline", "a name")
	case o.Schemas == nil || o.Schemas.Newest() == nil:
		return o, bad("Options.Schemas", "at least one schema")
	case o.Log == nil:
		return o, bad("Options.Log", "a log")
	case o.Archive == nil:
		return o, bad("Options.Archive", "an archive")
	case o.SnapshotEvery < 0:
		return o, bad("Options.SnapshotEvery", "a duration above zero, not "+o.SnapshotEvery.String())
	case o.SnapshotRecords < 0:
		return o, bad("Options.SnapshotRecords", "a number above zero")
	case o.TimeField != "" && o.Schemas.Newest().Shape().Index(o.TimeField) < 0:
		return o, bad("Options.TimeField", "a field of the newest schema, not "+o.TimeField)
	}
	codes, names := map[string]bool{}, map[string]bool{}
	for _, f := range o.Filters {
		if f.Code == "" || f.Predicate == nil || codes[f.Code] {
			return o, bad("Options.Filters", "a code of its own and a predicate in each")
		}
		codes[f.Code] = true
	}
	for _, v := range o.Views {
		if names[v.Name()] {
			return o, bad("Options.Views", "one view of each name; "+v.Name()+" is there twice")
		}
		names[v.Name()] = true
	}
	return o, nil
}

// rules is what makes states of two programs comparable beside the versions
// of the views: the filter rules, which decide what reaches the views.
func (o *Options) rules() string {
	var b strings.Builder
	for _, f := range o.Filters {
		b.WriteString(f.Code)
		b.WriteByte(0)
		b.WriteString(f.Predicate.SQL())
		b.WriteByte(0)
	}
	return b.String()
}
