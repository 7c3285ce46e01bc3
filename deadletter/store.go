// Package deadletter keeps the events that could not be accepted: their bytes,
// the reason, and whether they were sent back since.
//
// The letters of one request lie together in one object, whose name tells how
// many there are of which code, so that counting hardly ever opens one. The
// format is described in docs/formats/dead-letter.md.
package deadletter

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"anabranch/bucket"
	"anabranch/fault"
	"anabranch/internal/packed"
)

// Store keeps the letters of one pipeline. It is safe for concurrent use.
type Store struct {
	bucket   bucket.Bucket
	pipeline string

	mu      sync.Mutex // guards settled
	settled counts
}

// New returns the letters of pipeline in b.
func New(b bucket.Bucket, pipeline string) *Store { return &Store{bucket: b, pipeline: pipeline} }

func (s *Store) prefix() string   { return "letters/" + s.pipeline + "/" }
func (s *Store) released() string { return "letters-released/" + s.pipeline + "/" }

// Put stores the letters of one request, durably, in one object. Putting the
// same request again replaces its letters and never doubles them; a retry
// keeps the Received of its first letter, by which letters are filed. It sets
// ID and Pipeline of each. No letters, no object.
func (s *Store) Put(ctx context.Context, request string, letters []Letter) error {
	if len(letters) == 0 {
		return nil
	}
	o := object{
		day: letters[0].Received.UTC().Format(time.DateOnly), request: escape(request),
		n: len(letters), codes: countCodes(letters),
	}
	var lines bytes.Buffer
	enc := json.NewEncoder(&lines)
	for i := range letters {
		letters[i].ID = letterID(o.day, o.request, i)
		letters[i].Pipeline = s.pipeline
		if err := enc.Encode(&letters[i]); err != nil {
			return fault.New(fault.Bug, "write dead letter %s: %w", letters[i].ID, err)
		}
	}
	data, err := packed.Pack(lines.Bytes())
	if err != nil {
		return err
	}
	name := o.name(s.prefix())
	if _, err := s.bucket.Put(ctx, name, bytes.NewReader(data), bucket.Condition{}); err != nil {
		return fmt.Errorf("put %d dead letters of request %s: %w", len(letters), request, err)
	}
	return s.dropOthers(ctx, o, name)
}

// dropOthers deletes what an earlier attempt of the same request stored under
// a name with other counts (the rules changed between the attempts).
func (s *Store) dropOthers(ctx context.Context, o object, name string) error {
	for info, err := range s.bucket.List(ctx, s.prefix()+o.day+"/"+o.request+".", "") {
		if err != nil {
			return fmt.Errorf("look for earlier dead letters of request %s: %w", o.request, err)
		}
		if info.Name == name {
			continue
		}
		if err := s.bucket.Delete(ctx, info.Name); err != nil {
			return fmt.Errorf("replace the dead letters of request %s: %w", o.request, err)
		}
	}
	return nil
}

// object returns the bytes of an object; bucket.ErrNotFound when there is none.
func (s *Store) object(ctx context.Context, name string) ([]byte, error) {
	body, _, err := s.bucket.Get(ctx, name)
	if err != nil {
		return nil, err
	}
	data, err := io.ReadAll(body)
	return data, errors.Join(err, body.Close())
}

// read returns the letters of one object, in order.
func (s *Store) read(ctx context.Context, name string, o object) ([]Letter, error) {
	data, err := s.object(ctx, name)
	if err != nil {
		return nil, fmt.Errorf("read dead letters %s: %w", name, err)
	}
	text, err := packed.Unpack(name, data)
	if err != nil {
		return nil, err
	}
	letters := make([]Letter, 0, o.n)
	for dec := json.NewDecoder(bytes.NewReader(text)); ; {
		var l Letter
		err := dec.Decode(&l)
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, fault.New(fault.Corrupt, "read dead letters %s: %w", name, err)
		}
		l.ID = letterID(o.day, o.request, len(letters))
		letters = append(letters, l)
	}
	if len(letters) != o.n {
		return nil, fault.New(fault.Corrupt, "read dead letters %s: it holds %d, its name says %d", name, len(letters), o.n)
	}
	return letters, nil
}

// Received returns when the letters of a request were received, by the day
// and time that they are filed under; ok is false when there are none.
func (s *Store) Received(ctx context.Context, request string) (at time.Time, ok bool, err error) {
	request = escape(request)
	for o, err := range s.objects(ctx, "") {
		if err != nil {
			return at, false, err
		}
		if o.request != request {
			continue
		}
		letters, err := s.read(ctx, o.name(s.prefix()), o)
		if err != nil {
			return at, false, err
		}
		return letters[0].Received, true, nil
	}
	return at, false, nil
}

// Get returns one letter; NotFound when there is none of that ID.
func (s *Store) Get(ctx context.Context, id string) (Letter, error) {
	day, request, i, err := parseID(id)
	if err != nil {
		return Letter{}, err
	}
	for info, err := range s.bucket.List(ctx, s.prefix()+day+"/"+request+".", "") {
		if err != nil {
			return Letter{}, fmt.Errorf("look for dead letter %s: %w", id, err)
		}
		o, ok := parseName(strings.TrimPrefix(info.Name, s.prefix()))
		if !ok || i >= o.n {
			continue
		}
		letters, err := s.read(ctx, info.Name, o)
		if errors.Is(err, bucket.ErrNotFound) {
			continue // replaced by a retry between the list and the read
		}
		if err != nil {
			return Letter{}, err
		}
		letters[i].Released, err = s.release(ctx, id)
		return letters[i], err
	}
	return Letter{}, fault.New(fault.NotFound, "no dead letter %s in pipeline %s", id, s.pipeline)
}

// Release notes that a letter was sent back to ingest; call it once ingest
// has accepted the event. Conflict when it was noted before.
func (s *Store) Release(ctx context.Context, id string, r Release) error {
	if _, err := s.Get(ctx, id); err != nil {
		return err
	}
	first, err := s.noteRelease(ctx, id, r)
	if err == nil && !first {
		return fault.New(fault.Conflict, "dead letter %s was released before", id)
	}
	return err
}

// noteRelease writes the note of a release unless there is one, and reports
// whether it did.
func (s *Store) noteRelease(ctx context.Context, id string, r Release) (first bool, err error) {
	note, err := sealed(r)
	if err != nil {
		return false, err
	}
	_, err = s.bucket.Put(ctx, s.released()+id+".json", bytes.NewReader(note), bucket.Condition{Absent: true})
	if errors.Is(err, bucket.ErrCondition) {
		return false, nil
	}
	return err == nil, err
}

// release returns the note of a released letter, nil when there is none.
func (s *Store) release(ctx context.Context, id string) (*Release, error) {
	data, err := s.object(ctx, s.released()+id+".json")
	if errors.Is(err, bucket.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the release of dead letter %s: %w", id, err)
	}
	r, err := unsealed(data)
	if err != nil {
		return nil, fault.New(fault.Corrupt, "read the release of dead letter %s: %s: %w", id, s.released()+id+".json", err)
	}
	return r, nil
}
