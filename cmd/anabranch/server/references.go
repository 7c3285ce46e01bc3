package server

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path"
	"slices"
	"strings"
	"time"

	"anabranch/archive"
	"anabranch/bucket"
	"anabranch/cmd/anabranch/api"
	"anabranch/fault"
	"anabranch/schemas"
)

// Files of reference tables come with the definition when they are small texts.
// Others are uploaded before, into the object store, so that every process
// finds them there; in the definition stands the text that points at them. The
// name has a sign that no pipeline's has.
const uploads = "reference-uploads/"

// postReference takes one file.
func (s *Server) postReference(r *http.Request) (out api.Uploaded, err error) {
	file, err := spool(s.config.Dir, http.MaxBytesReader(nil, r.Body, schemas.MaxReference))
	if err != nil {
		return out, err
	}
	defer file.close()
	if file.size == 0 {
		return out, fault.New(fault.Invalid, "the request has no body: want a CSV or Parquet file")
	}
	if _, err := file.Seek(0, io.SeekStart); err != nil {
		return out, fault.Wrap(fault.Transient, err)
	}
	if _, err := s.opened.bucket.Put(r.Context(), uploads+file.sum, file, bucket.Condition{}); err != nil {
		return out, fmt.Errorf("store the file: %w", err)
	}
	return api.Uploaded{Pointer: schemas.PointerTo(file.sum, file.size)}, nil
}

// spooled is a file that is gone when it is closed.
type spooled struct {
	*os.File
	sum  string
	size int64
}

func (f *spooled) close() {
	f.File.Close()
	os.Remove(f.Name())
}

func spool(dir string, from io.Reader) (*spooled, error) {
	file, err := os.CreateTemp(dir, "reference-*")
	if err != nil {
		return nil, fault.Wrap(fault.Transient, err)
	}
	f := &spooled{File: file}
	h := sha256.New()
	if f.size, err = io.Copy(io.MultiWriter(file, h), from); err != nil {
		f.close()
		var large *http.MaxBytesError
		if errors.As(err, &large) {
			return nil, fault.WithCode(fault.New(fault.Invalid, "the file has more than %d bytes, which is what a reference table may have", large.Limit), "too_large")
		}
		return nil, fault.Wrap(fault.Transient, fmt.Errorf("read the file: %w", err))
	}
	f.sum = hex.EncodeToString(h.Sum(nil))
	return f, nil
}

// brought is what a definition's reference tables are made of.
type brought struct {
	def   *schemas.Definition
	files map[string]string   // of the request: whole files, or what points at them
	known []archive.Reference // that need no file
}

// look says what tables a definition brings along, and stores nothing.
func (o *opened) look(ctx context.Context, b brought) ([]archive.Reference, error) {
	return o.each(ctx, b, func(ref *schemas.Reference, file io.ReaderAt) (archive.Reference, error) {
		return archive.LookAtReference(ctx, ref, file)
	}, func(*archive.Reference) (bool, error) { return true, nil })
}

// bring stores the tables that a definition brings along, and returns what the
// catalog is to keep of them.
func (o *opened) bring(ctx context.Context, a *archive.Archive, b brought) ([]archive.Reference, error) {
	return o.each(ctx, b, func(ref *schemas.Reference, file io.ReaderAt) (archive.Reference, error) {
		return a.StoreReference(ctx, ref, file)
	}, func(r *archive.Reference) (bool, error) {
		if strings.HasPrefix(r.Object, b.def.Name+"/") {
			return a.HasReference(ctx, *r) // else it is stored again
		}
		return true, a.CopyReference(ctx, r)
	})
}

func (o *opened) each(ctx context.Context, b brought, read func(*schemas.Reference, io.ReaderAt) (archive.Reference, error), again func(*archive.Reference) (bool, error)) (out []archive.Reference, err error) {
	o.bringing.Lock() // one at a time, as to bound memory
	defer o.bringing.Unlock()
	var problems schemas.Problems
	for i := range b.def.References {
		ref := &b.def.References[i]
		at := slices.IndexFunc(b.known, func(k archive.Reference) bool { return k.Name == ref.Name && k.From == ref.Made() })
		if at >= 0 {
			r := b.known[at].Declared(ref)
			ok, err := again(&r)
			if err != nil {
				return nil, err
			}
			if ok {
				out = append(out, r)
				continue
			}
		}
		r, err := o.withFile(ctx, b, ref, func(file io.ReaderAt) (archive.Reference, error) { return read(ref, file) })
		var found schemas.Problems
		switch {
		case errors.As(err, &found):
			problems = append(problems, found...)
		case err != nil:
			return nil, fmt.Errorf("reference table %s: %w", ref.Name, err)
		}
		out = append(out, r)
	}
	if len(problems) > 0 {
		return nil, problems
	}
	return out, nil
}

// withFile has fn read a reference table's file.
func (o *opened) withFile(ctx context.Context, b brought, ref *schemas.Reference, fn func(io.ReaderAt) (archive.Reference, error)) (r archive.Reference, err error) {
	text := b.files[ref.File]
	if _, _, points := schemas.ReadPointer(text); !points {
		return fn(strings.NewReader(text))
	}
	body, _, err := o.bucket.Get(ctx, uploads+ref.Sum)
	if errors.Is(err, bucket.ErrNotFound) {
		return r, fault.New(fault.Invalid, "its file %s was not uploaded: apply the folder with `anabranch apply`, or POST the file to /v1/references first", ref.File)
	}
	if err != nil {
		return r, err
	}
	defer body.Close()
	file, err := spool(o.config.Dir, body)
	if err != nil {
		return r, err
	}
	defer file.close()
	if file.sum != ref.Sum {
		return r, fault.New(fault.Corrupt, "%s%s is damaged: its SHA-256 is %s", uploads, ref.Sum, file.sum)
	}
	return fn(file)
}

// fetchReferences brings the reference tables in force to local disk, so that
// they answer while the object store is away. Damage is told by the queries that
// meet it.
func (p *pipeline) fetchReferences(ctx context.Context) error {
	for _, r := range p.references {
		_, release, err := p.archive.Local(ctx, r.Object, r.Size, r.Sum)
		release()
		if err != nil && !fault.Is(err, fault.Corrupt) && !fault.Is(err, fault.NotFound) {
			return fmt.Errorf("fetch reference table %s: %w", r.Name, err)
		}
	}
	return nil
}

// older are the sets of reference tables that were in force before.
func older(history []entry) map[string][]archive.Reference {
	out := map[string][]archive.Reference{}
	for _, e := range history {
		if len(e.References) > 0 {
			out[archive.ReferencesID(e.References)] = e.References
		}
	}
	return out
}

// keptReferences are the entries whose reference tables stay: those that answers
// as of a receipt may be asked for as long as manifests are. See
// archive.Collect.
func keptReferences(history []entry, now time.Time) (out []entry) {
	for i, e := range history {
		if i >= len(history)-archive.KeepVersions || !history[i+1].Applied.Before(now.Add(-keepFor)) {
			out = append(out, e)
		}
	}
	return out
}

// collectReferences deletes the objects of reference tables that nobody can ask
// for any more, and uploads that were not applied within a day.
func (p *pipeline) collectReferences(ctx context.Context, c *catalog) error {
	history, err := c.history(ctx, p.def.Name)
	if err != nil {
		return err
	}
	keeps := map[string]bool{}
	for _, e := range keptReferences(history, c.clock.Now()) {
		for _, r := range e.References {
			keeps[r.Object] = true
		}
	}
	if _, err := p.archive.CollectReferences(ctx, keeps, keepFor); err != nil {
		return err
	}
	for info, err := range c.bucket.List(ctx, uploads, "") {
		if err == nil && info.Modified.Before(c.clock.Now().Add(-keepFor)) {
			err = c.bucket.Delete(ctx, info.Name)
		}
		if err != nil && !errors.Is(err, bucket.ErrNotFound) {
			return fmt.Errorf("collect uploads: %w", err)
		}
	}
	return nil
}

// listReferences tells the reference tables of a pipeline, those in force
// first.
func (s *Server) listReferences(r *http.Request, p *pipeline) (api.References, error) {
	out := api.References{References: []api.Reference{}}
	history, err := s.catalog.history(r.Context(), p.def.Name)
	if err != nil {
		return out, err
	}
	seen := map[string]bool{}
	kept := keptReferences(history, s.catalog.clock.Now())
	for i, e := range slices.Backward(kept) {
		for _, t := range e.References {
			if key := t.Name + " " + t.Object; !seen[key] {
				seen[key] = true
				out.References = append(out.References, toldReference(t, e, i == len(kept)-1))
			}
		}
	}
	return out, nil
}

func toldReference(t archive.Reference, e entry, inForce bool) api.Reference {
	r := api.Reference{Name: t.Name, Version: t.Version, Comment: t.Comment, Rows: t.Rows, Bytes: t.Size, Definition: e.N, Applied: e.Applied, InForce: inForce, Object: path.Base(t.Object)}
	for _, c := range t.Columns {
		r.Columns = append(r.Columns, api.ReferenceColumn{Name: c.Name, Type: c.Type, Key: c.Key, Comment: c.Comment})
	}
	return r
}
