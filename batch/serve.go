package batch

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"anabranch/archive"
	"anabranch/fault"
)

// Promote is the kind of the manifests that Serve and Canary publish.
const Promote = "promote"

// Serve has a version of a view answer that the newest manifest has files of,
// by one conditional put: it promotes one that was held, or takes a promotion
// back. That it answers already is a success.
func (r *Runner) Serve(ctx context.Context, view, version, reason, by string) (Published, error) {
	return r.point(ctx, view, reason, by, func(m, next *archive.Manifest) (bool, error) {
		key, files := m.VersionOf(view, version)
		if files == nil {
			return false, noVersion(m, view, version)
		}
		if now, _ := m.Answers(view); now == key && m.Canary[view] == 0 {
			return false, nil
		}
		delete(next.Canary, view)
		delete(next.Serves, view)
		if key != view {
			next.Serves[view] = key
		}
		return true, nil
	})
}

// Canary has the held version of a view answer a share of the queries, in
// percent; 0: none any more.
func (r *Runner) Canary(ctx context.Context, view string, percent float64, reason, by string) (Published, error) {
	if !(percent >= 0 && percent <= 100) {
		return Published{}, fault.New(fault.Invalid, "a canary for %g %% of the queries: want 0 to 100", percent)
	}
	return r.point(ctx, view, reason, by, func(m, next *archive.Manifest) (bool, error) {
		if key, _ := m.Answers(view); key == view || m.Views[view] == nil {
			return false, fault.New(fault.Invalid, "view %s has no version that is held", view)
		}
		delete(next.Canary, view)
		if percent > 0 {
			next.Canary[view] = percent
		}
		return m.Canary[view] != percent, nil
	})
}

// point publishes the newest manifest again with a change in who answers.
func (r *Runner) point(ctx context.Context, view, reason, by string, change func(m, next *archive.Manifest) (bool, error)) (Published, error) {
	for range plansOfRun {
		m, err := r.Archive.Newest(ctx)
		if err != nil {
			return Published{}, err
		}
		next := *m
		next.Version, next.Parent, next.Created = m.Version+1, m.Hash(), r.Clock.Now().UTC()
		next.Kind, next.Reason, next.By, next.Base, next.Run, next.Code = Promote, reason, by, 0, "", r.Code
		next.Serves, next.Canary = map[string]string{}, map[string]float64{}
		maps.Copy(next.Serves, m.Serves)
		maps.Copy(next.Canary, m.Canary)
		changed, err := change(m, &next)
		if err != nil || !changed {
			return Published{Version: m.Version, K: m.K, Cut: m.Cut, Already: true}, err
		}
		switch err := r.Archive.Publish(ctx, &next); {
		case err == nil:
			key, _ := next.Answers(view)
			r.Logger.Info("who answers has changed", "pipeline", r.Pipeline, "view", view, "by", key, "canary", next.Canary[view], "version", next.Version)
			return Published{Version: next.Version, K: next.K, Cut: next.Cut}, nil
		case !fault.Is(err, fault.Conflict):
			return Published{}, fmt.Errorf("change who answers view %s: %w", view, err)
		}
	}
	return Published{}, fault.New(fault.Conflict, "change who answers view %s: other runs published first %d times; try again", view, plansOfRun)
}

func noVersion(m *archive.Manifest, view, version string) error {
	var there []string
	for _, key := range slices.Sorted(maps.Keys(m.Views)) {
		if archive.ViewOf(key) == view {
			there = append(there, m.Views[key].Version)
		}
	}
	err := fault.New(fault.NotFound, "version %d has no files of version %s of view %s", m.Version, version, view)
	if len(there) == 0 {
		return fault.WithHint(err, "it has none of this view at all")
	}
	return fault.WithHint(err, "it has %s", strings.Join(there, ", "))
}
