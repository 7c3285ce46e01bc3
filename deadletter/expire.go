package deadletter

import (
	"context"
	"errors"
	"fmt"
	"time"

	"anabranch/bucket"
)

// OldPage is a page of a release.
type OldPage struct {
	Name string
	Size int64
}

// OldPages lists the pages of releases that were stored before a time. A
// release that still goes on needs its own.
func (s *Store) OldPages(ctx context.Context, before time.Time) (out []OldPage, err error) {
	prefix := "letters-releasing/" + s.pipeline + "/"
	for info, err := range s.bucket.List(ctx, prefix, "") {
		if err != nil {
			return nil, fmt.Errorf("list the pages of releases: %w", err)
		}
		if info.Modified.Before(before) {
			out = append(out, OldPage{info.Name, info.Size})
		}
	}
	return out, nil
}

// DropPage deletes a page that OldPages has listed.
func (s *Store) DropPage(ctx context.Context, p OldPage) error {
	if err := s.bucket.Delete(ctx, p.Name); err != nil && !errors.Is(err, bucket.ErrNotFound) {
		return fmt.Errorf("delete %s: %w", p.Name, err)
	}
	return nil
}
