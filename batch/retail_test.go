//go:build !race

// The race detector makes this a matter of minutes, and the other tests run
// the same code side by side.

package batch_test

import (
	"compress/gzip"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"anabranch/archive"
	"anabranch/batch"
	"anabranch/bucket"
	"anabranch/deadletter"
	"anabranch/event"
	"anabranch/schemas"
	"anabranch/stream"
	"anabranch/view"
)

// retail is the example pipeline, taken through log, segments and batch.
type retail struct {
	def    *schemas.Definition
	views  []*view.View
	reject []*view.Predicate
	log    stream.Log
	runner *batch.Runner
	arch   *archive.Archive
}

func openRetail(t *testing.T) *retail {
	t.Helper()
	def, err := schemas.ReadDefinition(os.DirFS(filepath.Join("..", "examples", "retail")))
	if err != nil {
		t.Fatal(err)
	}
	r := &retail{def: def}
	for _, v := range def.Views {
		compiled, err := view.Compile(t.Context(), view.Source{Name: v.Name, SQL: v.SQL, File: v.File}, def.Schema.Shape(), def.Identity.Time)
		if err != nil {
			t.Fatal(err)
		}
		r.views = append(r.views, compiled)
	}
	for _, rule := range def.Rules {
		p, err := view.CompilePredicate(t.Context(), view.Source{Name: rule.Code, SQL: rule.SQL}, def.Schema.Shape())
		if err != nil {
			t.Fatal(err)
		}
		r.reject = append(r.reject, p)
	}
	if r.log, err = stream.NewMemory().Open(t.Context(), def.Name, def.Partitions); err != nil {
		t.Fatal(err)
	}
	b, set := bucket.NewMemory(), schemas.NewSet(def.Schema)
	r.arch = archive.Open(b, def.Name, set, archive.Options{Partitions: def.Partitions})
	r.runner, err = batch.New(batch.Options{
		Pipeline: def.Name, Schemas: set, Views: r.views, Log: r.log, Archive: r.arch, Letters: deadletter.New(b, def.Name), TimeField: def.Identity.Time,
		ChunkRows: 50_000, FoldRows: 30_000, MaxGroups: 3_000,
	})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// send appends one file of the example, without what the quality rules refuse.
func (r *retail) send(t *testing.T, d *schemas.Decoder, path string) {
	t.Helper()
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	lines, err := gzip.NewReader(file)
	if err != nil {
		t.Fatal(err)
	}
	builders := make([]*schemas.FrameBuilder, r.def.Partitions)
	for p := range builders {
		builders[p] = r.def.Schema.NewFrameBuilder()
	}
	for d.Reset(lines); ; {
		rows, err := d.Next()
		if err == io.EOF {
			break
		}
		if err != nil || len(rows.Bad) > 0 {
			t.Fatalf("%s: %v, %v", path, err, rows.Bad)
		}
		refused := make([]bool, rows.Batch.N)
		for _, p := range r.reject {
			match := make([]bool, rows.Batch.N)
			if err := p.Eval(rows.Batch, match); err != nil {
				t.Fatal(err)
			}
			for i, m := range match {
				refused[i] = refused[i] || m
			}
		}
		by := make([][]uint32, r.def.Partitions)
		for i, key := range rows.Keys {
			if p := key % uint64(r.def.Partitions); !refused[i] {
				by[p] = append(by[p], uint32(i))
			}
		}
		for p, chosen := range by {
			if len(chosen) > 0 {
				builders[p].Append(rows.Batch, chosen)
			}
		}
	}
	for p, b := range builders {
		n := b.Len()
		if n == 0 {
			continue
		}
		body, err := b.Finish()
		if err != nil {
			t.Fatal(err)
		}
		h := event.Header{Kind: event.Rows, Pipeline: r.def.Name, Schema: r.def.Schema.Version(), Rows: uint32(n), Producer: "test", Ingested: 1}
		frame, err := event.AppendFrame(nil, h, body)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := r.log.Append(t.Context(), p, frame); err != nil {
			t.Fatal(err)
		}
	}
}

// rows reads the results of a view as the files of truth write them, sorted.
func (r *retail) rows(t *testing.T, m *archive.Manifest, v *view.View) []string {
	t.Helper()
	out := []string{}
	for _, f := range m.Views[v.Name()].Results {
		err := r.arch.ReadResult(t.Context(), f, v.Output().Names(), func(b *event.Batch) error {
			for i := range b.N {
				cells := make([]string, len(b.Columns))
				for c := range b.Columns {
					cells[c] = truthText(&b.Columns[c], i)
				}
				out = append(out, strings.Join(cells, "|"))
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	slices.Sort(out)
	return out
}

func truthText(c *event.Column, i int) string {
	switch {
	case !c.Valid.Get(i):
		return ""
	case c.Type.Storage() == event.InCodes:
		return string(c.Bytes(i))
	case c.Type.Kind == event.Date:
		return time.Unix(c.Ints[i]*24*60*60, 0).UTC().Format(time.DateOnly)
	case c.Type.Kind == event.Timestamp:
		return time.UnixMicro(c.Ints[i]).UTC().Format(time.DateTime)
	}
	return fmt.Sprint(c.Ints[i])
}

// readTruth reads truth/<name>_dedup.csv, plain or compressed.
func readTruth(t *testing.T, name string) (header []string, rows []string) {
	t.Helper()
	path := filepath.Join("..", "examples", "retail", "truth", name+"_dedup.csv")
	file, err := os.Open(path)
	var from io.Reader = file
	if errors.Is(err, os.ErrNotExist) {
		if file, err = os.Open(path + ".gz"); err == nil {
			from, err = gzip.NewReader(file)
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	all, err := csv.NewReader(from).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range all[1:] {
		rows = append(rows, strings.Join(row, "|"))
	}
	slices.Sort(rows)
	return all[0], rows
}

// The real shop in three nights, the second of which brings a late copy of
// days that the first had: what is published in the end is what an
// independent program computed from the same files.
func TestRetailIsTheTruth(t *testing.T) {
	t.Parallel()
	r := openRetail(t)
	files, err := filepath.Glob(filepath.Join("..", "examples", "retail", "data", "*.csv.gz"))
	if err != nil || len(files) != 219 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	d, err := r.def.Schema.NewDecoder(schemas.CSV, r.def.Identity)
	if err != nil {
		t.Fatal(err)
	}
	s := archive.NewSealer(r.arch, r.log, archive.SealerOptions{MaxRows: 20_000})
	if err := s.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	defer s.Stop()
	for night, part := range [][]string{files[:90], slices.Concat(files[20:25], files[90:180]), files[180:]} {
		for _, path := range part {
			r.send(t, d, path)
		}
		if _, err := batch.Run(t.Context(), r.runner, batch.Request{Kind: batch.Nightly, RunID: fmt.Sprint("night-", night)}); err != nil {
			t.Fatal(err)
		}
	}
	m, err := r.arch.Newest(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if m.Version != 3 || m.Counted != 316_427 || m.Conflicts != 0 || m.Rows != m.Counted+m.Duplicates || m.Duplicates < 2_478 {
		t.Errorf("manifest %d counts %d of %d rows, %d duplicates, %d conflicts", m.Version, m.Counted, m.Rows, m.Duplicates, m.Conflicts)
	}
	for _, v := range r.views {
		header, want := readTruth(t, v.Name())
		if !slices.Equal(v.Output().Names(), header) {
			t.Errorf("view %s has the columns %q, the truth %q", v.Name(), v.Output().Names(), header)
		}
		if got := r.rows(t, m, v); !slices.Equal(got, want) {
			t.Errorf("view %s: %d rows, want %d", v.Name(), len(got), len(want))
			for i := range min(len(got), len(want)) {
				if got[i] != want[i] {
					t.Errorf("row %d is %s, want %s", i, got[i], want[i])
					break
				}
			}
		}
	}
}
