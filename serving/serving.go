// Package serving answers: it pins a batch version at its cut, adds what speed
// has folded since that cut, and hands both on as one.
//
// A [Pin] is one cut of one or more pipelines for the whole life of a query:
// one manifest and one log position for each partition. Ways to ask live in
// sub-folders: sql is the engine, httpapi and others are doors.
package serving

import (
	"context"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"anabranch/archive"
	"anabranch/event"
	"anabranch/fault"
	"anabranch/internal/clock"
	"anabranch/schemas"
	"anabranch/view"
)

// Speed is what serving needs of the speed layer. It assumes no shared memory:
// a Delta and its states belong to the caller, so that another process can
// answer as well.
type Speed interface {
	// Since returns the groups of the asked views above the cut of barrier k.
	// A Conflict means that k is dropped: pin the newest manifest and ask
	// again; Transient that speed has not reached k yet.
	Since(ctx context.Context, k uint64, views []string) (*view.Delta, error)
	// SincePicked is Since of one view, and of its groups only those that pick
	// takes; it costs what they do.
	SincePicked(ctx context.Context, k uint64, view string, pick *view.Pick) (*view.Delta, error)
	// At returns the next offset of each partition.
	At() event.Cut
	// Wait returns once everything below at is folded.
	Wait(ctx context.Context, at event.Cut) error
}

// Changing is what a Speed has that can tell what changed: Since for a reader
// that has some of the views as of what an earlier answer called Seen. Of those
// that the answer calls Partial it has only the groups touched since then, with
// all there is of them above the cut.
type Changing interface {
	Changes(ctx context.Context, k uint64, views []string, seen map[string]view.Seen) (*view.Delta, error)
}

// Batch is what serving needs of the batch layer.
type Batch interface {
	// Newest returns the newest manifest; Version 0 when there is none.
	Newest(ctx context.Context) (*archive.Manifest, error)
	// Known returns the newest manifest that was seen; nil when none was.
	Known() *archive.Manifest
	// Local returns a verified local copy of an object until release.
	Local(ctx context.Context, name string, size int64, sum string) (path string, release func(), err error)
}

// Source is one pipeline to answer from.
type Source struct {
	Name  string
	Views []*view.View
	// Older are other versions of the views, named by archive.ViewKey, one of
	// which may be the one that answers.
	Older []*view.View
	Speed Speed
	Batch Batch
	// Head returns the offset above the newest event of each partition, for
	// answers that must include everything acknowledged so far.
	Head func(ctx context.Context) (event.Cut, error)
	// Past returns what Speed had above the cut of a manifest when it stood at
	// an earlier position; NotFound when that is gone. Nil: it cannot.
	Past func(ctx context.Context, m *archive.Manifest, at event.Cut, views []*view.View) (*view.Delta, error)
	// Rules names the filter rules in force, by which Past filters as well.
	Rules string
	// References are the reference tables in force, and those of before, which
	// answers as of a receipt may need: by archive.ReferencesID.
	References      []archive.Reference
	OlderReferences map[string][]archive.Reference
	// DeadLetters returns how many events were refused so far; may be nil.
	DeadLetters func() int64
	Lateness    time.Duration
}

// View returns the view called name, or nil: the version that the definition
// declares, or the one that has name as its key, which the declared one has
// besides.
func (s *Source) View(name string) *view.View {
	for _, v := range slices.Concat(s.Views, s.Older) {
		if v.Name() == name || archive.ViewKey(archive.ViewOf(v.Name()), v.Version()) == name {
			return v
		}
	}
	return nil
}

// Options of a Serving.
type Options struct {
	// Dice returns a number from 0 to 100 by which a query falls to a canary or
	// not. Default: never.
	Dice func() float64
	// Sources returns the pipelines in force; it is asked for every query.
	Sources func() []*Source
	// Seek is called before a pipeline or a view is said not to exist: what
	// another process put in force a moment ago is in Sources afterwards. Nil:
	// Sources knows all there is.
	Seek func()
	// Patience is how long a query waits for speed to reach a cut that was
	// just published, before it answers from the version before. Default 5 s.
	Patience time.Duration
	// Look is how long a query waits for the object store to tell the newest
	// version, before it answers from the one that it knows; and after a
	// failure, how long queries do so without asking. Default 2 s.
	Look   time.Duration
	Clock  clock.Clock  // default clock.Wall
	Logger *slog.Logger // default none
}

// Serving pins. It is safe for concurrent use.
type Serving struct {
	o Options

	mu       sync.Mutex // guards the fields below
	answered versions
	failed   map[string]failure // by pipeline
}

// New returns a Serving over the pipelines of o.
func New(o Options) *Serving {
	if o.Patience == 0 {
		o.Patience = 5 * time.Second
	}
	if o.Look == 0 {
		o.Look = 2 * time.Second
	}
	if o.Dice == nil {
		o.Dice = func() float64 { return 100 }
	}
	if o.Clock == nil {
		o.Clock = clock.Wall
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Seek == nil {
		o.Seek = func() {}
	}
	return &Serving{o: o, answered: versions{}, failed: map[string]failure{}}
}

// Sources returns the pipelines in force, by name.
func (s *Serving) Sources() []*Source {
	all := slices.Clone(s.o.Sources())
	slices.SortFunc(all, func(a, b *Source) int { return strings.Compare(a.Name, b.Name) })
	return all
}

// Source returns the pipeline called name. The error is NotFound and names
// those there are.
func (s *Serving) Source(name string) (*Source, error) {
	var names []string
	for _, src := range s.Sources() {
		if src.Name == name {
			return src, nil
		}
		names = append(names, src.Name)
	}
	if len(names) == 0 {
		return nil, fault.New(fault.NotFound, "there is no pipeline %q, and no other: apply one with `anabranch apply FOLDER`", name)
	}
	return nil, fault.New(fault.NotFound, "there is no pipeline %q: %s", name, schemas.DidYouMean(name, names))
}

// Seek brings Sources up to date before something is said not to exist.
func (s *Serving) Seek() { s.o.Seek() }
