package archive

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"anabranch/bucket"
	"anabranch/event"
	"anabranch/fault"
	"anabranch/schemas"
)

// Reference is a reference table as it lies in the bucket: Parquet, under a name
// that says what it holds.
type Reference struct {
	Name    string            `json:"name"`
	Version string            `json:"version"`
	Comment string            `json:"comment,omitempty"`
	From    string            `json:"from"`   // names the file and the types that it was made of: schemas.Reference.Made
	Object  string            `json:"object"` // content-addressed
	Size    int64             `json:"size"`
	Sum     string            `json:"sum"` // SHA-256
	Rows    int64             `json:"rows"`
	Columns []ReferenceColumn `json:"columns"`
}

// ReferenceColumn is one column of a Reference.
type ReferenceColumn struct {
	Name    string `json:"name"`
	Type    string `json:"type"` // as SQL has it
	Key     bool   `json:"key,omitempty"`
	Comment string `json:"comment,omitempty"`
}

// ReferencesID names a set of reference tables by their names and rows; empty
// when there are none.
func ReferencesID(all []Reference) string {
	if len(all) == 0 {
		return ""
	}
	h := sha256.New()
	for _, r := range all {
		fmt.Fprintf(h, "%q %q\n", r.Name, r.Object)
	}
	return hex.EncodeToString(h.Sum(nil)[:8])
}

const referenceKey = "anabranch.reference"

// LookAtReference reads a whole file and says what table it makes, without
// storing it. The error is Problems for mistakes in the file.
func LookAtReference(ctx context.Context, ref *schemas.Reference, file io.ReaderAt) (Reference, error) {
	in, err := schemas.OpenReference(ctx, ref, file)
	if err != nil {
		return Reference{}, err
	}
	r := newReference(ref, in.Shape())
	err = in.Read(ctx, func(b *event.Batch) error {
		r.Rows += int64(b.N)
		return nil
	})
	return r, err
}

// StoreReference stores the rows of a file as Parquet. The error is Problems
// for mistakes in the file; then nothing is stored.
func (a *Archive) StoreReference(ctx context.Context, ref *schemas.Reference, file io.ReaderAt) (Reference, error) {
	in, err := schemas.OpenReference(ctx, ref, file)
	if err != nil {
		return Reference{}, err
	}
	r := newReference(ref, in.Shape())
	out, err := a.newParquet(in.Shape())
	if err != nil {
		return r, err
	}
	defer out.spool.close()
	err = in.Read(ctx, func(b *event.Batch) error {
		if err := out.write(b); err != nil || out.open < groupRows {
			return err
		}
		return out.endGroup()
	})
	if err == nil {
		err = out.finish(referenceKey, map[string]any{"format": fileFormat})
	}
	if err != nil {
		return r, err
	}
	r.Rows = out.rows
	r.Object, r.Size, r.Sum, err = out.spool.put(ctx, func(sum string) string { return a.object("references/%s/%.32s.parquet", r.Name, sum) })
	return r, err
}

func newReference(ref *schemas.Reference, shape *event.Shape) Reference {
	r := Reference{From: ref.Made()}
	for _, f := range shape.Fields {
		r.Columns = append(r.Columns, ReferenceColumn{Name: f.Name, Type: f.Type.SQL()})
	}
	return r.Declared(ref)
}

// Declared returns r with what a definition says about it that is not in its
// rows.
func (r Reference) Declared(ref *schemas.Reference) Reference {
	r.Name, r.Version, r.Comment, r.Columns = ref.Name, ref.Version, ref.Description, slices.Clone(r.Columns)
	for i := range r.Columns {
		r.Columns[i].Comment = ""
		r.Columns[i].Key = slices.ContainsFunc(ref.Key, func(k string) bool { return strings.EqualFold(k, r.Columns[i].Name) })
		for _, c := range ref.Columns {
			if strings.EqualFold(c.Name, r.Columns[i].Name) {
				r.Columns[i].Comment = c.Comment
			}
		}
	}
	return r
}

// HasReference reports whether a reference table's object is there, by name and
// size.
func (a *Archive) HasReference(ctx context.Context, r Reference) (bool, error) {
	info, err := a.bucket.Stat(ctx, r.Object)
	if errors.Is(err, bucket.ErrNotFound) {
		return false, nil
	}
	return err == nil && info.Size == r.Size, err
}

// CopyReference stores a reference table of another pipeline as this one's.
func (a *Archive) CopyReference(ctx context.Context, r *Reference) error {
	data, err := a.fetch(ctx, r.Object, r.Size, r.Sum)
	if err != nil {
		return err
	}
	r.Object = a.object("references/%s/%.32s.parquet", r.Name, r.Sum)
	if _, err := a.bucket.Put(ctx, r.Object, bytes.NewReader(data), bucket.Condition{}); err != nil {
		return fmt.Errorf("put %s: %w", r.Object, err)
	}
	return nil
}

// CheckReference reads a whole object. The error is that of the object store,
// or what is wrong with it: Corrupt or NotFound.
func (a *Archive) CheckReference(ctx context.Context, r Reference) error {
	body, _, err := a.bucket.Get(ctx, r.Object)
	if err != nil {
		return fmt.Errorf("fetch %s: %w", r.Object, err)
	}
	h := sha256.New()
	n, err := io.Copy(h, body)
	if err = errors.Join(err, body.Close()); err != nil {
		return fmt.Errorf("fetch %s: %w", r.Object, err)
	}
	return checkSum(r.Object, r.Size, r.Sum, n, h.Sum(nil))
}

// References lists the objects of reference tables that there are, whoever
// mentions them.
func (a *Archive) References(ctx context.Context) ([]Aged, error) {
	return a.aged(ctx, a.object("references")+"/")
}

// CollectReferences deletes what keeps does not have, where it is older than
// minAge. An apply that needs an object again writes it again first, so that it
// is young.
func (a *Archive) CollectReferences(ctx context.Context, keeps map[string]bool, minAge time.Duration) (deleted int, err error) {
	old := a.opts.Clock.Now().Add(-minAge)
	all, err := a.References(ctx)
	if err != nil {
		return 0, fmt.Errorf("collect reference tables: %w", err)
	}
	for _, o := range all {
		if keeps[o.Name] {
			continue
		}
		info, err := a.bucket.Stat(ctx, o.Name)
		if errors.Is(err, bucket.ErrNotFound) || err == nil && !info.Modified.Before(old) {
			continue
		}
		if err == nil {
			err = a.bucket.Delete(ctx, o.Name)
		}
		if err != nil {
			return deleted, fault.Wrap(fault.KindOf(err), fmt.Errorf("collect %s: %w", o.Name, err))
		}
		deleted++
	}
	return deleted, nil
}
