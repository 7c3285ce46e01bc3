//go:build unix

package faultdisk

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"anabranch/internal/disk"
)

// tree is everything below a folder, as text.
func tree(t *testing.T, d disk.Files, root, path string) string {
	t.Helper()
	var b strings.Builder
	entries, err := d.ReadDir(filepath.Join(root, path))
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		name := filepath.Join(path, e.Name())
		if e.IsDir() {
			fmt.Fprintf(&b, "%s/\n%s", name, tree(t, d, root, name))
			continue
		}
		data, err := disk.ReadFile(d, filepath.Join(root, name))
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&b, "%s %x\n", name, data)
	}
	return b.String()
}

// Without faults it is a file system like the machine's: the same random calls
// have the same answers on both.
func TestLikeTheRealOne(t *testing.T) {
	t.Parallel()
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rnd := rand.New(rand.NewPCG(seed, 1))
	real, root := disk.Real{}, t.TempDir()
	d := New(seed)
	if err := disk.MkdirAll(d, root); err != nil {
		t.Fatal(err)
	}
	names := []string{"a", "b", "a/a", "a/b", "b/a", "b/a/c", "a/b/c", "nothing/x"}
	pick := func() string { return filepath.Join(root, names[rnd.IntN(len(names))]) }
	kind := func(err error) string {
		for _, e := range []error{fs.ErrExist, fs.ErrNotExist, syscall.ENOTDIR, syscall.EISDIR, syscall.ENOTEMPTY} {
			if errors.Is(err, e) {
				if e == syscall.ENOTEMPTY {
					e = fs.ErrExist
				}
				return e.Error()
			}
		}
		return fmt.Sprint(err != nil)
	}
	edit := func(f disk.File, err error, at int64, data []byte) error {
		if err != nil {
			return err
		}
		_, err = f.WriteAt(data, at)
		return errors.Join(err, f.Sync(), f.Close())
	}
	for i := range 1500 {
		from, to := pick(), pick()
		at, data := int64(rnd.IntN(2000)), make([]byte, rnd.IntN(1500))
		for i := range data {
			data[i] = byte(rnd.Uint32())
		}
		ops := []struct {
			name string
			do   func(disk.Files) error
		}{
			{"create", func(d disk.Files) error { f, err := d.Create(to); return edit(f, err, 0, data) }},
			{"edit", func(d disk.Files) error { f, err := d.Edit(to); return edit(f, err, at, data) }},
			{"link", func(d disk.Files) error { return d.Link(from, to) }},
			{"rename", func(d disk.Files) error { return d.Rename(from, to) }},
			{"remove", func(d disk.Files) error { return d.Remove(to) }},
			{"rmdir", func(d disk.Files) error { return d.RemoveDir(to) }},
			{"mkdir", func(d disk.Files) error { return d.Mkdir(to) }},
			{"sync", func(d disk.Files) error { return d.SyncDir(to) }},
			{"write", func(d disk.Files) error { return disk.WriteFile(d, to, to+".new", data) }},
			{"mkdir all", func(d disk.Files) error { return disk.MkdirAll(d, to) }},
			{"remove all", func(d disk.Files) error { return disk.RemoveAll(d, to) }},
		}
		op := ops[rnd.IntN(len(ops))]
		if op.name == "rename" || op.name == "link" {
			if st, err := os.Stat(from); err == nil && st.IsDir() {
				continue // folders are not moved
			}
		}
		if want, got := kind(op.do(real)), kind(op.do(d)); want != got {
			t.Fatalf("step %d: %s %s %s: %s, the real one %s", i, op.name, from, to, got, want)
		}
		if i%100 == 0 {
			if want, got := tree(t, real, root, ""), tree(t, d, root, ""); want != got {
				t.Fatalf("step %d: \n%s\nthe real one\n%s", i, got, want)
			}
		}
	}
	// What was synced is what there is after a power cut; a kill takes nothing.
	before := tree(t, d, root, "")
	d = d.Kill()
	if after := tree(t, d, root, ""); before != after {
		t.Fatalf("killed: \n%s\nbefore\n%s", after, before)
	}
	settle(t, d, "/")
	d, losses := d.Cut()
	if after := tree(t, d, root, ""); before != after || len(losses) > 0 {
		t.Fatalf("all synced, and lost %v: \n%s\nbefore\n%s", losses, after, before)
	}
}

func settle(t *testing.T, d *Disk, dir string) {
	entries, err := d.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if e.IsDir() {
			settle(t, d, filepath.Join(dir, e.Name()))
		}
	}
	if err := d.SyncDir(dir); err != nil {
		t.Fatal(err)
	}
}

// What was not synced is lost in every way that there is, sooner or later.
func TestCutLosesInEveryWay(t *testing.T) {
	t.Parallel()
	old, young := bytes.Repeat([]byte("o"), 3000), bytes.Repeat([]byte("y"), 20_000)
	seen := map[string]int{}
	for seed := range uint64(300) {
		d := New(seed)
		for _, name := range []string{"/kept", "/gone"} {
			if err := disk.WriteFile(d, name, name+".new", old); err != nil {
				t.Fatal(err)
			}
		}
		must := func(err error) {
			t.Helper()
			if err != nil {
				t.Fatal(err)
			}
		}
		f, err := d.Edit("/kept")
		must(err)
		_, err = f.Write(young)
		must(err)
		must(f.SetMark("young"))
		must(d.Remove("/gone"))
		must(d.Mkdir("/folder"))
		must(d.Rename("/kept", "/folder/moved"))
		d, losses := d.Cut()
		for _, l := range losses {
			seen[l.What]++
		}
		for _, name := range []string{"/kept", "/gone", "/folder", "/folder/moved"} {
			h, err := d.Open(name)
			if err != nil {
				continue
			}
			seen[name]++
			mark, _ := h.Mark()
			data, _ := io.ReadAll(h)
			switch {
			case name == "/gone" && !bytes.Equal(data, old):
				t.Fatalf("seed %d: a synced file is %q", seed, data)
			case mark == "young" && !bytes.Equal(data, young):
				seen["a mark before its bytes"]++
			case bytes.Equal(data, young):
				seen["whole"]++
			case bytes.Contains(data, []byte{0}):
				seen["zeros"]++
			case bytes.Contains(data, []byte("yo")) && len(data)%block != 0:
				seen["torn within a block"]++
			}
		}
		if _, err := d.Open("/kept"); err != nil {
			if _, err := d.Open("/folder/moved"); err != nil {
				seen["neither name"]++
			}
		}
	}
	for _, what := range []string{
		Torn, Absent, Nameless, Undone, Back, "/kept", "/gone", "/folder", "/folder/moved",
		"a mark before its bytes", "whole", "zeros", "torn within a block", "neither name",
	} {
		if seen[what] == 0 {
			t.Errorf("never: %s (%v)", what, seen)
		}
	}
}

// After a failed sync the next one succeeds and writes nothing: the trap that
// disk.Strict is there for.
func TestFailedSyncIsForgotten(t *testing.T) {
	t.Parallel()
	lost, strict := 0, 0
	for seed := range uint64(100) {
		d := New(seed)
		f, err := d.Create("/f")
		if err != nil {
			t.Fatal(err)
		}
		f.Write(bytes.Repeat([]byte("x"), 2000))
		d.Set(Nth(0, EIO, Sync))
		if err := f.Sync(); !errors.Is(err, syscall.EIO) {
			t.Fatal(err)
		}
		if err := errors.Join(f.Sync(), d.SyncDir("/")); err != nil {
			t.Fatal(err)
		}
		data, err := disk.ReadFile(d, "/f")
		if err != nil || len(data) != 2000 {
			t.Fatalf("before the cut: %d bytes, %v", len(data), err)
		}
		d, _ = d.Cut()
		if data, err = disk.ReadFile(d, "/f"); err != nil {
			t.Fatal(err)
		}
		if len(data) != 2000 || bytes.Contains(data, []byte{0}) {
			lost++
		}

		s := disk.Strict(d)
		if err := s.Mkdir("/folder"); err != nil {
			t.Fatal(err)
		}
		d.Set(Nth(0, EIO, SyncDir))
		if err := s.SyncDir("/"); !errors.Is(err, syscall.EIO) {
			t.Fatal(err)
		}
		if err := s.SyncDir("/"); !errors.Is(err, syscall.EIO) {
			t.Fatalf("strict, again: %v", err)
		}
		d, _ = d.Cut()
		if _, err := d.Open("/folder"); err != nil {
			strict++
		}
	}
	if lost == 0 || strict == 0 {
		t.Errorf("nothing was lost: %d files, %d folders", lost, strict)
	}
}

// A file that WriteFile replaces is, whenever the power goes, what it was or
// what it became; and once WriteFile has returned it is what it became.
func TestWriteFileIsWholeOrNotThere(t *testing.T) {
	t.Parallel()
	before, after := bytes.Repeat([]byte("b"), 3000), bytes.Repeat([]byte("a"), 5000)
	for seed := range uint64(300) {
		d := New(seed)
		if err := disk.WriteFile(d, "/f", "/beside", before); err != nil {
			t.Fatal(err)
		}
		d.Set(nil)
		d.PowerOff(int(seed % 8)) // it takes fewer calls
		acknowledged := disk.WriteFile(d, "/f", "/beside", after) == nil
		d, lost := d.Cut()
		got, err := disk.ReadFile(d, "/f")
		if err != nil || !bytes.Equal(got, after) && (acknowledged || !bytes.Equal(got, before)) {
			t.Fatalf("seed %d, acknowledged %v: %d bytes, %v; lost %v", seed, acknowledged, len(got), err, lost)
		}
	}
}

// The disk dies at its nth call: what came before is done, what comes after is
// not, and whoever waits for a lock gets an answer.
func TestPowerOff(t *testing.T) {
	t.Parallel()
	d := New(1)
	lock, err := d.Lock("/lock", disk.Alone)
	if err != nil {
		t.Fatal(err)
	}
	waited := make(chan error)
	go func() {
		_, err := d.Lock("/lock", disk.Shared)
		waited <- err
	}()
	if _, err := d.Lock("/lock", disk.AloneNow); !errors.Is(err, disk.ErrLocked) {
		t.Fatal(err)
	}
	d.PowerOff(1)
	if err := d.Mkdir("/one"); err != nil {
		t.Fatal(err)
	}
	if err := d.Mkdir("/two"); !errors.Is(err, syscall.EIO) {
		t.Fatal(err)
	}
	<-d.Off()
	if err := <-waited; !errors.Is(err, syscall.EIO) {
		t.Fatal(err)
	}
	if err := d.Mkdir("/three"); !errors.Is(err, syscall.EIO) {
		t.Fatal(err)
	}
	if err := lock.Close(); err != nil {
		t.Fatal(err)
	}
	d, _ = d.Cut()
	if l, err := d.Lock("/lock", disk.AloneNow); err != nil {
		t.Fatal(err)
	} else if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := d.Open("/three"); !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
}
