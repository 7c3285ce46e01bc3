package archive

import (
	"context"
	"time"

	"anabranch/event"
	"anabranch/fault"
)

// ManifestFormat is the format of manifests written today.
const ManifestFormat = 1

// Manifest says what batch has published: which files are the past below Cut.
// A published manifest never changes; treat one from Newest as read-only and
// shared.
type Manifest struct {
	Format     int       `json:"format"`
	Version    uint64    `json:"version"` // 1, 2, 3, ...; 0: nothing was published yet
	K          uint64    `json:"k"`       // the barrier that Cut belongs to
	Cut        event.Cut `json:"cut"`
	Created    time.Time `json:"created"`
	Kind       string    `json:"kind"` // "nightly", "backfill" or "init"
	Reason     string    `json:"reason,omitempty"`
	By         string    `json:"by,omitempty"`
	Definition string    `json:"definition"` // version of the pipeline's definition

	Runs  [][]Run               `json:"runs"` // by partition
	Days  []DayFile             `json:"days"`
	Views map[string]*ViewFiles `json:"views"`

	// What became of the events below Cut, over all time.
	Rows       int64 `json:"rows"`
	Counted    int64 `json:"counted"`
	Duplicates int64 `json:"duplicates"`
	Filtered   int64 `json:"filtered"`
	Conflicts  int64 `json:"conflicts"`

	Parent string `json:"parent"` // Hash of the manifest before; empty for the first

	memo *hashMemo
}

// ViewFiles are the files of one view.
type ViewFiles struct {
	Version string           `json:"version"`
	States  []StateFile      `json:"states"`
	Live    map[int32]string `json:"live"` // day -> name of the state file that holds it
	Results []ResultFile     `json:"results"`
}

type hashMemo struct {
	version uint64
	hash    string
}

// Hash identifies the content of m; empty for version 0.
func (m *Manifest) Hash() string { return "" }

// Newest returns the newest manifest, or an empty one of version 0 when
// nothing was published. A damaged one is Corrupt and never passed over.
func (a *Archive) Newest(ctx context.Context) (*Manifest, error) {
	return nil, fault.New(fault.Bug, "archive.Newest is not built yet")
}

// Manifest returns manifest v; NotFound when there is none.
func (a *Archive) Manifest(ctx context.Context, v uint64) (*Manifest, error) {
	return nil, fault.New(fault.Bug, "archive.Manifest is not built yet")
}

// Publish makes m the newest manifest by one conditional put. Version must be
// the newest one's plus 1 and Parent the newest one's Hash. Conflict when
// another manifest was published meanwhile, or when m would go back behind
// the newest in K or Cut: plan again from the newest. Publishing the very same
// manifest again is a success, so a retry needs no care.
func (a *Archive) Publish(ctx context.Context, m *Manifest) error {
	return fault.New(fault.Bug, "archive.Publish is not built yet")
}
