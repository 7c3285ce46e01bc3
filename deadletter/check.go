package deadletter

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"anabranch/bucket"
	"anabranch/fault"
)

// Check reads every object of the store, letters and notes of releases, and
// calls found with those that are damaged. The error is of the object store,
// not of what lies in it.
func (s *Store) Check(ctx context.Context, found func(name string, err error)) error {
	for o, err := range s.objects(ctx, "") {
		if err != nil {
			return err
		}
		name := o.name(s.prefix())
		_, err := s.read(ctx, name, o)
		switch {
		case err == nil || errors.Is(err, bucket.ErrNotFound):
		case fault.Is(err, fault.Corrupt):
			found(name, err)
		default:
			return fmt.Errorf("check dead letters %s: %w", name, err)
		}
	}
	for info, err := range s.bucket.List(ctx, s.released(), "") {
		if err != nil {
			return fmt.Errorf("list the released dead letters of %s: %w", s.pipeline, err)
		}
		id, ok := strings.CutSuffix(strings.TrimPrefix(info.Name, s.released()), ".json")
		if !ok {
			continue
		}
		if _, err := s.release(ctx, id); fault.Is(err, fault.Corrupt) {
			found(info.Name, err)
		} else if err != nil {
			return err
		}
	}
	return nil
}
