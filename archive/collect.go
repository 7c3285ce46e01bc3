package archive

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"anabranch/bucket"
	"anabranch/internal/packed"
)

// Collect deletes what nobody can need any more: id runs, day files, view
// files and notes of runs that are older than minAge and that neither one of
// the newest keep manifests, nor a manifest younger than minAge, nor the notes
// of a run younger than minAge mention. Segments and manifests stay for ever.
// It deletes nothing when a manifest it has to respect cannot be read. MinAge
// must be longer than the longest batch run and the longest query.
func (a *Archive) Collect(ctx context.Context, keep int, minAge time.Duration) (deleted int, err error) {
	old := a.opts.Clock.Now().Add(-minAge)
	keeps := map[string]bool{}
	if err := a.keepPublished(ctx, keeps, max(keep, 1), old); err != nil {
		return 0, fmt.Errorf("collect: %w", err)
	}
	garbage, err := a.keepWork(ctx, keeps, old)
	if err != nil {
		return 0, fmt.Errorf("collect: %w", err)
	}
	for _, kind := range []string{"runs", "days", "views"} {
		for info, err := range a.bucket.List(ctx, a.object("%s", kind)+"/", "") {
			if err != nil {
				return 0, fmt.Errorf("collect: list %s: %w", kind, err)
			}
			if info.Modified.Before(old) && !keeps[info.Name] {
				garbage = append(garbage, info.Name)
			}
		}
	}
	for _, name := range garbage {
		// A run may have written the same object again since the list; it is
		// young then.
		info, err := a.bucket.Stat(ctx, name)
		if errors.Is(err, bucket.ErrNotFound) || err == nil && !info.Modified.Before(old) {
			continue
		}
		if err == nil {
			err = a.bucket.Delete(ctx, name)
		}
		if err != nil {
			return deleted, fmt.Errorf("collect %s: %w", name, err)
		}
		deleted++
	}
	a.opts.Log.Info("archive: collected", "pipeline", a.pipeline, "deleted", deleted, "kept", len(keeps))
	return deleted, nil
}

// keepPublished adds what the newest manifests and the young ones mention.
func (a *Archive) keepPublished(ctx context.Context, keeps map[string]bool, newest int, old time.Time) error {
	var all []bucket.Info
	for info, err := range a.bucket.List(ctx, a.manifestPrefix(), "") {
		if err != nil {
			return fmt.Errorf("list manifests: %w", err)
		}
		all = append(all, info)
	}
	for i, info := range all {
		v, ok := a.manifestVersion(info.Name)
		if !ok {
			continue
		}
		// The next one's birth is when this one stopped being the newest.
		if i < len(all)-newest && all[i+1].Modified.Before(old) {
			continue
		}
		m, err := a.Manifest(ctx, v)
		if err != nil {
			return err
		}
		for _, f := range m.files() {
			keeps[f.name] = true
		}
	}
	return nil
}

// keepWork adds what the notes of young runs mention, and returns the notes of
// the others.
func (a *Archive) keepWork(ctx context.Context, keeps map[string]bool, old time.Time) (garbage []string, err error) {
	notes := map[string][]string{} // by run
	young := map[string]bool{}
	prefix := a.object("work") + "/"
	for info, err := range a.bucket.List(ctx, prefix, "") {
		if err != nil {
			return nil, fmt.Errorf("list the notes of runs: %w", err)
		}
		run, _, _ := strings.Cut(strings.TrimPrefix(info.Name, prefix), "/")
		notes[run] = append(notes[run], info.Name)
		young[run] = young[run] || !info.Modified.Before(old)
	}
	for run, names := range notes {
		if !young[run] {
			garbage = append(garbage, names...)
			continue
		}
		for _, name := range names {
			data, err := a.get(ctx, name)
			if err != nil {
				return nil, err
			}
			text, err := packed.Unpack(name, data)
			if err != nil {
				return nil, err
			}
			a.keepMentioned(keeps, text)
		}
	}
	return garbage, nil
}

// keepMentioned adds every JSON string of text that is a name of ours.
func (a *Archive) keepMentioned(keeps map[string]bool, text []byte) {
	begin := []byte(`"` + a.pipeline + `/`)
	for {
		_, rest, found := bytes.Cut(text, begin)
		if !found {
			return
		}
		name, rest, found := bytes.Cut(rest, []byte(`"`))
		if !found {
			return
		}
		keeps[a.pipeline+"/"+string(name)] = true
		text = rest
	}
}
