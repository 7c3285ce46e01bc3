package deadletter

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"anabranch/bucket"
	"anabranch/fault"
	"anabranch/internal/packed"
)

// Page is some letters of a release, as they are sent: it is stored before the
// first of them is, so that whoever sends it again sends the same bytes.
type Page struct {
	Bodies  []Body    `json:"bodies,omitempty"`
	Refused []Refused `json:"refused,omitempty"`
	Skipped int       `json:"skipped,omitempty"` // released before
	Next    string    `json:"next,omitempty"`    // the last letter looked at, when there may be more
}

// Body is what can be sent as one.
type Body struct {
	Format string   `json:"format"` // "ndjson" or "csv"
	Header []byte   `json:"header,omitempty"`
	IDs    []string `json:"ids"` // of the letters
	Events [][]byte `json:"events"`
}

// Refused is a letter that would come back as it is.
type Refused struct {
	ID      string `json:"id"`
	Code    string `json:"code"`
	Field   string `json:"field,omitempty"`
	Message string `json:"message"`
}

func (s *Store) pageName(release string, number int) string {
	return fmt.Sprintf("letters-releasing/%s/%s/%08d.json.zst", s.pipeline, escape(release), number)
}

// Page returns a page of a release, nil when it was not stored yet.
func (s *Store) Page(ctx context.Context, release string, number int) (*Page, error) {
	name := s.pageName(release, number)
	data, err := s.object(ctx, name)
	if errors.Is(err, bucket.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read page %d of release %s: %w", number, release, err)
	}
	text, err := packed.Unpack(name, data)
	if err != nil {
		return nil, err
	}
	var p Page
	if err := json.Unmarshal(text, &p); err != nil {
		return nil, fault.New(fault.Corrupt, "read %s: %w", name, err)
	}
	return &p, nil
}

// PutPage stores a page unless there is one, and returns the one that is there.
func (s *Store) PutPage(ctx context.Context, release string, number int, p *Page) (*Page, error) {
	text, err := json.Marshal(p)
	if err != nil {
		return nil, fault.Wrap(fault.Bug, err)
	}
	data, err := packed.Pack(text)
	if err != nil {
		return nil, err
	}
	_, err = s.bucket.Put(ctx, s.pageName(release, number), bytes.NewReader(data), bucket.Condition{Absent: true})
	if errors.Is(err, bucket.ErrCondition) {
		return s.Page(ctx, release, number)
	}
	if err != nil {
		return nil, fmt.Errorf("store page %d of release %s: %w", number, release, err)
	}
	return p, nil
}

// Claim notes that a letter goes back by r.Into, and reports whether it does:
// not when it went, or goes, by another way. Claiming again is no harm.
func (s *Store) Claim(ctx context.Context, id string, r Release) (bool, error) {
	if first, err := s.noteRelease(ctx, id, r); err != nil || first {
		return first, err
	}
	there, err := s.release(ctx, id)
	return err == nil && there != nil && there.Into == r.Into, err
}
