package server

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"anabranch/cmd/anabranch/api"
)

func kindsOf(c api.Check) map[string]int {
	n := map[string]int{}
	for _, f := range c.Findings {
		n[f.Kind]++
	}
	return n
}

// TestFsckMendsAllAtOnce damages a file of every kind that can be made again,
// all in one folder.
func TestFsckMendsAllAtOnce(t *testing.T) {
	t.Parallel()
	d := newDamaged(t, uint64(time.Now().UnixNano()))
	for _, kind := range []string{"days", "manifests", "runs", "segments", "snapshot", "states", "results"} {
		name := filepath.Join(d.base, d.files[kind][d.rnd.IntN(len(d.files[kind]))])
		if err := os.Truncate(name, 30); err != nil {
			t.Fatal(err)
		}
	}
	seen, err := Fsck(t.Context(), FsckOptions{Dir: d.base})
	if err != nil {
		t.Fatal(err)
	}
	if n := kindsOf(seen); n["manifest"] != 1 || n["segment"] != 1 || n["snapshot"] != 1 {
		t.Fatalf("%v: %+v", n, seen)
	}
	for _, f := range seen.Findings {
		if f.Meaning == "" || f.Todo == "" || f.Repaired {
			t.Errorf("%+v", f)
		}
	}
	// What only the newest manifest mentions is seen once there is one again.
	for round := 0; ; round++ {
		c, err := Fsck(t.Context(), FsckOptions{Dir: d.base, Repair: true})
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range c.Findings {
			if !f.Repaired && f.Kind != "orphan" {
				t.Errorf("round %d: %+v", round, f)
			}
		}
		if !slices.ContainsFunc(c.Findings, func(f api.Finding) bool { return f.Kind != "orphan" }) {
			break
		}
		if round > 2 {
			t.Fatalf("still not clean: %+v", c)
		}
	}
	if got, err := d.ask(d.base); err != nil || got != d.truth {
		t.Errorf("after the repair: %v\n%s\nwant\n%s", err, got, d.truth)
	}
	d.after("all at once", d.base)
}

// TestFsckBesideADamagedDefinition: what needs no definition is looked at all
// the same, and nothing is made from a guess.
func TestFsckBesideADamagedDefinition(t *testing.T) {
	t.Parallel()
	d := newDamaged(t, uint64(time.Now().UnixNano()))
	for _, kind := range []string{"definitions", "results", "letters", "segments"} {
		if err := os.Truncate(filepath.Join(d.base, d.files[kind][0]), 20); err != nil {
			t.Fatal(err)
		}
	}
	c, err := Fsck(t.Context(), FsckOptions{Dir: d.base, Repair: true})
	if err != nil {
		t.Fatal(err)
	}
	for _, kind := range []string{"definition", "letters", "segment", "result"} {
		if kindsOf(c)[kind] != 1 {
			t.Errorf("%s: %+v", kind, c)
		}
	}
	for _, f := range c.Findings {
		if f.Repaired {
			t.Errorf("repaired without the definition: %+v", f)
		}
	}
	if len(c.Findings) != 4 {
		t.Errorf("%+v", c)
	}
}

// TestFsckNamesWhatIsLost damages a record of the log that is not archived
// yet: it is named, and nothing passes over it.
func TestFsckNamesWhatIsLost(t *testing.T) {
	t.Parallel()
	d := newDamaged(t, uint64(time.Now().UnixNano()))
	name := ""
	for _, rel := range d.files["log"] {
		if strings.HasSuffix(rel, ".blk") {
			name = filepath.Join(d.base, rel)
		}
	}
	info, err := os.Stat(name)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(name, info.Size()-10); err != nil {
		t.Fatal(err)
	}
	for _, repair := range []bool{false, true} {
		c, err := Fsck(t.Context(), FsckOptions{Dir: d.base, Repair: repair})
		if err != nil || len(c.Findings) != 1 {
			t.Fatalf("%+v, %v", c, err)
		}
		f := c.Findings[0]
		if f.Kind != "log" || f.File != name || f.Repaired || !strings.Contains(f.Problem, "byte ") || !strings.Contains(f.Meaning, "in no other copy") {
			t.Errorf("%+v", f)
		}
	}
	// The store may lie elsewhere than the log.
	c, err := Fsck(t.Context(), FsckOptions{Dir: d.base, Bucket: "file://" + filepath.ToSlash(filepath.Join(d.base, "bucket"))})
	if err != nil || kindsOf(c)["log"] != 1 {
		t.Errorf("with bucket and folder: %+v, %v", c, err)
	}
	if c, err = Fsck(t.Context(), FsckOptions{Bucket: "file://" + filepath.ToSlash(filepath.Join(d.base, "bucket"))}); err != nil || len(c.Findings) != 0 {
		t.Errorf("the bucket alone: %+v, %v", c, err)
	}
}
