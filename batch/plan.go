package batch

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"anabranch/archive"
	"anabranch/event"
	"anabranch/fault"
	"anabranch/view"
)

// planFormat is the format of notes written today. A run that a program of
// another format has begun is planned again.
const planFormat = 3

// plan is the note that all steps of a run start from. With the parent
// manifest it says everything: steps are functions of the two.
type plan struct {
	Format     int
	Request    Request
	Created    time.Time // and of the manifest, so that a retry publishes the same bytes
	Definition string
	Code       string
	Parent     uint64 // version of the manifest it was made from
	ParentHash string
	K          uint64
	Cut        event.Cut
	Segments   [][]archive.Segment // new ones, by partition
	Views      []planView
	Serves     map[string]string // of the new manifest
	Takes      []string          // views whose declared version begins to answer
	Touched    []int32           // Rollback: the days with events since the version it goes back to
	Packs      []pack            `json:",omitempty"` // Compaction: its units
	Packed     *Packed           `json:",omitempty"` // and what they put together
}

// tag tells the plan apart from every other, those of the same run that was
// planned anew once its notes were collected too. It stands in the names of
// all files that are made by the plan, so that no other plan writes an object
// of the same name, whose older copy a collector may just be about to delete.
func (p *plan) tag() string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%s %d %s", p.Request.run(), p.Created.UnixNano(), p.ParentHash))
	return hex.EncodeToString(sum[:6])
}

// unitTag stands in the names of the files of one unit.
func (p *plan) unitTag(unit int) string {
	return fmt.Sprintf("k%012d-%s-%s-u%06d", p.K, p.Request.run(), p.tag(), unit)
}

func (p *plan) ref() PlanRef {
	ref := PlanRef{Run: p.Request.run(), Kind: p.Request.Kind, K: p.K, Cut: p.Cut, Parent: p.Parent, Takes: p.Takes, Held: slices.Sorted(maps.Keys(p.Serves)), Packs: len(p.Packs), Packed: p.Packed}
	for _, u := range p.Packs {
		ref.Rows += u.Rows
	}
	for partition, segments := range p.Segments {
		if len(segments) > 0 {
			ref.Compact = append(ref.Compact, partition)
		}
		for _, s := range segments {
			ref.Rows += s.Rows
		}
	}
	return ref
}

// Plan decides what there is to do, from the newest manifest, and stores it
// as a note. A plan of the same run that is there already is returned as it
// stands. ErrDone when the barrier is published; Transient when it is not
// sealed.
func (r *Runner) Plan(ctx context.Context, q Request) (PlanRef, error) {
	if err := q.check(); err != nil {
		return PlanRef{}, err
	}
	before, err := r.planned(ctx, q.run())
	if err != nil {
		return PlanRef{}, err
	}
	if before != nil {
		return before.ref(), before.answers(q)
	}
	if q.Definition != "" && q.Definition != r.Definition {
		return PlanRef{}, fault.New(fault.Transient, "plan run %s: definition %.8s is wanted, this process has %.8s: it has not opened that one yet, or a newer one was applied since", q.run(), q.Definition, r.Definition)
	}
	m, err := r.Archive.Newest(ctx)
	if err != nil {
		return PlanRef{}, err
	}
	p, err := r.plan(ctx, q, m)
	if err == nil {
		err = p.needsGone(m)
	}
	if err != nil {
		return PlanRef{}, fmt.Errorf("plan run %s of %s: %w", q.run(), r.Pipeline, err)
	}
	if q.Kind == Compaction && len(p.Packs) == 0 {
		return p.ref(), nil // a note would keep Collect from what came behind it
	}
	// Another process may have planned the run meanwhile, and gone on: its notes
	// are those of its plan, and ours would not add up with them.
	text, err := noteText(q.run(), notePlan, p)
	if err != nil {
		return PlanRef{}, err
	}
	text, err = r.Archive.AddWork(ctx, q.run(), notePlan, text)
	if fault.Is(err, fault.NotFound) {
		return PlanRef{}, fault.New(fault.Transient, "plan run %s: another process planned it, and that plan was collected just now: %w", q.run(), err)
	}
	if err != nil {
		return PlanRef{}, err
	}
	if p, err = readPlan(q.run(), text); err != nil {
		return PlanRef{}, err
	}
	if err := p.answers(q); err != nil {
		return PlanRef{}, err
	}
	ref := p.ref()
	r.Logger.Info("planned", "pipeline", r.Pipeline, "run", ref.Run, "kind", q.Kind, "barrier", p.K, "parent", p.Parent, "rows", ref.Rows)
	return ref, nil
}

// planned returns the plan that is there for a run, or nil.
func (r *Runner) planned(ctx context.Context, run string) (*plan, error) {
	text, err := r.Archive.GetWork(ctx, run, notePlan)
	if fault.Is(err, fault.NotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("run %s: %w", run, err)
	}
	return readPlan(run, text)
}

func readPlan(run string, text []byte) (*plan, error) {
	p := &plan{}
	if err := readNote(run, notePlan, text, p); err != nil {
		return nil, err
	}
	if p.Format != planFormat {
		return nil, fault.New(fault.Conflict, "run %s was planned in format %d, this program's is %d; plan again", run, p.Format, planFormat)
	}
	return p, nil
}

// answers reports by an error that the plan is one of another request.
func (p *plan) answers(q Request) error {
	if was := p.Request; was.Kind != q.Kind || was.K != q.K || was.View != q.View || was.Back != q.Back || !equal(was.From, q.From) || !equal(was.To, q.To) {
		return fault.New(fault.Invalid, "plan run %s: this run id was used for another request (%s of barrier %d)", q.run(), was.Kind, was.K)
	}
	return nil
}

// plan is pure but for reading segments.
func (r *Runner) plan(ctx context.Context, q Request, m *archive.Manifest) (*plan, error) {
	p := &plan{
		Format: planFormat, Request: q, Created: r.Clock.Now().UTC(), Definition: r.Definition, Code: r.Code,
		Parent: m.Version, ParentHash: m.Hash(), K: m.K, Cut: m.Cut.Clone(), Segments: make([][]archive.Segment, len(m.Cut)),
	}
	if len(m.Cut) != r.Log.Partitions() {
		return nil, fault.New(fault.Invalid, "the archive has %d partitions, the log has %d; their number never changes", len(m.Cut), r.Log.Partitions())
	}
	if q.Kind != Nightly && m.Version == 0 {
		return nil, fault.WithHint(fault.New(fault.Invalid, "nothing was published yet, so there is nothing to recompute"), "run a nightly first")
	}
	if q.Kind == Nightly {
		cut, ok, err := r.cutOf(ctx, m, q.K)
		if err != nil {
			return nil, err
		}
		if !ok {
			return nil, fault.New(fault.Transient, "barrier %d is not sealed in every partition yet; the segments reach %s", q.K, cut)
		}
		p.K, p.Cut = q.K, cut
		for i := range cut {
			if p.Segments[i], err = r.newSegments(ctx, i, m.Cut[i], cut[i]); err != nil {
				return nil, err
			}
		}
	}
	switch q.Kind {
	case Rollback:
		return p, r.planBack(ctx, p, m)
	case Compaction:
		return p, r.planPacks(ctx, p, m)
	}
	return p, r.planViews(p, m)
}

// planBack plans a rollback.
func (r *Runner) planBack(ctx context.Context, p *plan, m *archive.Manifest) error {
	base, err := r.base(ctx, p)
	if err != nil {
		return err
	}
	if m.Version-base.Version >= archive.KeepVersions {
		return fault.WithHint(fault.New(fault.Invalid, "version %d is %d versions old: its files may be collected; a rollback goes back %d at most", base.Version, m.Version-base.Version, archive.KeepVersions-1),
			"apply the definition of then and run a backfill")
	}
	// Not by their files: these change names when they are put together or made
	// again. Events are only ever added to a day.
	then := rowsByDay(base.Days)
	for day, rows := range rowsByDay(m.Days) {
		if rows != then[day] {
			p.Touched = append(p.Touched, day)
		}
	}
	slices.Sort(p.Touched)
	return r.planRollback(p, m, base)
}

// load returns the plan of a run and the manifest it was made from.
func (r *Runner) load(ctx context.Context, ref PlanRef) (*plan, *archive.Manifest, error) {
	p, err := r.needPlan(ctx, ref.Run)
	if err != nil {
		return nil, nil, err
	}
	m, err := r.parent(ctx, p)
	return p, m, err
}

// needPlan is planned for those who cannot go on without.
func (r *Runner) needPlan(ctx context.Context, run string) (*plan, error) {
	p, err := r.planned(ctx, run)
	if err == nil && p == nil {
		err = fmt.Errorf("there is no plan of run %s: %w", run, errNoNote)
	}
	return p, err
}

func (r *Runner) parent(ctx context.Context, p *plan) (m *archive.Manifest, err error) {
	if p.Parent == 0 {
		// Newest may have moved on from nothing; what nothing looks like has not.
		n := len(p.Cut)
		return &archive.Manifest{Format: archive.ManifestFormat, Cut: make(event.Cut, n), Runs: make([][]archive.Run, n), Views: map[string]*archive.ViewFiles{}}, nil
	}
	if m, err = r.Archive.Manifest(ctx, p.Parent); err != nil {
		return nil, err
	}
	if m.Hash() != p.ParentHash {
		return nil, fault.New(fault.Corrupt, "manifest %d has hash %s; run %s was planned from one with %s", m.Version, m.Hash(), p.Request.run(), p.ParentHash)
	}
	return m, nil
}

// compiled returns the view that pv was planned for. That there is none means
// that the program's views have changed under the run.
func (r *Runner) compiled(pv planView) (*view.View, error) {
	if v := r.version(archive.ViewOf(pv.Name), pv.Version); v != nil {
		return v, nil
	}
	return nil, fault.New(fault.Conflict, "view %s of version %s is not one that this program has; plan again", pv.Name, pv.Version)
}

// base returns the manifest that a rollback goes back to.
func (r *Runner) base(ctx context.Context, p *plan) (*archive.Manifest, error) {
	m, err := r.Archive.Manifest(ctx, p.Request.Back)
	if fault.Is(err, fault.NotFound) {
		return nil, fault.New(fault.Invalid, "there is no version %d to go back to; the newest is %d", p.Request.Back, p.Parent)
	}
	return m, err
}

// before returns the files that pv starts from; nil: none.
func (p *plan) before(pv planView, parent, base *archive.Manifest) *archive.ViewFiles {
	switch {
	case pv.From == "":
		return nil
	case pv.Base:
		return base.Views[pv.From]
	}
	return parent.Views[pv.From]
}

func equal(a, b *int32) bool { return a == b || a != nil && b != nil && *a == *b }

// done reports whether err says that there is nothing left to do.
func done(err error) bool { return errors.Is(err, ErrDone) }
