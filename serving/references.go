package serving

import (
	"context"
	"fmt"

	"anabranch/archive"
	"anabranch/fault"
)

// Reference returns the reference table called name that is in force, or nil.
func (s *Source) Reference(name string) *archive.Reference { return find(s.References, name) }

func find(all []archive.Reference, name string) *archive.Reference {
	for i := range all {
		if all[i].Name == name {
			return &all[i]
		}
	}
	return nil
}

// ReferenceAt returns the reference table called name as it was at a receipt,
// without one as it is; nil when there is and was none. The error is NotFound
// with code receipt_gone.
func (s *Source) ReferenceAt(name string, r *Receipt) (*archive.Reference, error) {
	var given PipelineReceipt
	ok := false
	if r != nil {
		given, ok = r.Pipelines[s.Name]
	}
	now := s.Reference(name)
	if !ok || given.References == archive.ReferencesID(s.References) {
		return now, nil
	}
	then, known := s.OlderReferences[given.References]
	if ref := find(then, name); ref != nil {
		return ref, nil
	}
	switch {
	case !known && given.References != "":
		return nil, goneBecause(fault.New(fault.NotFound, "the reference tables of %s at the receipt", s.Name))
	case now != nil:
		return nil, goneBecause(fault.New(fault.NotFound, "there was no reference table %s.%s at the receipt", s.Name, name))
	}
	return nil, nil
}

// FetchReference makes a local copy of a reference table.
func (p *Pin) FetchReference(ctx context.Context, r *archive.Reference) (*Local, error) {
	path, release, err := p.Source.Batch.Local(ctx, r.Object, r.Size, r.Sum)
	if err != nil {
		release()
		return nil, fmt.Errorf("fetch reference table %s.%s, version %s: %w", p.Source.Name, r.Name, r.Version, err)
	}
	return &Local{Paths: []string{path}, release: []func(){release}}, nil
}
