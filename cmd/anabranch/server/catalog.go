package server

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/tools/txtar"

	"anabranch/archive"
	"anabranch/bucket"
	"anabranch/fault"
	"anabranch/internal/clock"
	"anabranch/schemas"
)

// The catalog holds the definitions of all pipelines in the object store, one
// create-only object for each version:
//
//	definitions/<pipeline>/<n:08d>.json
//
// The highest n is in force. Two applies race by that name: one wins, the
// other reads and decides again.
type catalog struct {
	bucket bucket.Bucket
	clock  clock.Clock
}

// entry is one version of one pipeline's definition.
type entry struct {
	Format  int               `json:"format"` // 1
	N       uint64            `json:"n"`
	Name    string            `json:"pipeline"`
	Applied time.Time         `json:"applied"`
	Schema  uint32            `json:"schema"` // version of the schema in Files
	Files   map[string]string `json:"files"`
	// Held are versions by view that stand beside the one that answers until
	// somebody, or a canary, promotes them.
	Held map[string]string `json:"held,omitempty"`
	// References are the reference tables of Files, in which stands only what
	// points at their files.
	References []archive.Reference `json:"references,omitempty"`
	Sum        string              `json:"sum,omitempty"` // of the rest; see seal. Definitions of old have none
}

// seal returns the SHA-256, in hex, of e without its Sum: one flipped bit in a
// view's SQL would otherwise be another view.
func (e entry) seal() (string, error) {
	e.Sum = ""
	text, err := json.Marshal(e)
	if err != nil {
		return "", fault.Wrap(fault.Bug, err)
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:]), nil
}

// writes reports whether text is what is written for e: the reader of JSON takes
// a key with a damaged letter for the key when only its case has changed.
func (e entry) writes(text []byte) bool {
	written, err := json.Marshal(e)
	var compact bytes.Buffer
	return err == nil && json.Compact(&compact, text) == nil && bytes.Equal(compact.Bytes(), written)
}

const catalogFormat = 1

// history reads every version of a pipeline, the oldest first; none is no
// error.
func (c *catalog) history(ctx context.Context, name string) ([]entry, error) {
	var all []entry
	for info, err := range c.bucket.List(ctx, "definitions/"+name+"/", "") {
		if err != nil {
			return nil, fmt.Errorf("list definitions of %s: %w", name, err)
		}
		e, err := c.read(ctx, info.Name)
		if err != nil {
			return nil, err
		}
		all = append(all, e)
	}
	return all, nil
}

func (c *catalog) read(ctx context.Context, object string) (entry, error) {
	var e entry
	body, _, err := c.bucket.Get(ctx, object)
	if err != nil {
		return e, fmt.Errorf("read %s: %w", object, err)
	}
	defer body.Close()
	text, err := io.ReadAll(body)
	if err != nil {
		return e, fmt.Errorf("read %s: %w", object, err)
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields() // a damaged key is no missing one
	if err := d.Decode(&e); err != nil {
		return e, fault.New(fault.Corrupt, "%s is not a definition: %v", object, err)
	}
	if _, err := d.Token(); err != io.EOF { // a damaged quote ends everything early, the sum too
		return e, fault.New(fault.Corrupt, "%s is not a definition: it goes on behind its end", object)
	}
	if e.Sum != "" {
		sum, err := e.seal()
		if err != nil {
			return e, err
		}
		if sum != e.Sum {
			return e, fault.New(fault.Corrupt, "%s is damaged: its SHA-256 is %s, what was written has %s; restore it from a copy of the bucket", object, sum, e.Sum)
		}
		if !e.writes(text) {
			return e, fault.New(fault.Corrupt, "%s is damaged, though it says what was written; restore it from a copy of the bucket", object)
		}
	}
	if e.Format != catalogFormat {
		return e, fault.New(fault.Corrupt, "%s has format %d; this program reads format %d", object, e.Format, catalogFormat)
	}
	return e, nil
}

// newest returns the number of the version in force of every pipeline.
func (c *catalog) newest(ctx context.Context) (map[string]uint64, error) {
	out := map[string]uint64{}
	for info, err := range c.bucket.List(ctx, "definitions/", "") {
		if err != nil {
			return nil, fmt.Errorf("list definitions: %w", err)
		}
		dir, file := path.Split(info.Name)
		n, err := strconv.ParseUint(strings.TrimSuffix(file, ".json"), 10, 64)
		if err != nil {
			return nil, fault.New(fault.Corrupt, "%s is not the name of a definition", info.Name)
		}
		name := path.Base(dir)
		out[name] = max(out[name], n)
	}
	return out, nil
}

// errRace says that another apply came first.
var errRace = errors.New("another apply came first")

// put stores e as version e.N, which must be one above the newest.
func (c *catalog) put(ctx context.Context, e entry) error {
	var err error
	if e.Sum, err = e.seal(); err != nil {
		return err
	}
	text, err := json.MarshalIndent(e, "", " ")
	if err != nil {
		return fault.Wrap(fault.Bug, err)
	}
	object := fmt.Sprintf("definitions/%s/%08d.json", e.Name, e.N)
	_, err = c.bucket.Put(ctx, object, bytes.NewReader(text), bucket.Condition{Absent: true})
	if errors.Is(err, bucket.ErrCondition) {
		return errRace
	}
	if err != nil {
		return fmt.Errorf("store %s: %w", object, err)
	}
	return nil
}

// definition parses the files of one version; a mistake in them is told with
// its place.
func definition(files map[string]string) (*schemas.Definition, error) {
	folder := &txtar.Archive{}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		folder.Files = append(folder.Files, txtar.File{Name: name, Data: []byte(files[name])})
	}
	root, err := txtar.FS(folder)
	if err != nil {
		return nil, fault.New(fault.Invalid, "the files of a definition: %v", err)
	}
	return schemas.ReadDefinition(root)
}

// next decides what an apply of def means for a pipeline with this history:
// the entry to store, or the newest one and false when nothing changes.
func (c *catalog) next(history []entry, def *schemas.Definition) (entry, bool, error) {
	e := entry{Format: catalogFormat, N: 1, Name: def.Name, Applied: c.clock.Now().UTC(), Schema: 1, Files: def.Files}
	if len(history) == 0 {
		return e, true, nil
	}
	last := history[len(history)-1]
	old, err := definition(last.Files)
	if err != nil {
		return e, false, fmt.Errorf("definition %d of %s: %w", last.N, def.Name, err)
	}
	return follows(e, last, old, def)
}

// follows decides what a definition means for a pipeline that has another one
// in force: e becomes the entry to store.
func follows(e, last entry, old, def *schemas.Definition) (entry, bool, error) {
	if old.Version() == def.Version() {
		return last, false, nil
	}
	if old.Partitions != def.Partitions {
		return e, false, fault.New(fault.Invalid, "pipeline %s has %d partitions since it was made, the folder asks for %d: partitions never change, make a new pipeline instead", def.Name, old.Partitions, def.Partitions)
	}
	e.N, e.Schema, e.Held = last.N+1, last.Schema, last.Held
	if old.Schema.Fingerprint() != def.Schema.Fingerprint() {
		if err := schemas.Compatible(old.Schema, def.Schema); err != nil {
			var p *schemas.Problem
			if errors.As(err, &p) && p.File == "" {
				p.File = "schema"
			}
			return e, false, err
		}
		e.Schema++
	}
	if err := schemas.Settled(old, def); err != nil {
		return e, false, err
	}
	return e, true, nil
}

// schemaSet collects every schema version that a pipeline's events may have
// been written with.
func schemaSet(history []entry) (*schemas.Set, error) {
	var all []*schemas.Schema
	seen := uint32(0)
	for _, e := range history {
		if e.Schema == seen {
			continue
		}
		seen = e.Schema
		def, err := definition(e.Files)
		if err != nil {
			return nil, fmt.Errorf("definition %d of %s: %w", e.N, e.Name, err)
		}
		s, err := schemas.Parse(e.Schema, def.Schema.Text())
		if err != nil {
			return nil, fmt.Errorf("schema %d of %s: %w", e.Schema, e.Name, err)
		}
		all = append(all, s)
	}
	return schemas.NewSet(all...), nil
}
