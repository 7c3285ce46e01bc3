package bench

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"time"

	"anabranch/archive"
	"anabranch/batch"
	"anabranch/bucket"
	"anabranch/deadletter"
	"anabranch/event"
	"anabranch/fault"
	"anabranch/schemas"
	"anabranch/stream"
	"anabranch/view"
)

// Data is a pipeline's events at rest in a folder: in segments as they came,
// and in day files without copies.
type Data struct {
	Kind   string // "payments" or "retail"
	Seed   uint64 // of payments
	Events int    // of payments, copies among them
	Cards  int    `json:",omitempty"` // of payments; 0: as many as ever

	// What was made of them.
	Rows, Counted int64
	Days          []archive.DayFile
	Segments      []archive.Segment

	dir string
}

const partitions = 4

// source is what a pipeline is made of.
type source struct {
	name   string
	schema *schemas.Schema
	id     schemas.Identity
	format schemas.Format
	views  []view.Source
	bodies func(each func(io.Reader) error) error
}

// bodyEvents is how many payments one body has.
const bodyEvents = 50_000

// sourceOf returns the pipeline of d; example is the folder of the retail one.
func sourceOf(d *Data, example string) (*source, error) {
	if d.Kind == "retail" {
		return retail(example)
	}
	schema, err := schemas.Parse(1, []byte(paymentsAvro))
	if err != nil {
		return nil, err
	}
	s := &source{name: d.Kind, schema: schema, id: paymentsIdentity, format: schemas.NDJSON, views: []view.Source{volume, profile, live}}
	for i := range shapes {
		if !slices.ContainsFunc(s.views, func(v view.Source) bool { return v.Name == shapes[i].view.Name }) {
			s.views = append(s.views, shapes[i].view)
		}
	}
	s.bodies = func(each func(io.Reader) error) error {
		p := NewPayments(d.Seed, d.Events, d.Cards)
		var body []byte
		for i := 0; i < d.Events; {
			body = body[:0]
			for end := min(i+bodyEvents, d.Events); i < end; i++ {
				body = p.AppendJSON(body, i)
			}
			if err := each(bytes.NewReader(body)); err != nil {
				return err
			}
		}
		return nil
	}
	return s, nil
}

// retail is the pipeline of examples/retail with its real data.
func retail(folder string) (*source, error) {
	def, err := schemas.ReadDefinition(os.DirFS(folder))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", folder, err)
	}
	s := &source{name: "retail", schema: def.Schema, id: def.Identity, format: def.Format}
	for _, v := range def.Views {
		s.views = append(s.views, view.Source{Name: v.Name, SQL: v.SQL, File: v.File})
	}
	s.bodies = func(each func(io.Reader) error) error {
		files, err := filepath.Glob(filepath.Join(folder, "data", "*.csv.gz"))
		if err != nil {
			return fault.Wrap(fault.Invalid, err)
		}
		for _, name := range files {
			packed, err := os.ReadFile(name)
			if err != nil {
				return fault.Wrap(fault.Invalid, err)
			}
			r, err := gzip.NewReader(bytes.NewReader(packed))
			if err != nil {
				return fault.Wrap(fault.Corrupt, err)
			}
			if err := each(r); err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
		}
		return nil
	}
	return s, nil
}

// compile compiles the views called names (nil: all).
func (s *source) compile(ctx context.Context, names ...string) ([]*view.View, error) {
	c, err := view.NewCompiler(ctx)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	var out []*view.View
	for _, src := range s.views {
		if names != nil && !slices.Contains(names, src.Name) {
			continue
		}
		v, err := c.View(ctx, src, s.schema.Shape(), s.id.Time)
		if err != nil {
			return nil, err
		}
		out = append(out, v)
	}
	return out, nil
}

// open opens the archive of d; with cache, reads go through verified copies.
func (d *Data) open(s *source, cache string) (*archive.Archive, bucket.Bucket, error) {
	b, err := bucket.NewFile(filepath.Join(d.dir, "bucket"))
	if err != nil {
		return nil, nil, err
	}
	return archive.Open(b, s.name, schemas.NewSet(s.schema), archive.Options{Partitions: partitions, CacheDir: cache}), b, nil
}

// path returns the file of an object.
func (d *Data) path(object string) string {
	return filepath.Join(d.dir, "bucket", filepath.FromSlash(object))
}

// Prepare returns the data in dir, making them when they are not there.
func Prepare(ctx context.Context, dir string, d Data, example string, say func(string, ...any)) (*Data, error) {
	name := d.Kind
	if d.Kind == "payments" {
		name = fmt.Sprintf("payments-%d-%d", d.Events, d.Seed)
		if d.Cards == cardCount {
			d.Cards = 0
		}
		if d.Cards != 0 {
			name += fmt.Sprintf("-%d", d.Cards)
		}
	}
	d.dir = filepath.Join(dir, name)
	note := filepath.Join(d.dir, "data.json")
	if text, err := os.ReadFile(note); err == nil {
		if err := json.Unmarshal(text, &d); err != nil {
			return nil, fault.New(fault.Corrupt, "read %s: %w: remove it", note, err)
		}
		return &d, nil
	}
	began := time.Now()
	if err := d.make(ctx, example); err != nil {
		return nil, fmt.Errorf("make %s: %w", name, err)
	}
	text, err := json.MarshalIndent(d, "", " ")
	if err != nil {
		return nil, fault.Wrap(fault.Bug, err)
	}
	say("made %s: %d events, %d of them count, %.0f s", name, d.Rows, d.Counted, time.Since(began).Seconds())
	return &d, os.WriteFile(note, text, 0o644)
}

// make sends the events through decoder, frames, sealer and a nightly batch.
func (d *Data) make(ctx context.Context, example string) error {
	if err := os.RemoveAll(d.dir); err != nil {
		return fault.Wrap(fault.Transient, err)
	}
	if err := os.MkdirAll(filepath.Join(d.dir, "bucket"), 0o755); err != nil {
		return fault.Wrap(fault.Transient, err)
	}
	s, err := sourceOf(d, example)
	if err != nil {
		return err
	}
	a, b, err := d.open(s, "")
	if err != nil {
		return err
	}
	log, err := stream.NewMemory().Open(ctx, s.name, partitions)
	if err != nil {
		return err
	}
	sealer := archive.NewSealer(a, log, archive.SealerOptions{})
	if err := sealer.Start(ctx); err != nil {
		return err
	}
	defer sealer.Stop()
	f := newFrames(s, log)
	if err := s.bodies(func(r io.Reader) error {
		for p, below := range sealer.Sealed() {
			if err := log.Trim(ctx, p, below); err != nil {
				return err
			}
		}
		return f.body(ctx, r)
	}); err != nil {
		return err
	}
	runner, err := s.runner(a, b, log)
	if err != nil {
		return err
	}
	if _, err := batch.Run(ctx, runner, batch.Request{Kind: batch.Nightly, RunID: "prepare"}); err != nil {
		return err
	}
	m, err := a.Newest(ctx)
	if err != nil {
		return err
	}
	d.Rows, d.Counted, d.Days = m.Rows, m.Counted, m.Days
	for p, below := range m.Cut {
		segments, err := a.Segments(ctx, p, 0)
		if err != nil {
			return err
		}
		for _, seg := range segments {
			if seg.To <= below && seg.Rows > 0 {
				d.Segments = append(d.Segments, seg)
			}
		}
	}
	return nil
}

// runner returns a runner without views: the batch only compacts.
func (s *source) runner(a *archive.Archive, b bucket.Bucket, log stream.Log, views ...*view.View) (*batch.Runner, error) {
	return batch.New(batch.Options{
		Pipeline: s.name, Definition: "bench", Schemas: schemas.NewSet(s.schema), Views: views, Log: log, Archive: a,
		Letters: deadletter.New(b, s.name), TimeField: s.id.Time, Parallel: 2, Logger: slog.New(slog.DiscardHandler),
	})
}

// frames decodes bodies and appends their events to a log.
type frames struct {
	log     stream.Log
	decoder *schemas.Decoder
	schema  *schemas.Schema
	parts   [partitions]*schemas.FrameBuilder
	rows    [partitions][]uint32
	name    string
	frame   []byte
}

func newFrames(s *source, log stream.Log) *frames {
	f := &frames{log: log, schema: s.schema, name: s.name}
	var err error
	if f.decoder, err = s.schema.NewDecoder(s.format, s.id); err != nil {
		panic(err) // the definition was read before
	}
	for p := range f.parts {
		f.parts[p] = s.schema.NewFrameBuilder()
	}
	return f
}

// body appends the events of one body, a frame of each partition for as many
// rows as the decoder hands out at once.
func (f *frames) body(ctx context.Context, r io.Reader) error {
	f.decoder.Reset(r)
	for {
		rows, err := f.decoder.Next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		if len(rows.Bad) > 0 {
			return fault.New(fault.Invalid, "an event cannot be read: %v", rows.Bad[0])
		}
		for p := range f.rows {
			f.rows[p] = f.rows[p][:0]
		}
		for i, key := range rows.Keys {
			f.rows[key%partitions] = append(f.rows[key%partitions], uint32(i))
		}
		for p, of := range f.rows {
			if len(of) == 0 {
				continue
			}
			if err := f.append(ctx, p, rows.Batch, of); err != nil {
				return err
			}
		}
		f.decoder.GiveBack()
	}
}

func (f *frames) append(ctx context.Context, p int, b *event.Batch, rows []uint32) error {
	f.parts[p].Append(b, rows)
	body, err := f.parts[p].Finish()
	if err != nil {
		return err
	}
	header := event.Header{Kind: event.Rows, Pipeline: f.name, Schema: f.schema.Version(), Rows: uint32(len(rows)), Producer: "bench", Ingested: 1}
	if f.frame, err = event.AppendFrame(f.frame[:0], header, body); err != nil {
		return err
	}
	_, err = f.log.Append(ctx, p, f.frame)
	return err
}
