package archive

import (
	"context"
	"errors"
	"fmt"
	"time"

	"anabranch/bucket"
)

// Aged is an object and when it was written.
type Aged struct {
	Name    string
	Size    int64
	Written time.Time
}

// ExpiredSegments lists the segments of a partition that m says have expired
// and that are still there.
func (a *Archive) ExpiredSegments(ctx context.Context, m *Manifest, partition int) (out []Aged, err error) {
	border := m.RawFrom(partition).From
	for info, err := range a.bucket.List(ctx, a.segmentPrefix(partition), "") {
		if err != nil {
			return nil, fmt.Errorf("list the segments of partition %d: %w", partition, err)
		}
		from, ok := a.segmentFrom(partition, info.Name)
		if ok && from >= border {
			break
		}
		if ok {
			out = append(out, Aged{info.Name, info.Size, info.Modified})
		}
	}
	return out, nil
}

// ExpiredManifests lists the manifests that m says have expired and that are
// still there.
func (a *Archive) ExpiredManifests(ctx context.Context, m *Manifest) (out []Aged, err error) {
	all, err := a.ManifestTimes(ctx)
	if err != nil {
		return nil, err
	}
	for _, o := range all {
		if v, ok := a.manifestVersion(o.Name); ok && v < m.Oldest {
			out = append(out, o)
		}
	}
	return out, nil
}

// ManifestTimes lists all manifests, the oldest first.
func (a *Archive) ManifestTimes(ctx context.Context) ([]Aged, error) {
	return a.aged(ctx, a.manifestPrefix())
}

// ManifestOf returns the version of a manifest by the name of its object.
func (a *Archive) ManifestOf(name string) (uint64, bool) { return a.manifestVersion(name) }

// Comparisons lists the objects with differing cells, which nothing mentions.
func (a *Archive) Comparisons(ctx context.Context) ([]Aged, error) {
	return a.aged(ctx, a.object("comparisons")+"/")
}

func (a *Archive) aged(ctx context.Context, prefix string) (out []Aged, err error) {
	for info, err := range a.bucket.List(ctx, prefix, "") {
		if err != nil {
			return nil, fmt.Errorf("list %s: %w", prefix, err)
		}
		out = append(out, Aged{info.Name, info.Size, info.Modified})
	}
	return out, nil
}

// Written tells when an object was written; false when it is not there.
func (a *Archive) Written(ctx context.Context, name string) (time.Time, bool, error) {
	info, err := a.bucket.Stat(ctx, name)
	if errors.Is(err, bucket.ErrNotFound) {
		return time.Time{}, false, nil
	}
	if err != nil {
		return time.Time{}, false, fmt.Errorf("look at %s: %w", name, err)
	}
	return info.Modified, true, nil
}

// SegmentFrom returns the offset at which a segment begins, by the name of its
// object.
func (a *Archive) SegmentFrom(partition int, name string) (uint64, bool) {
	return a.segmentFrom(partition, name)
}

// Drop deletes an object that has expired; that it is gone is a success.
func (a *Archive) Drop(ctx context.Context, name string) error {
	if err := a.bucket.Delete(ctx, name); err != nil && !errors.Is(err, bucket.ErrNotFound) {
		return fmt.Errorf("delete %s: %w", name, err)
	}
	return nil
}
