package ingest

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/zeebo/xxh3"

	"anabranch/bucket"
	"anabranch/fault"
	"anabranch/schemas"
)

// Importer brings files of events in through a gateway, so that they are
// judged, named and counted as any other event: see docs/proposals/006-import.md.
type Importer struct {
	Gateway *Gateway
	Notes   Notes
	// PieceBytes is how much of a file is sent at once; default 2 MiB. Another
	// size would cut files elsewhere, so it must not change under an import.
	PieceBytes int
}

// Notes keeps what an import remembers; an archive.Archive does.
type Notes interface {
	// PutWork stores a note of a run; putting a name again replaces it.
	PutWork(ctx context.Context, run, name string, body []byte) error
	// GetWork returns it; NotFound when there is none.
	GetWork(ctx context.Context, run, name string) ([]byte, error)
}

// Source is where the files of an import are.
type Source struct {
	Files  bucket.Reader
	Prefix string // of their names
	Name   string // of the whole, for dead letters: file:///data/ or s3://bucket/
}

// The formats of files.
const (
	FormatParquet = "parquet"
	FormatCSV     = "csv"
	FormatNDJSON  = "ndjson"
)

// ImportFile is a file to import.
type ImportFile struct {
	Name   string `json:"name"`
	Size   int64  `json:"size"`
	ETag   string `json:"etag,omitempty"`
	Format string `json:"format"`
}

// Listing is what an import has to do.
type Listing struct {
	Files  []ImportFile `json:"files"`
	Passed []string     `json:"passed,omitempty"` // names that do not tell a format, some of them
	Began  time.Time    `json:"began"`
}

// Bytes returns the size of all files.
func (l *Listing) Bytes() (n int64) {
	for _, f := range l.Files {
		n += f.Size
	}
	return n
}

const (
	noteFiles = "import/files.json"
	noteFile  = "import/f%06d.json"
	maxPassed = 20
	maxFiles  = 100_000
)

// List finds the files of a run, in the order of their names, and keeps the
// list: asked again, it is the same one. Format is of files whose names do not
// tell; empty: those are passed over. Errors: Invalid when there is none.
func (im *Importer) List(ctx context.Context, run string, from Source, format string) (Listing, error) {
	var l Listing
	if found, err := im.get(ctx, run, noteFiles, &l); err != nil || found {
		return l, err
	}
	if !slices.Contains([]string{"", FormatParquet, FormatCSV, FormatNDJSON}, format) {
		return l, fault.New(fault.Invalid, "format %q: want parquet, csv or ndjson", format)
	}
	l.Began = im.Gateway.opts.Clock.Now().UTC()
	for info, err := range from.Files.List(ctx, from.Prefix, "") {
		if err != nil {
			return l, fmt.Errorf("list %s: %w", from.Name, err)
		}
		base := path.Base(info.Name)
		if info.Size == 0 || base[0] == '.' || base[0] == '_' {
			continue // such as _SUCCESS
		}
		f := ImportFile{Name: info.Name, Size: info.Size, ETag: info.ETag, Format: formatOf(base)}
		if format != "" {
			f.Format = format
		}
		if f.Format == "" {
			if len(l.Passed) < maxPassed {
				l.Passed = append(l.Passed, f.Name)
			}
			continue
		}
		if f.ETag == "" {
			stat, err := from.Files.Stat(ctx, f.Name)
			if err != nil {
				return l, fmt.Errorf("look at %s: %w", f.Name, err)
			}
			f.ETag = stat.ETag
		}
		if l.Files = append(l.Files, f); len(l.Files) > maxFiles {
			return l, fault.New(fault.Invalid, "%s has over %d files: import its folders one after the other", from.Name, maxFiles)
		}
	}
	switch {
	case len(l.Files) == 0 && len(l.Passed) > 0:
		return l, fault.New(fault.Invalid, "%s: the names of its files do not tell a format, as %s: give one of parquet, csv, ndjson", from.Name, l.Passed[0])
	case len(l.Files) == 0:
		return l, fault.New(fault.Invalid, "%s has no files", from.Name)
	}
	return l, im.put(ctx, run, noteFiles, l)
}

func formatOf(base string) string {
	base = strings.ToLower(base)
	base = strings.TrimSuffix(strings.TrimSuffix(base, ".gz"), ".zst")
	return map[string]string{".parquet": FormatParquet, ".csv": FormatCSV, ".ndjson": FormatNDJSON, ".jsonl": FormatNDJSON}[path.Ext(base)]
}

// Imported is what became of one file, as far as it got.
type Imported struct {
	Name         string       `json:"name"`
	Rows         int64        `json:"rows"`
	Accepted     int64        `json:"accepted"` // copies of known events are among them
	DeadLettered int64        `json:"dead_lettered"`
	Pieces       int          `json:"pieces"` // that are done
	Done         bool         `json:"done"`
	Refused      []EventError `json:"refused,omitempty"`   // the first ones; Line is the row of a Parquet file
	Positions    []string     `json:"positions,omitempty"` // of the last events in each partition
}

const maxImportRefused = 5

// File imports one file of the list and returns once all of its events are
// durable. After any error, from another process too, it goes on behind the
// last piece that was noted; of the piece that was under way some events may
// be sent again, and their ids say so. A dry run judges and stores no event.
func (im *Importer) File(ctx context.Context, run string, from Source, n int, dry bool) (Imported, error) {
	var l Listing
	found, err := im.get(ctx, run, noteFiles, &l)
	if err == nil && (!found || n < 0 || n >= len(l.Files)) {
		err = fault.New(fault.Invalid, "import %s: there is no list of its files, or no file %d in it: start it again", run, n)
	}
	if err != nil {
		return Imported{}, err
	}
	f, note := l.Files[n], fmt.Sprintf(noteFile, n)
	done := Imported{Name: f.Name}
	if _, err := im.get(ctx, run, note, &done); err != nil || done.Done {
		return done, err
	}
	stat, err := from.Files.Stat(ctx, f.Name)
	if err == nil && (stat.Size != f.Size || stat.ETag != f.ETag) {
		err = fault.New(fault.Invalid, "it has changed since the import began: import it under another key")
	}
	if err == nil {
		err = im.file(ctx, from, f, l.Began, dry, &done, func() error { return im.put(ctx, run, note, done) })
	}
	if err != nil {
		return done, fmt.Errorf("import %s%s: %w", from.Name, f.Name, err)
	}
	done.Done = true
	return done, im.put(ctx, run, note, done)
}

func (im *Importer) file(ctx context.Context, from Source, f ImportFile, began time.Time, dry bool, done *Imported, note func() error) error {
	next, closes, err := im.open(ctx, from, f)
	if err != nil {
		return err
	}
	defer closes()
	format := schemas.NDJSON
	if f.Format == FormatCSV {
		format = schemas.CSV
	}
	for piece := 0; ; piece++ {
		c, err := next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if piece < done.Pieces {
			continue
		}
		m := Meta{Format: format, Request: pieceName(from.Name+f.Name, c), Source: from.Name + f.Name, FirstLine: c.FirstLine - c.Header,
			Lane: im.Gateway.opts.Lanes[len(im.Gateway.opts.Lanes)-1].Name, Received: began}
		if err := im.piece(ctx, c, m, dry, done); err != nil {
			return fmt.Errorf("from row %d: %w", c.FirstLine, err)
		}
		done.Pieces++
		if err := note(); err != nil {
			return err
		}
	}
}

// open returns what hands out the pieces of a file.
func (im *Importer) open(ctx context.Context, from Source, f ImportFile) (next func() (schemas.Chunk, error), closes func(), err error) {
	size := im.PieceBytes
	if size == 0 {
		size = 2 << 20
	}
	if f.Format == FormatParquet {
		p, err := schemas.NewParquetText(&ranges{ctx: ctx, files: from.Files, name: f.Name}, f.Size, size)
		if err != nil {
			return nil, nil, err
		}
		return func() (schemas.Chunk, error) { return p.Next(ctx) }, p.Close, nil
	}
	body, _, err := from.Files.Get(ctx, f.Name)
	if err != nil {
		return nil, nil, err
	}
	plain, err := schemas.Plain(body)
	if err != nil {
		body.Close()
		return nil, nil, fault.New(fault.Corrupt, "unpack it: %w", err)
	}
	format := schemas.NDJSON
	if f.Format == FormatCSV {
		format = schemas.CSV
	}
	s := schemas.NewSplitter(plain, format, size)
	return s.Next, func() { plain.Close(); body.Close() }, nil
}

// pieceName is the same for the same piece of the same file, so that its dead
// letters are put where they are and not beside.
func pieceName(source string, c schemas.Chunk) string {
	sum := xxh3.Hash128(fmt.Appendf(nil, "%q %d %x", source, c.FirstLine, xxh3.Hash128(c.Body).Bytes())).Bytes()
	return "import-" + hex.EncodeToString(sum[:])
}

// importPatience is how long a piece waits for room; then whoever calls is
// told, and comes again.
const importPatience = 5 * time.Minute

// piece sends one piece, waiting while the gateway has no room for it.
func (im *Importer) piece(ctx context.Context, c schemas.Chunk, m Meta, dry bool, done *Imported) error {
	g := im.Gateway
	if dry {
		refused, rows, err := g.check(ctx, bytes.NewReader(c.Body), m)
		if err != nil {
			return err
		}
		done.add(int64(rows-len(refused)), int64(len(refused)), refused, nil)
		return nil
	}
	for end := g.opts.Clock.Now().Add(importPatience); ; {
		a, err := g.Accept(ctx, bytes.NewReader(c.Body), m)
		if err == nil {
			done.add(int64(a.Accepted), int64(a.DeadLettered), a.Errors, a.Receipt.Positions)
			return nil
		}
		wait := RetryAfter(err)
		if !fault.KindOf(err).Retryable() || wait == 0 || g.opts.Clock.Now().After(end) {
			return err
		}
		select {
		case <-g.opts.Clock.After(wait):
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

func (d *Imported) add(accepted, dead int64, refused []EventError, at []string) {
	d.Rows += accepted + dead
	d.Accepted += accepted
	d.DeadLettered += dead
	d.Refused = append(d.Refused, refused[:min(len(refused), maxImportRefused-len(d.Refused))]...)
	d.Positions = Latest(d.Positions, at)
}

func (im *Importer) get(ctx context.Context, run, name string, into any) (found bool, err error) {
	text, err := im.Notes.GetWork(ctx, run, name)
	if fault.Is(err, fault.NotFound) {
		return false, nil
	}
	if err == nil && json.Unmarshal(text, into) != nil {
		err = fault.New(fault.Corrupt, "note %s of import %s is not as it was written", name, run)
	}
	return err == nil, err
}

func (im *Importer) put(ctx context.Context, run, name string, v any) error {
	text, err := json.Marshal(v)
	if err != nil {
		return fault.Wrap(fault.Bug, err)
	}
	return im.Notes.PutWork(ctx, run, name, text)
}

// ranges reads an object here and there.
type ranges struct {
	ctx   context.Context
	files bucket.Reader
	name  string
}

// ReadAt implements io.ReaderAt.
func (r *ranges) ReadAt(p []byte, at int64) (int, error) {
	body, err := r.files.Range(r.ctx, r.name, at, int64(len(p)))
	if err != nil {
		return 0, err
	}
	n, err := io.ReadFull(body, p)
	return n, errors.Join(err, body.Close())
}
