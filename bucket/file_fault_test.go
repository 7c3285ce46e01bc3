//go:build unix

package bucket

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"anabranch/fault"
	"anabranch/internal/disk"
)

// faultyFiles passes every call on, writes it down, and makes one fail.
type faultyFiles struct {
	disk.Real
	mu    sync.Mutex
	root  string
	calls []string
	fail  int // the call that fails, counted from 0; -1 for none
	with  error
	bare  bool // no extended attributes
}

func (f *faultyFiles) call(what string, paths ...string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, p := range paths {
		p = strings.TrimPrefix(strings.TrimPrefix(p, f.root), "/")
		if strings.HasPrefix(p, tempName) {
			p = "TEMP"
		}
		what += " " + p
	}
	f.calls = append(f.calls, what)
	if len(f.calls)-1 == f.fail {
		return &fs.PathError{Op: "injected", Path: what, Err: f.with}
	}
	return nil
}

func (f *faultyFiles) Create(path string) (disk.File, error) {
	if err := f.call("create", path); err != nil {
		return nil, err
	}
	h, err := f.Real.Create(path)
	return &faultyFile{h, f, path}, err
}

func (f *faultyFiles) Open(path string) (disk.File, error) {
	if err := f.call("open", path); err != nil {
		return nil, err
	}
	h, err := f.Real.Open(path)
	if err != nil {
		return nil, err
	}
	return &faultyFile{h, f, path}, nil
}

func (f *faultyFiles) Rename(from, to string) error {
	return errors.Join(f.call("rename", from, to), f.unless(func() error { return f.Real.Rename(from, to) }))
}

func (f *faultyFiles) Link(from, to string) error {
	return errors.Join(f.call("link", from, to), f.unless(func() error { return f.Real.Link(from, to) }))
}

func (f *faultyFiles) Remove(path string) error {
	return errors.Join(f.call("remove", path), f.unless(func() error { return f.Real.Remove(path) }))
}

func (f *faultyFiles) Mkdir(path string) error {
	return errors.Join(f.call("mkdir", path), f.unless(func() error { return f.Real.Mkdir(path) }))
}

func (f *faultyFiles) SyncDir(path string) error {
	return errors.Join(f.call("sync", path), f.unless(func() error { return f.Real.SyncDir(path) }))
}

// unless does fn when the call just written down is not the failing one.
func (f *faultyFiles) unless(fn func() error) error {
	f.mu.Lock()
	failed := len(f.calls)-1 == f.fail
	f.mu.Unlock()
	if failed {
		return nil
	}
	return fn()
}

type faultyFile struct {
	disk.File
	fs   *faultyFiles
	path string
}

func (f *faultyFile) Write(p []byte) (int, error) {
	if err := f.fs.call("write", f.path); err != nil {
		n, _ := f.File.Write(p[:len(p)/2]) // a full disk takes a part
		return n, err
	}
	return f.File.Write(p)
}

func (f *faultyFile) Sync() error {
	if err := f.fs.call("sync", f.path); err != nil {
		return err
	}
	return f.File.Sync()
}

func (f *faultyFile) SetMark(mark string) error {
	if f.fs.bare {
		return disk.ErrNoMarks
	}
	if err := f.fs.call("mark", f.path); err != nil {
		return err
	}
	return f.File.SetMark(mark)
}

func openFaulty(t *testing.T, files *faultyFiles) *File {
	t.Helper()
	if files.root == "" {
		files.root = t.TempDir()
	}
	f, err := NewFileOn(files, files.root)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

func content(t *testing.T, b Bucket, name string) string {
	t.Helper()
	body, _, err := b.Get(t.Context(), name)
	if errors.Is(err, ErrNotFound) {
		return "absent"
	}
	if err != nil {
		t.Fatal(err)
	}
	defer body.Close()
	data, err := io.ReadAll(body)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// What survives a power cut is decided by the order of these calls: the bytes
// are synced before they get their name, every folder above is synced after
// it got a new entry.
func TestFileSyncsInOrder(t *testing.T) {
	t.Parallel()
	files := &faultyFiles{fail: -1}
	f := openFaulty(t, files)
	for _, c := range []struct {
		name string
		when Condition
		want []string
	}{
		{"a/b/c", Condition{Absent: true}, []string{
			"create TEMP", "write TEMP", "mark TEMP", "sync TEMP", "mkdir a", "sync ", "mkdir a/b", "sync a",
			"link TEMP a/b/c", "sync a/b", "remove TEMP",
		}},
		{"a/b/c", Condition{Absent: true}, []string{ // the loser
			"create TEMP", "write TEMP", "mark TEMP", "sync TEMP", "link TEMP a/b/c", "sync a/b", "remove TEMP",
		}},
		{"a/d", Condition{}, []string{
			"create TEMP", "write TEMP", "mark TEMP", "sync TEMP", "rename TEMP a/d", "sync a", "remove TEMP",
		}},
	} {
		files.calls = nil
		if _, err := f.Put(t.Context(), c.name, strings.NewReader("x"), c.when); err != nil && !errors.Is(err, ErrCondition) {
			t.Fatal(err)
		}
		if !slices.Equal(files.calls, c.want) {
			t.Errorf("put %s %+v:\n got %q\nwant %q", c.name, c.when, files.calls, c.want)
		}
	}
	files.calls = nil
	if err := f.Delete(t.Context(), "a/b/c"); err != nil || !slices.Equal(files.calls, []string{"remove a/b/c", "sync a/b"}) {
		t.Errorf("delete: %q, %v", files.calls, err)
	}
}

// Fail the nth call, for every n until none fails: the object is the old one
// or the new one, nothing stays in the temp folder, the next attempt succeeds.
func TestFileFailsAtEveryCall(t *testing.T) {
	t.Parallel()
	for _, when := range []string{"create", "replace", "swap"} {
		for _, with := range []error{syscall.ENOSPC, syscall.EACCES, syscall.EIO} {
			done := false
			for n := 0; !done; n++ {
				files := &faultyFiles{fail: -1, with: with}
				f := openFaulty(t, files)
				old, cond := "absent", Condition{Absent: true}
				if when != "create" {
					etag, err := f.Put(t.Context(), "a/b", strings.NewReader("old"), Condition{})
					if err != nil {
						t.Fatal(err)
					}
					if old, cond = "old", (Condition{}); when == "swap" {
						cond.Match = etag
					}
				}
				files.calls, files.fail = nil, n
				_, err := f.Put(t.Context(), "a/b", strings.NewReader("new"), cond)
				done = len(files.calls) <= n
				removing := !done && strings.HasPrefix(files.calls[n], "remove") // left to the next sweep
				files.fail = -1
				got := content(t, f, "a/b")
				switch {
				case err == nil && (!done && !removing || got != "new"):
					t.Errorf("%s, call %d %q fails with %v: no error, object is %q", when, n, files.calls[n], with, got)
				case err != nil && got != old && got != "new":
					t.Errorf("%s, call %d: object is %q", when, n, got)
				case err != nil:
					want := map[error]fault.Kind{syscall.ENOSPC: fault.Full, syscall.EACCES: fault.Denied, syscall.EIO: fault.Transient}[with]
					if !fault.Is(err, want) {
						t.Errorf("%s, call %d %q fails with %v: error is %v (%s)", when, n, files.calls[n], with, err, fault.KindOf(err))
					}
				}
				if left, _ := os.ReadDir(f.temp); len(left) > 0 && !removing {
					t.Errorf("%s, call %d: %d files stay in the temp folder", when, n, len(left))
				}
				if err != nil && got == old {
					// Created, and not shown: the next one is told that it is there.
					if _, err := f.Put(t.Context(), "a/b", strings.NewReader("new"), cond); err != nil && !(cond.Absent && errors.Is(err, ErrCondition)) || content(t, f, "a/b") != "new" {
						t.Errorf("%s, call %d: the next attempt: %v", when, n, err)
					}
				}
			}
		}
	}
}

func TestFileDetectsDamage(t *testing.T) {
	t.Parallel()
	for name, damage := range map[string]func(path string) error{
		"a flipped bit": func(path string) error { return os.WriteFile(path, []byte("hellp"), 0o640) },
		"a lost tail":   func(path string) error { return os.Truncate(path, 3) },
		"a longer file": func(path string) error { return os.WriteFile(path, []byte("hello!"), 0o640) },
	} {
		files := &faultyFiles{fail: -1}
		f := openFaulty(t, files)
		if _, err := f.Put(t.Context(), "x", strings.NewReader("hello"), Condition{}); err != nil {
			t.Fatal(err)
		}
		if err := damage(filepath.Join(files.root, "x")); err != nil {
			t.Fatal(err)
		}
		body, _, err := f.Get(t.Context(), "x")
		if err == nil {
			_, err = io.ReadAll(body)
			body.Close()
		}
		if !fault.Is(err, fault.Corrupt) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A file that has another length than was put is damaged to those too who read
// nothing of it, or read a part whose end goes while they read.
func TestFileDetectsLostBytesWithoutReadingAll(t *testing.T) {
	t.Parallel()
	for _, bare := range []bool{false, true} {
		files := &faultyFiles{fail: -1, bare: bare}
		f := openFaulty(t, files)
		if _, err := f.Put(t.Context(), "x", strings.NewReader("hello"), Condition{}); err != nil {
			t.Fatal(err)
		}
		part, err := f.Range(t.Context(), "x", 1, 4)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.Truncate(filepath.Join(files.root, "x"), 3); err != nil {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(part); !fault.Is(err, fault.Corrupt) {
			t.Errorf("bare %t: a part of 4 bytes: %q, %v", bare, got, err)
		}
		part.Close()
		if st, err := f.Stat(t.Context(), "x"); !bare && !fault.Is(err, fault.Corrupt) {
			t.Errorf("described as %+v, %v", st, err)
		}
	}
}

func TestFileWithoutAttributes(t *testing.T) {
	t.Parallel()
	f := openFaulty(t, &faultyFiles{fail: -1, bare: true})
	etag, err := f.Put(t.Context(), "x", strings.NewReader("one"), Condition{})
	if err != nil {
		t.Fatal(err)
	}
	if st, err := f.Stat(t.Context(), "x"); err != nil || st.ETag != etag {
		t.Errorf("stat: %+v, %v; put said %q", st, err, etag)
	}
	if _, err := f.Put(t.Context(), "x", strings.NewReader("two"), Condition{Match: etag}); err != nil {
		t.Error(err)
	}
	if got := content(t, f, "x"); got != "two" {
		t.Errorf("object is %q", got)
	}
}

func TestFileSweepsTheDeadOnly(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	living, err := NewFile(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer living.Close()
	dead, err := NewFile(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range []*File{living, dead} {
		if err := os.WriteFile(filepath.Join(f.temp, "half"), []byte("half an obj"), 0o640); err != nil {
			t.Fatal(err)
		}
	}
	dead.mine.Close() // what the kernel does to a killed process
	if err := os.Mkdir(filepath.Join(dir, tempName, "older"), 0o750); err != nil {
		t.Fatal(err)
	}
	next, err := NewFile(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer next.Close()
	for path, want := range map[string]bool{living.temp: true, dead.temp: false, dead.temp + ".lock": false, filepath.Join(dir, tempName, "older"): false} {
		if _, err := os.Stat(path); (err == nil) != want {
			t.Errorf("%s is there: %v, want %v", filepath.Base(path), err == nil, want)
		}
	}
	if _, err := living.Put(t.Context(), "x", strings.NewReader("x"), Condition{}); err != nil {
		t.Errorf("put by the living: %v", err)
	}
}

func TestFileNamesThatAreFolders(t *testing.T) {
	t.Parallel()
	f := openFaulty(t, &faultyFiles{fail: -1})
	for _, name := range []string{"a/b"} {
		if _, err := f.Put(t.Context(), name, strings.NewReader("x"), Condition{}); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"a", "a/b/c", "a/" + strings.Repeat("x", 256)} {
		for _, when := range []Condition{{}, {Absent: true}} {
			if _, err := f.Put(t.Context(), name, strings.NewReader("x"), when); !fault.Is(err, fault.Invalid) && !errors.Is(err, ErrCondition) {
				t.Errorf("put %.10s %+v: %v (%s)", name, when, err, fault.KindOf(err))
			}
		}
	}
}
