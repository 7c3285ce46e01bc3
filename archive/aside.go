package archive

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"

	"anabranch/bucket"
	"anabranch/fault"
)

// asidePrefix is where damaged manifests are kept that a repair has taken out
// of the chain; an empty object stands for one of
// which the store gave nothing.
func (a *Archive) asidePrefix() string { return a.object("manifests-damaged") + "/" }

// asideManifests returns the versions that were set aside.
func (a *Archive) asideManifests(ctx context.Context) (map[uint64]bool, error) {
	aside := map[uint64]bool{}
	for info, err := range a.bucket.List(ctx, a.asidePrefix(), "") {
		if err != nil {
			return nil, fmt.Errorf("list the manifests set aside: %w", err)
		}
		if v, ok := a.manifestVersion(a.manifestPrefix() + strings.TrimPrefix(info.Name, a.asidePrefix())); ok {
			aside[v] = true
		}
	}
	return aside, nil
}

// SetManifestAside takes manifest v, which cannot be read, out of the chain
// and keeps its bytes beside it, as far as the store gives them. If it was the newest, the one before is now:
// together with the log and the segments above its cut it says as much, and
// the next batch publishes v anew. Nobody else uses the archive meanwhile.
// Invalid for a manifest that can be read.
func (a *Archive) SetManifestAside(ctx context.Context, v uint64) error {
	name := a.manifestName(v)
	data, err := a.get(ctx, name)
	gone := errors.Is(err, bucket.ErrNotFound)
	if err == nil {
		if _, err = decodeManifest(name, v, data); err == nil {
			return fault.New(fault.Invalid, "set %s aside: it can be read", name)
		}
	}
	if !gone && !fault.Is(err, fault.Corrupt) {
		return err
	}
	keep := a.asidePrefix() + strings.TrimPrefix(name, a.manifestPrefix())
	if _, err := a.bucket.Put(ctx, keep, bytes.NewReader(data), bucket.Condition{}); err != nil {
		return fmt.Errorf("put %s: %w", keep, err)
	}
	if gone {
		return nil
	}
	if err := a.bucket.Delete(ctx, name); err != nil {
		return fmt.Errorf("delete %s: %w", name, err)
	}
	return nil
}
