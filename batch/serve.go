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

// Promote is the kind of the manifests that Serve publishes.
const Promote = "promote"

// Serve has a version of a view answer that the newest manifest has files of,
// by one conditional put: it promotes one that was held, or takes a promotion
// back. That it answers already is a success.
func (r *Runner) Serve(ctx context.Context, view, version, reason, by string) (Published, error) {
	for range plansOfRun {
		m, err := r.Archive.Newest(ctx)
		if err != nil {
			return Published{}, err
		}
		key, files := m.VersionOf(view, version)
		if files == nil {
			return Published{}, noVersion(m, view, version)
		}
		if now, _ := m.Answers(view); now == key {
			return Published{Version: m.Version, K: m.K, Cut: m.Cut, Already: true}, nil
		}
		next := *m
		next.Version, next.Parent, next.Created = m.Version+1, m.Hash(), r.Clock.Now().UTC()
		next.Kind, next.Reason, next.By, next.Base, next.Run, next.Code = Promote, reason, by, 0, "", r.Code
		next.Serves = maps.Clone(m.Serves)
		delete(next.Serves, view)
		if key != view {
			if next.Serves == nil {
				next.Serves = map[string]string{}
			}
			next.Serves[view] = key
		}
		switch err := r.Archive.Publish(ctx, &next); {
		case err == nil:
			r.Logger.Info("another version answers", "pipeline", r.Pipeline, "view", view, "view_version", version, "version", next.Version)
			return Published{Version: next.Version, K: next.K, Cut: next.Cut}, nil
		case !fault.Is(err, fault.Conflict):
			return Published{}, fmt.Errorf("have version %s of view %s answer: %w", version, view, err)
		}
	}
	return Published{}, fault.New(fault.Conflict, "have version %s of view %s answer: other runs published first %d times; try again", version, view, plansOfRun)
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
