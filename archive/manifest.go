package archive

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"maps"
	"slices"
	"time"

	"anabranch/event"
	"anabranch/fault"
	"anabranch/internal/packed"
)

// ManifestFormat is the format of manifests written today.
const ManifestFormat = 1

// Manifest says what batch has published: which files are the past below Cut.
// A published manifest never changes; treat one from Newest as read-only and
// shared.
type Manifest struct {
	Format     int       `json:"format"`  // 0 is taken as ManifestFormat
	Version    uint64    `json:"version"` // 1, 2, 3, ...; 0: nothing was published yet
	K          uint64    `json:"k"`       // the barrier that Cut belongs to
	Cut        event.Cut `json:"cut"`
	Created    time.Time `json:"created"`
	Kind       string    `json:"kind"` // "nightly", "backfill", "rollback" or "promote"
	Reason     string    `json:"reason,omitempty"`
	By         string    `json:"by,omitempty"`
	Definition string    `json:"definition"` // version of the pipeline's definition

	Runs  [][]Run               `json:"runs"` // by partition
	Days  []DayFile             `json:"days"`
	Views map[string]*ViewFiles `json:"views"` // by view; see ViewKey for other versions
	// Serves says under which key of Views a view is answered; one that is not
	// mentioned is answered under its own name.
	Serves map[string]string `json:"serves,omitempty"`
	// Canary is the share of queries, in percent, that the declared version of a
	// view answers though Serves names another.
	Canary map[string]float64 `json:"canary,omitempty"`
	// Base is the version that a rollback went back to.
	Base uint64 `json:"base,omitempty"`

	// Lineage: the run that made it, and the program.
	Run  string `json:"run,omitempty"`
	Code string `json:"code,omitempty"`

	// What became of the events below Cut, over all time.
	Rows       int64 `json:"rows"`
	Counted    int64 `json:"counted"`
	Duplicates int64 `json:"duplicates"`
	Filtered   int64 `json:"filtered"`
	Conflicts  int64 `json:"conflicts"`

	// FilteredBy splits Filtered by the code of the rule; see FilteredCodes.
	FilteredBy map[string]int64 `json:"filtered_by,omitempty"`
	// Accounts are the same counts by partition; none in manifests of old.
	Accounts []Account `json:"accounts,omitempty"`

	// Raw says by partition from where on the raw events are there; none: from
	// the begin. Oldest is the first version that is; 0: the first of all.
	Raw    []RawBorder `json:"raw,omitempty"`
	Oldest uint64      `json:"oldest,omitempty"`

	Parent string `json:"parent"` // Hash of the manifest before; empty for the first

	stored hashMemo // set when it was read or published
}

// Account says what became of the events of one partition in [From, the
// manifest's cut).
type Account struct {
	From       uint64 `json:"from"` // 0, or the cut of the last manifest that kept no accounts
	Rows       int64  `json:"rows"`
	Counted    int64  `json:"counted"`
	Duplicates int64  `json:"duplicates"`
	Filtered   int64  `json:"filtered"`
	Conflicts  int64  `json:"conflicts"`
}

// RawBorder says that the segments of a partition below From have expired, and
// how many events they had.
type RawBorder struct {
	From uint64 `json:"from"`
	Rows int64  `json:"rows"`
}

// RawFrom returns from where on the raw events of a partition are there.
func (m *Manifest) RawFrom(partition int) RawBorder {
	if partition < len(m.Raw) {
		return m.Raw[partition]
	}
	return RawBorder{}
}

// Accounted returns how many events the account says it knows the fate of: as
// many as Rows, or something is wrong.
func (a Account) Accounted() int64 { return a.Counted + a.Duplicates + a.Filtered + a.Conflicts }

// UnknownRule stands for the rules of events that were filtered before
// manifests told them apart.
const UnknownRule = "unknown"

// FilteredCodes returns how many events each filter rule took out below the
// cut; together they are m.Filtered. The map is the caller's.
func (m *Manifest) FilteredCodes() map[string]int64 {
	out, rest := map[string]int64{}, m.Filtered
	for code, n := range m.FilteredBy {
		out[code] += n
		rest -= n
	}
	if rest != 0 {
		out[UnknownRule] += rest
	}
	return out
}

// ViewFiles are the files of one view.
type ViewFiles struct {
	Version string           `json:"version"`
	States  []StateFile      `json:"states"`
	Live    map[int32]string `json:"live"` // day -> name of the state file that holds it
	Results []ResultFile     `json:"results"`
}

// Unfinished says why the view has no answer, "" when it has: one group without
// a result leaves its view without one, as it does in SQL.
func (f *ViewFiles) Unfinished() string {
	for _, r := range f.Results {
		if r.Unfinished != "" {
			return r.Unfinished
		}
	}
	return ""
}

// hashMemo is the hash of a stored manifest. A copy that became another
// version is not that manifest any more.
type hashMemo struct {
	version uint64
	hash    string
}

// Hash identifies the content of m: the SHA-256 of its JSON; empty for version
// 0.
func (m *Manifest) Hash() string {
	if m.Version == 0 {
		return ""
	}
	if m.stored.hash != "" && m.stored.version == m.Version {
		return m.stored.hash
	}
	text, err := m.encode()
	if err != nil {
		return ""
	}
	return hashOf(text)
}

func hashOf(text []byte) string {
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])
}

func (m *Manifest) encode() ([]byte, error) {
	c := *m
	if c.Format == 0 {
		c.Format = ManifestFormat
	}
	text, err := json.Marshal(&c)
	if err != nil {
		return nil, fault.New(fault.Bug, "encode manifest %d: %w", m.Version, err)
	}
	return text, nil
}

// decodeManifest reads manifest v from its object.
func decodeManifest(name string, v uint64, object []byte) (*Manifest, error) {
	text, err := packed.Unpack(name, object)
	if err != nil {
		return nil, err
	}
	m := &Manifest{}
	if err := json.Unmarshal(text, m); err != nil {
		return nil, fault.New(fault.Corrupt, "read manifest %s: %w", name, err)
	}
	if m.Format != ManifestFormat {
		return nil, fault.New(fault.Invalid, "read manifest %s: it has format %d, this program reads %d; run the newer program", name, m.Format, ManifestFormat)
	}
	if m.Version != v {
		return nil, fault.New(fault.Corrupt, "read manifest %s: it calls itself version %d", name, m.Version)
	}
	m.stored = hashMemo{v, hashOf(text)}
	return m, nil
}

// asStored returns what decodeManifest would return for m, which has this hash.
// It shares the lists and maps of m.
func (m *Manifest) asStored(hash string) *Manifest {
	c := *m
	c.Format = ManifestFormat
	c.Created = c.Created.Round(0) // the time alone
	c.Serves, c.Canary, c.FilteredBy = absentIfEmpty(c.Serves), absentIfEmpty(c.Canary), absentIfEmpty(c.FilteredBy)
	if len(c.Accounts) == 0 {
		c.Accounts = nil
	}
	if len(c.Raw) == 0 {
		c.Raw = nil
	}
	c.stored = hashMemo{m.Version, hash}
	return &c
}

// absentIfEmpty is what becomes of a map that JSON omits when it is empty.
func absentIfEmpty[V any](m map[string]V) map[string]V {
	if len(m) == 0 {
		return nil
	}
	return m
}

// file is one object that a manifest mentions.
type file struct {
	name string
	size int64
}

// files yields every object that m mentions, lineage aside.
func (m *Manifest) files() []file {
	var out []file
	for _, runs := range m.Runs {
		for _, r := range runs {
			out = append(out, file{r.Name, r.Size})
		}
	}
	for _, d := range m.Days {
		if !d.Gone {
			out = append(out, file{d.Name, d.Size})
		}
	}
	for _, view := range slices.Sorted(maps.Keys(m.Views)) {
		for _, s := range m.Views[view].States {
			out = append(out, file{s.Name, s.Size})
		}
		for _, r := range m.Views[view].Results {
			out = append(out, file{r.Name, r.Size})
		}
	}
	return out
}

// check looks for what no reader could make sense of. The error is Bug: batch
// has planned wrong.
func (m *Manifest) check(partitions int) error {
	bad := func(format string, args ...any) error {
		return fault.New(fault.Bug, "publish manifest %d: "+format, append([]any{m.Version}, args...)...)
	}
	if m.Version == 0 {
		return bad("versions begin with 1")
	}
	if m.Format != 0 && m.Format != ManifestFormat {
		return bad("format %d", m.Format)
	}
	if partitions > 0 && len(m.Cut) != partitions {
		return bad("a cut of %d partitions, the pipeline has %d", len(m.Cut), partitions)
	}
	if len(m.Runs) > len(m.Cut) {
		return bad("id runs of %d partitions, a cut of %d", len(m.Runs), len(m.Cut))
	}
	for p, runs := range m.Runs {
		for _, r := range runs {
			if r.Partition != p || r.K > m.K {
				return bad("id run %s among those of partition %d at barrier %d", r.Name, p, m.K)
			}
		}
	}
	for p, raw := range m.Raw {
		if p >= len(m.Cut) || raw.From > m.Cut[p] {
			return bad("the raw events of partition %d expire up to %d, above the cut %s", p, raw.From, m.Cut)
		}
	}
	for view, key := range m.Serves {
		if m.Views[key] == nil || ViewOf(key) != view {
			return bad("view %s is answered by %s, which has no files", view, key)
		}
	}
	for view, files := range m.Views {
		if files == nil {
			return bad("view %s without files", view)
		}
		states := map[string]bool{}
		for _, s := range files.States {
			states[s.Name] = true
		}
		for day, name := range files.Live {
			if !states[name] {
				return bad("view %s: day %d lives in %s, which is not among its state files", view, day, name)
			}
		}
	}
	return nil
}
