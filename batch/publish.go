package batch

import (
	"context"
	"fmt"
	"slices"

	"anabranch/archive"
	"anabranch/fault"
)

// outcome is everything that a run has made, as its notes tell.
type outcome struct {
	plan     *plan
	parent   *archive.Manifest
	compacts []compacted
	spread   spread
	gathered gathered
	finished []finished        // by unit
	took     []took            // by step
	packs    []packedUnit      // of a compaction; all but plan, parent and manifest are of other kinds
	manifest *archive.Manifest // to be published
}

// outcome reads the notes of a run. It is the same each time, to the byte.
func (r *Runner) outcome(ctx context.Context, ref PlanRef) (o *outcome, err error) {
	o = &outcome{}
	if o.plan, o.parent, err = r.load(ctx, ref); err != nil {
		return nil, err
	}
	if o.plan.Request.Kind == Compaction {
		return o, r.packOutcome(ctx, o)
	}
	if o.compacts, err = r.compacts(ctx, o.plan); err != nil {
		return nil, err
	}
	if err := r.needNote(ctx, ref.Run, noteSpread, &o.spread); err != nil {
		return nil, err
	}
	if err := r.needNote(ctx, ref.Run, noteGather, &o.gathered); err != nil {
		return nil, err
	}
	for i := range o.gathered.Steps {
		var step finishedStep
		if err := r.needNote(ctx, ref.Run, fmt.Sprintf(noteFinish, i), &step); err != nil {
			return nil, err
		}
		o.finished, o.took = append(o.finished, step.Units...), append(o.took, step.Took)
	}
	if len(o.finished) != len(o.gathered.Units) {
		return nil, fault.New(fault.Bug, "run %s: %d units were finished of %d", ref.Run, len(o.finished), len(o.gathered.Units))
	}
	o.manifest = o.next()
	return o, nil
}

// next returns the manifest that follows the parent.
func (o *outcome) next() *archive.Manifest {
	p, parent := o.plan, o.parent
	m := &archive.Manifest{
		Format: archive.ManifestFormat, Version: parent.Version + 1, K: p.K, Cut: p.Cut, Created: p.Created,
		Kind: p.Request.Kind, Reason: p.Request.Reason, By: p.Request.By, Definition: p.Definition,
		Runs: slices.Clone(parent.Runs), Days: dayFiles(parent, o.compacts), Views: map[string]*archive.ViewFiles{},
		Rows: parent.Rows, Counted: parent.Counted, Duplicates: parent.Duplicates, Filtered: parent.Filtered, Conflicts: parent.Conflicts,
		FilteredBy: parent.FilteredCodes(), Accounts: slices.Clone(parent.Accounts),
		Raw: parent.Raw, Oldest: parent.Oldest,
		Parent: p.ParentHash, Serves: p.Serves, Canary: canaries(parent, p.Serves), Base: p.Request.Back, Run: p.Request.run(), Code: p.Code,
	}
	if len(m.Accounts) == 0 { // the first that keeps them
		m.Accounts = make([]archive.Account, len(parent.Cut))
		for i, from := range parent.Cut {
			m.Accounts[i].From = from
		}
	}
	for _, c := range o.compacts {
		m.Runs[c.Partition] = c.Runs
		m.Rows += c.Rows
		m.Counted += c.Counted
		m.Duplicates += c.Duplicates
		m.Filtered += c.filtered()
		m.Conflicts += c.Conflicts
		for code, n := range c.Filtered {
			m.FilteredBy[code] += n
		}
		a := &m.Accounts[c.Partition]
		a.Rows += c.Rows
		a.Counted += c.Counted
		a.Duplicates += c.Duplicates
		a.Filtered += c.filtered()
		a.Conflicts += c.Conflicts
	}
	for name, files := range o.gathered.Views {
		made := *files
		made.Results = slices.Clone(files.Results)
		for i, u := range o.gathered.Units {
			if u.View.Name == name {
				made.Results = append(made.Results, o.finished[i].Files...)
			}
		}
		sortResults(made.Results)
		m.Views[name] = &made
	}
	return m
}

// Publish makes the run's manifest the newest, by one conditional put.
// Conflict when another run has published meanwhile: plan again. Publishing
// again what this run has published is a success.
func (r *Runner) Publish(ctx context.Context, ref PlanRef) (_ Published, err error) {
	defer r.metrics.step("publish", r.Clock)()
	defer r.overtaken(ctx, ref, &err)
	o, err := r.outcome(ctx, ref)
	if err != nil {
		return Published{}, err
	}
	m := o.manifest
	if err := r.Archive.Publish(ctx, m); err != nil {
		return Published{}, fmt.Errorf("run %s: %w", ref.Run, err)
	}
	r.Logger.Info("published", "pipeline", r.Pipeline, "run", ref.Run, "kind", m.Kind, "version", m.Version, "barrier", m.K, "cut", m.Cut.String(), "rows", m.Rows-o.parent.Rows)
	return Published{Version: m.Version, K: m.K, Cut: m.Cut}, nil
}

// canaries keeps those of views that have a held version still.
func canaries(parent *archive.Manifest, serves map[string]string) map[string]float64 {
	var out map[string]float64
	for view, share := range parent.Canary {
		if serves[view] == "" || serves[view] != parent.Serves[view] {
			continue
		}
		if out == nil {
			out = map[string]float64{}
		}
		out[view] = share
	}
	return out
}
