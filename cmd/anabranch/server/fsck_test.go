package server

import (
	"os"
	"path/filepath"
	"testing"

	"anabranch/bucket"
	"anabranch/internal/clock"
)

func TestFsckFindsAndRepairs(t *testing.T) {
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
	s.send(rnd, 12, 200)
	s.nightly("n1")
	s.send(rnd, 5, 300)
	s.nightly("n2")
	s.settle()
	truth, err := s.everything()
	stop()
	if err != nil {
		t.Fatal(err)
	}
	if c, err := Fsck(t.Context(), FsckOptions{Dir: dir}); err != nil || len(c.Findings) != 0 {
		t.Fatalf("before any damage: %+v, %v", c, err)
	}
	for _, pattern := range []string{"bucket/small/segments/p0000/*.parquet", "bucket/small/views/items/*/results/*.parquet", "speed/small/p0000/*.snap"} {
		names, err := filepath.Glob(filepath.Join(dir, pattern))
		if err != nil || len(names) == 0 {
			t.Fatal(pattern, err)
		}
		name := names[0]
		if len(names) > 1 && filepath.Ext(name) == ".parquet" && pattern[13] == 'v' {
			for _, other := range names { // the first night's are orphans
				spoilFile(t, rnd, other)
			}
			continue
		}
		if err := os.Truncate(name, 100); err != nil {
			t.Fatal(err)
		}
	}
	c, err := Fsck(t.Context(), FsckOptions{Dir: dir})
	if err != nil || len(c.Findings) < 3 {
		t.Fatalf("after damage: %+v, %v", c, err)
	}
	if c, err = Fsck(t.Context(), FsckOptions{Dir: dir, Repair: true}); err != nil {
		t.Fatal(err)
	}
	for _, f := range c.Findings {
		if !f.Repaired {
			t.Errorf("not repaired: %+v", f)
		}
	}
	if c, err := Fsck(t.Context(), FsckOptions{Dir: dir}); err != nil || len(c.Findings) != 0 {
		t.Errorf("after the repair: %+v, %v", c, err)
	}
	s, stop, err = onDisk(t, dir)
	if err != nil {
		t.Fatal(err)
	}
	defer stop()
	if got, err := s.everything(); err != nil || got != truth {
		t.Errorf("after the repair: %v\n%s\nwant\n%s", err, got, truth)
	}
}
