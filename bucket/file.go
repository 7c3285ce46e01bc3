//go:build unix

package bucket

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"

	"anabranch/fault"
	"anabranch/internal/disk"
)

// File is a bucket in a folder of a local file system: an object is a plain
// file under its own name. Any number of processes may use one folder.
//
// A put writes a file in a temp folder, syncs it, moves it to its name and
// syncs the folders above, so that what was acknowledged survives a power cut
// and nobody ever sees half an object. Create-only is link(2), which fails
// when the name is taken. Puts that replace take @lock: shared without a
// condition, alone for compare-and-swap, so that nothing comes between the
// comparison and the rename. Folders stay when their last object goes.
//
// A created object is not shown by this process before its folder is synced, nor
// when that fails: whoever saw it could build on it, or take the put for done,
// and the power would take it back.
//
// The checksum of an object stands in an extended attribute of its file. On a
// file system without them bodies are checked for length only and asking for
// an ETag reads the object.
type File struct {
	root string // folder of the objects; names with "@" are ours, no object has one
	temp string // this process's own temp folder
	fs   disk.Files
	mine io.Closer // lock that says the temp folder is in use
	next atomic.Uint64

	mu     sync.Mutex // guards what follows
	synced map[string]bool
	unsure map[string]bool // objects that were created and whose folder was not synced since
}

var _ Bucket = (*File)(nil)

const (
	lockName = "@lock"
	tempName = "@temp"
)

// NewFile opens the bucket in dir, making the folder when there is none, and
// removes what crashed processes left in the temp folder. The caller closes
// it; a process that does not leaves a temp folder for the next to remove.
func NewFile(dir string) (*File, error) { return NewFileOn(disk.Real{}, dir) }

// NewFileOn is NewFile on any file system.
func NewFileOn(files disk.Files, dir string) (*File, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, fault.New(fault.Invalid, "open bucket %s: %w", dir, err)
	}
	f := &File{root: dir, fs: disk.Strict(files), synced: map[string]bool{}, unsure: map[string]bool{}}
	if err := disk.MkdirAll(f.fs, filepath.Join(dir, tempName)); err != nil {
		return nil, fmt.Errorf("open bucket %s: %w", dir, fileFault(err))
	}
	unlock, err := f.lock(disk.Alone)
	if err != nil {
		return nil, fmt.Errorf("open bucket %s: %w", dir, err)
	}
	defer unlock()
	if err := f.sweep(); err != nil {
		return nil, fmt.Errorf("open bucket %s: %w", dir, fileFault(err))
	}
	return f, nil
}

// Close removes the temp folder. The bucket takes no puts after it.
func (f *File) Close() error {
	err := disk.RemoveAll(f.fs, f.temp)
	return errors.Join(err, f.mine.Close(), f.fs.Remove(f.temp+".lock"))
}

func (f *File) path(name string) string { return filepath.Join(f.root, filepath.FromSlash(name)) }

func (f *File) open(ctx context.Context, name string) (disk.File, Info, error) {
	if err := ctx.Err(); err != nil {
		return nil, Info{}, err
	}
	if err := CheckName(name); err != nil {
		return nil, Info{}, err
	}
	if f.hides(name) {
		return nil, Info{}, fmt.Errorf("read %s: %w", name, ErrNotFound)
	}
	h, err := f.fs.Open(f.path(name))
	if err != nil {
		return nil, Info{}, fmt.Errorf("read %s: %w", name, fileFault(err))
	}
	st, err := h.Stat()
	if err == nil && st.IsDir() {
		err = fs.ErrNotExist
	}
	if err != nil {
		h.Close()
		return nil, Info{}, fmt.Errorf("read %s: %w", name, fileFault(err))
	}
	return h, Info{Name: name, Size: st.Size(), Modified: st.ModTime().UTC()}, nil
}

// Get implements Reader.
func (f *File) Get(ctx context.Context, name string) (io.ReadCloser, Info, error) {
	h, info, err := f.open(ctx, name)
	if err != nil {
		return nil, Info{}, err
	}
	m, marked, err := f.mark(name, h, &info)
	if err != nil {
		h.Close()
		return nil, Info{}, err
	}
	return newCheckedBody(name, h, info.Size, m.crc, marked), info, nil
}

// Range implements Reader. Its bytes are checked for number, not for content.
func (f *File) Range(ctx context.Context, name string, offset, size int64) (io.ReadCloser, error) {
	h, info, err := f.open(ctx, name)
	if err != nil {
		return nil, err
	}
	if err := CheckRange(name, offset, size, info.Size); err != nil {
		h.Close()
		return nil, err
	}
	part := struct {
		io.Reader
		io.Closer
	}{io.NewSectionReader(h, offset, size), h}
	return newCheckedBody(name, part, size, 0, false), nil
}

// Stat implements Reader.
func (f *File) Stat(ctx context.Context, name string) (Info, error) {
	h, info, err := f.open(ctx, name)
	if err != nil {
		return Info{}, err
	}
	defer h.Close()
	if _, _, err := f.mark(name, h, &info); err != nil {
		return Info{}, err
	}
	return info, nil
}

// Put implements Bucket.
func (f *File) Put(ctx context.Context, name string, body io.ReadSeeker, when Condition) (string, error) {
	if err := ctx.Err(); err != nil {
		return "", err
	}
	if err := CheckName(name); err != nil {
		return "", err
	}
	etag, err := f.put(name, body, when)
	switch {
	case err == nil:
		return etag, nil
	case errors.Is(err, syscall.ENOTDIR): // a part of the name is an object
		err = fault.WithHint(fault.Wrap(fault.Invalid, err), "no object's name may be another's followed by a slash")
	case errors.Is(err, syscall.ENOENT): // somebody removed a folder; the next attempt makes it again
		f.mu.Lock()
		clear(f.synced)
		f.mu.Unlock()
		err = fault.Wrap(fault.Transient, err)
	}
	return "", fmt.Errorf("put %s: %w", name, fileFault(err))
}

func (f *File) put(name string, body io.ReadSeeker, when Condition) (etag string, err error) {
	temp := filepath.Join(f.temp, strconv.FormatUint(f.next.Add(1), 10))
	// A temp file that cannot be removed is left to the next sweep.
	defer f.fs.Remove(temp)
	etag, err = f.write(temp, body)
	if err != nil {
		return "", err
	}
	path := f.path(name)
	parent := filepath.Dir(path)
	if err := f.mkdir(parent); err != nil {
		return "", err
	}
	if when.Absent {
		err = f.link(temp, path, name)
		if errors.Is(err, fs.ErrExist) {
			err = ErrCondition
		}
	} else {
		err = f.replace(temp, path, name, when.Match)
	}
	// The loser of a create syncs too: the object it will tell of must not
	// vanish with the power.
	if err == nil || errors.Is(err, ErrCondition) {
		if sync := f.fs.SyncDir(parent); sync != nil {
			return "", sync
		}
		f.sure(name)
	}
	return etag, err
}

// link gives the file at temp its name and hides the object until sure.
func (f *File) link(temp, path, name string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	err := f.fs.Link(temp, path)
	if err == nil {
		f.unsure[name] = true
	}
	return err
}

func (f *File) sure(name string) {
	f.mu.Lock()
	delete(f.unsure, name)
	f.mu.Unlock()
}

func (f *File) hides(name string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.unsure[name]
}

// replace moves temp over path when the object there has the ETag match, or
// in any case when match is empty.
func (f *File) replace(temp, path, name, match string) error {
	how := disk.Shared
	if match != "" {
		how = disk.Alone
	}
	unlock, err := f.lock(how)
	if err != nil {
		return err
	}
	defer unlock()
	if match != "" {
		info, err := f.Stat(context.Background(), name)
		if errors.Is(err, ErrNotFound) || err == nil && info.ETag != match {
			return ErrCondition
		}
		if err != nil {
			return err
		}
	}
	return f.fs.Rename(temp, path)
}

// Delete implements Bucket.
func (f *File) Delete(ctx context.Context, name string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := CheckName(name); err != nil {
		return err
	}
	if err := fileFault(f.remove(f.path(name))); err != nil && !errors.Is(err, ErrNotFound) {
		return fmt.Errorf("delete %s: %w", name, err)
	}
	f.sure(name)
	return nil
}

func (f *File) remove(path string) error {
	unlock, err := f.lock(disk.Shared)
	if err != nil {
		return err
	}
	defer unlock()
	err = f.fs.Remove(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	// What an earlier attempt removed must not come back with the power.
	if sync := f.fs.SyncDir(filepath.Dir(path)); sync != nil {
		return sync
	}
	return err
}

// mkdir makes the folder and those above it, and syncs each link of the chain
// once in this process: another process may have made a folder and not synced
// it yet.
func (f *File) mkdir(dir string) error {
	if !strings.HasPrefix(dir, f.root) || dir == f.root {
		return nil
	}
	f.mu.Lock()
	done := f.synced[dir]
	f.mu.Unlock()
	if done {
		return nil
	}
	parent := filepath.Dir(dir)
	if err := f.mkdir(parent); err != nil {
		return err
	}
	if err := f.fs.Mkdir(dir); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	if err := f.fs.SyncDir(parent); err != nil {
		return err
	}
	f.mu.Lock()
	f.synced[dir] = true
	f.mu.Unlock()
	return nil
}
