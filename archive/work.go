package archive

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"

	"anabranch/bucket"
	"anabranch/fault"
	"anabranch/internal/packed"
)

func (a *Archive) workPrefix(run string) string { return a.object("work/%s", run) + "/" }

// PutWork stores a note of an unfinished batch run: a plan, or the references
// a step has made. Putting a name again replaces it. While the newest note of
// a run is younger than Collect's minAge, every object whose name stands in
// its notes as a JSON string is kept. A run that may publish on top of the newest
// manifest has that one's Hash in a note, as a JSON string, before it writes
// anything else: then nothing that it wrote is collected, however old.
func (a *Archive) PutWork(ctx context.Context, run, name string, body []byte) error {
	return a.putWork(ctx, run, name, body, bucket.Condition{})
}

// AddWork is PutWork unless there is a note of that name: whoever comes first
// has the say. It returns the note that is there; NotFound when one was there
// and is gone.
func (a *Archive) AddWork(ctx context.Context, run, name string, body []byte) (there []byte, err error) {
	err = a.putWork(ctx, run, name, body, bucket.Condition{Absent: true})
	if errors.Is(err, bucket.ErrCondition) {
		return a.GetWork(ctx, run, name)
	}
	return body, err
}

func (a *Archive) putWork(ctx context.Context, run, name string, body []byte, when bucket.Condition) error {
	object, err := packed.Pack(body)
	if err != nil {
		return err
	}
	if run == "" || name == "" || strings.Contains(run, "/") {
		return fault.New(fault.Invalid, "note %q of run %q: neither may be empty, nor the run have a slash", name, run)
	}
	if _, err := a.bucket.Put(ctx, a.workPrefix(run)+name+".zst", bytes.NewReader(object), when); err != nil {
		return fmt.Errorf("put note %s of run %s: %w", name, run, err)
	}
	return nil
}

// GetWork returns a note of a run; NotFound when there is none of that name.
func (a *Archive) GetWork(ctx context.Context, run, name string) ([]byte, error) {
	object := a.workPrefix(run) + name + ".zst"
	data, err := a.get(ctx, object)
	if errors.Is(err, bucket.ErrNotFound) {
		return nil, fault.New(fault.NotFound, "run %s has no note %s", run, name)
	}
	if err != nil {
		return nil, err
	}
	return packed.Unpack(object, data)
}

// ListWork returns the names of a run's notes, sorted.
func (a *Archive) ListWork(ctx context.Context, run string) ([]string, error) {
	var names []string
	for info, err := range a.bucket.List(ctx, a.workPrefix(run), "") {
		if err != nil {
			return nil, fmt.Errorf("list the notes of run %s: %w", run, err)
		}
		names = append(names, strings.TrimSuffix(strings.TrimPrefix(info.Name, a.workPrefix(run)), ".zst"))
	}
	return names, nil
}

func (a *Archive) onceName(name string) string { return a.object("once/%s.zst", name) }

// checkOnce tells what of Once cannot be read.
func (a *Archive) checkOnce(ctx context.Context, found func(Damage)) error {
	prefix := strings.TrimSuffix(a.onceName(""), ".zst")
	for info, err := range a.bucket.List(ctx, prefix, "") {
		if err != nil {
			return fmt.Errorf("list %s: %w", prefix, err)
		}
		data, err := a.get(ctx, info.Name)
		if err == nil {
			_, err = packed.Unpack(info.Name, data)
		}
		switch {
		case err == nil:
		case damaged(err):
			found(Damage{Kind: "once", File: info.Name, Err: err, Once: strings.TrimSuffix(strings.TrimPrefix(info.Name, prefix), ".zst")})
		default:
			return err
		}
	}
	return nil
}

// MendOnce puts body in the place of a text of Once that cannot be read; nil
// deletes it, so that whoever comes next has the say.
func (a *Archive) MendOnce(ctx context.Context, name string, body []byte) error {
	if body == nil {
		return a.bucket.Delete(ctx, a.onceName(name))
	}
	object, err := packed.Pack(body)
	if err != nil {
		return err
	}
	_, err = a.bucket.Put(ctx, a.onceName(name), bytes.NewReader(object), bucket.Condition{})
	return err
}

// Once stores body under a name for ever, unless something is there; it
// returns what is there. Whoever comes first has the say.
func (a *Archive) Once(ctx context.Context, name string, body []byte) (there []byte, err error) {
	object, err := packed.Pack(body)
	if err != nil {
		return nil, err
	}
	at := a.onceName(name)
	_, err = a.bucket.Put(ctx, at, bytes.NewReader(object), bucket.Condition{Absent: true})
	if !errors.Is(err, bucket.ErrCondition) {
		if err != nil {
			return nil, fmt.Errorf("put %s: %w", at, err)
		}
		return body, nil
	}
	data, err := a.get(ctx, at)
	if err != nil {
		return nil, err
	}
	return packed.Unpack(at, data)
}
