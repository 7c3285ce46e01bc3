package activities

import (
	"context"
	"slices"
	"time"

	"anabranch/fault"
	"anabranch/ingest"
)

// Releaser sends dead letters of one pipeline back; *ingest.Releaser is one.
// A page may be sent again after any error, from another process too.
type Releaser interface {
	Release(ctx context.Context, release string, number int, p ingest.Pick, after, by string) (ingest.Released, error)
}

var _ Releaser = (*ingest.Releaser)(nil)

// ReleasePage names one page of a release.
type ReleasePage struct {
	Pipeline string   `json:"pipeline"`
	Release  string   `json:"release"` // its name
	Number   int      `json:"number"`
	After    string   `json:"after,omitempty"` // the letter before the first of this page
	Codes    []string `json:"codes,omitempty"`
	IDs      []string `json:"ids,omitempty"`
	Since    string   `json:"since,omitempty"` // 2006-01-02
	Sets     []string `json:"sets,omitempty"`
	By       string   `json:"by,omitempty"`
}

// Pick returns which letters a release is about; the error is Invalid.
func Pick(ids, codes []string, since string, sets []string) (ingest.Pick, error) {
	p := ingest.Pick{IDs: ids, Codes: codes, Sets: sets}
	for name, texts := range map[string][]string{"ids": ids, "codes": codes, "set": sets} {
		if slices.Contains(texts, "") {
			return p, fault.New(fault.Invalid, "%s: one of them is empty: leave it out", name)
		}
	}
	if since == "" {
		return p, nil
	}
	var err error
	if p.Since, err = time.Parse(time.DateOnly, since); err != nil {
		return p, fault.New(fault.Invalid, "since %q: want a day like 2011-03-01", since)
	}
	return p, nil
}

// ReleasePage sends one page of dead letters back.
func (a *Activities) ReleasePage(ctx context.Context, in ReleasePage) (ingest.Released, error) {
	return step(ctx, a, in.Pipeline, func(ctx context.Context, _ Runner) (ingest.Released, error) {
		p, err := Pick(in.IDs, in.Codes, in.Since, in.Sets)
		if err != nil {
			return ingest.Released{}, err
		}
		if a.Releasers == nil {
			return ingest.Released{}, fault.New(fault.Transient, "this worker sends no dead letters back")
		}
		r, err := a.Releasers(ctx, in.Pipeline)
		if err != nil {
			return ingest.Released{}, err
		}
		return r.Release(ctx, in.Release, in.Number, p, in.After, in.By)
	})
}
