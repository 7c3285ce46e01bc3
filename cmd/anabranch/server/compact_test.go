package server

import (
	"os"
	"path/filepath"
	"testing"

	"anabranch/batch"
	"anabranch/bucket"
	"anabranch/internal/clock"
)

// TestFsckRepairsWhatWasPutTogether: the day files of a compaction are lost,
// those that they were made of were collected.
func TestFsckRepairsWhatWasPutTogether(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	b, err := bucket.NewFile(filepath.Join(dir, "bucket"))
	if err != nil {
		t.Fatal(err)
	}
	if err := (&catalog{bucket: b, clock: clock.Wall}).put(t.Context(), smallEntry()); err != nil {
		t.Fatal(err)
	}
	s, stop, err := onDisk(t, dir)
	if err != nil {
		t.Fatal(err)
	}
	rnd := seeded(t, 0)
	for _, night := range []string{"n1", "n2", "n3"} {
		s.send(rnd, 8, 300)
		s.nightly(night)
	}
	before, err := s.pipeline.archive.Newest(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	p, err := batch.Run(t.Context(), s.pipeline.runner, batch.Request{Kind: batch.Compaction, RunID: "compact"})
	if err != nil || p.Version != before.Version+1 {
		t.Fatalf("%+v %v", p, err)
	}
	s.send(rnd, 3, 300)
	s.settle()
	m, err := s.pipeline.archive.Newest(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	truth, err := s.everything()
	stop()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range before.Days {
		if err := os.Remove(filepath.Join(dir, "bucket", f.Name)); err != nil {
			t.Fatal(err)
		}
	}
	for _, f := range m.Days {
		if len(f.Packed) != 3 {
			t.Errorf("%s was put together of %+v", f.Name, f.Packed)
		}
		if err := os.Truncate(filepath.Join(dir, "bucket", f.Name), 100); err != nil {
			t.Fatal(err)
		}
	}
	c, err := Fsck(t.Context(), FsckOptions{Dir: dir, Repair: true})
	if err != nil || len(c.Findings) < len(m.Days) {
		t.Fatalf("%+v, %v", c, err)
	}
	for _, f := range c.Findings {
		if !f.Repaired {
			t.Errorf("not repaired: %+v", f)
		}
	}
	if c, err := Fsck(t.Context(), FsckOptions{Dir: dir}); err != nil || len(c.Findings) != 0 {
		// the parts that were made on the way are garbage
		for _, f := range c.Findings {
			if f.Kind != "orphan" {
				t.Errorf("after the repair: %+v, %v", f, err)
			}
		}
	}
	if s, stop, err = onDisk(t, dir); err != nil {
		t.Fatal(err)
	}
	defer stop()
	if got, err := s.everything(); err != nil || got != truth {
		t.Errorf("after the repair: %v\n%s\nwant\n%s", err, got, truth)
	}
	s.send(rnd, 3, 300)
	s.nightly("n4")
	s.settle()
}
