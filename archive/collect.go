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
	"anabranch/internal/planted"
)

// KeepVersions is how many versions Collect is to keep at least, where
// rollbacks are to be possible. They go back no further.
const KeepVersions = 30

// Collect deletes what nobody can need any more: id runs, day files, view
// files and notes of runs that are older than minAge and that neither one of
// the newest keep manifests, nor a manifest younger than minAge, nor the notes
// of a run younger than minAge mention. Segments and manifests stay for ever.
// It deletes nothing when a manifest it has to respect cannot be read. MinAge
// must be longer than the longest query.
//
// A run that was planned on top of the newest manifest can still publish,
// however long it has stood still: nothing that was written since its first
// note is deleted. A run that was planned on top of an older one never can.
// When a version is published meanwhile, Collect ends early: it knows too
// little then.
//
// A process may stand still between its last look and the delete behind it for
// as long as it likes, and no object store joins the two. It harms nobody,
// because what is garbage once is never needed again:
//   - No two plans write an object of one name, and a plan that could not
//     publish when Collect looked never can: the number of its version is taken.
//     A plan made behind that look has written nothing that Collect has seen.
//   - A version mentions files of another plan only when its parent has them,
//     which was the newest then and is kept, or when a rollback takes them from
//     one of the newest KeepVersions. Those are kept too, if keep is no less; and
//     a version that has fallen out of them since the rollback was planned is
//     followed by one whose number the rollback would need.
func (a *Archive) Collect(ctx context.Context, keep int, minAge time.Duration) (deleted int, err error) {
	old := a.opts.Clock.Now().Add(-minAge)
	newest, err := a.Newest(ctx)
	if err != nil {
		return 0, fmt.Errorf("collect: %w", err)
	}
	keeps := map[string]bool{}
	if err := a.keepPublished(ctx, keeps, max(keep, 1), old); err != nil {
		return 0, fmt.Errorf("collect: %w", err)
	}
	garbage, since, err := a.keepWork(ctx, keeps, old, newest)
	if err != nil {
		return 0, fmt.Errorf("collect: %w", err)
	}
	for _, kind := range []string{"runs", "days", "views"} {
		for info, err := range a.bucket.List(ctx, a.object("%s", kind)+"/", "") {
			if err != nil {
				return 0, fmt.Errorf("collect: list %s: %w", kind, err)
			}
			if info.Modified.Before(since) && !keeps[info.Name] {
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
		var now *Manifest
		if err == nil {
			now, err = a.Newest(ctx)
		}
		if err == nil && now.Version != newest.Version {
			break
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
// those that are old and cannot publish any more, and the time since which
// nothing is garbage: the age of old, or the first note of a run that can.
func (a *Archive) keepWork(ctx context.Context, keeps map[string]bool, old time.Time, newest *Manifest) (garbage []string, since time.Time, err error) {
	type run struct {
		notes []string
		first time.Time
		young bool
	}
	runs := map[string]*run{}
	prefix := a.object("work") + "/"
	for info, err := range a.bucket.List(ctx, prefix, "") {
		if err != nil {
			return nil, since, fmt.Errorf("list the notes of runs: %w", err)
		}
		name, _, _ := strings.Cut(strings.TrimPrefix(info.Name, prefix), "/")
		r := runs[name]
		if r == nil {
			r = &run{first: info.Modified}
			runs[name] = r
		}
		r.notes = append(r.notes, info.Name)
		r.young = r.young || !info.Modified.Before(old)
		if info.Modified.Before(r.first) {
			r.first = info.Modified
		}
	}
	since = old
	parent := []byte(`"` + newest.Hash() + `"`)
	for _, r := range runs {
		if planted.On(planted.CollectedEarly) {
			garbage = append(garbage, r.notes...)
			continue
		}
		open := newest.Version == 0
		for _, name := range r.notes {
			data, err := a.get(ctx, name)
			if err != nil {
				return nil, since, err
			}
			text, err := packed.Unpack(name, data)
			if err != nil {
				return nil, since, err
			}
			open = open || bytes.Contains(text, parent)
			if r.young {
				a.keepMentioned(keeps, text)
			}
		}
		switch {
		case open && r.first.Before(since):
			since = r.first
		case !open && !r.young:
			garbage = append(garbage, r.notes...)
		}
	}
	return garbage, since, nil
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
