//go:build unix

package faultdisk

import (
	"io"
	"io/fs"
	"iter"
	"maps"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"anabranch/internal/disk"
)

// Create implements disk.Files.
func (d *Disk) Create(path string) (f disk.File, err error) {
	err = d.act(Create, path, func() error {
		dir, name, err := d.place(path)
		if err != nil {
			return err
		}
		if dir.entries[name] != nil {
			return syscall.EEXIST
		}
		f = d.make(dir, name, path)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return f, nil
}

// make adds an empty file. d.mu is held.
func (d *Disk) make(dir *node, name, path string) *file {
	n := &node{modified: d.now}
	dir.set(name, n, Create)
	return &file{disk: d, node: n, path: path, writes: true}
}

// Open implements disk.Files.
func (d *Disk) Open(path string) (f disk.File, err error) {
	err = d.act(Open, path, func() error {
		n, err := d.find(path)
		f = &file{disk: d, node: n, path: path}
		return err
	})
	if err != nil {
		return nil, err
	}
	return f, nil
}

// Edit implements disk.Files.
func (d *Disk) Edit(path string) (f disk.File, err error) {
	err = d.act(Open, path, func() error {
		dir, name, err := d.place(path)
		if err != nil {
			return err
		}
		switch n := dir.entries[name]; {
		case n == nil:
			f = d.make(dir, name, path)
		case n.dir:
			return syscall.EISDIR
		default:
			f = &file{disk: d, node: n, path: path, writes: true}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return f, nil
}

// Rename implements disk.Files.
func (d *Disk) Rename(from, to string) error {
	return d.act(Rename, to, func() error { return d.move(from, to, Rename) })
}

// Link implements disk.Files.
func (d *Disk) Link(from, to string) error {
	return d.act(Link, to, func() error { return d.move(from, to, Link) })
}

// move gives a file another name, or one more. d.mu is held.
func (d *Disk) move(from, to string, how Op) error {
	fromDir, fromName, err := d.place(from)
	if err != nil {
		return err
	}
	n := fromDir.entries[fromName]
	if n == nil && how == Link {
		return syscall.ENOENT
	}
	toDir, toName, err := d.place(to)
	if err != nil {
		return err
	}
	if n == nil {
		return syscall.ENOENT
	}
	there := toDir.entries[toName]
	switch {
	case n.dir:
		return syscall.EPERM // nobody moves folders
	case there != nil && how == Link:
		return syscall.EEXIST
	case there != nil && there.dir:
		return syscall.EEXIST // as package os says
	case there == n:
		return nil // two names of one file: POSIX leaves both
	}
	toDir.set(toName, n, how)
	if how == Rename {
		fromDir.set(fromName, nil, Rename)
	}
	return nil
}

// Remove implements disk.Files.
func (d *Disk) Remove(path string) error {
	return d.act(Remove, path, func() error { return d.remove(path, false) })
}

// RemoveDir implements disk.Files.
func (d *Disk) RemoveDir(path string) error {
	return d.act(Remove, path, func() error { return d.remove(path, true) })
}

func (d *Disk) remove(path string, wantDir bool) error {
	dir, name, err := d.place(path)
	if err != nil {
		return err
	}
	n := dir.entries[name]
	switch {
	case n == nil || n.dir && !wantDir:
		return syscall.ENOENT
	case !n.dir && wantDir:
		return syscall.ENOTDIR
	case len(n.entries) > 0:
		return syscall.ENOTEMPTY
	}
	dir.set(name, nil, Remove)
	return nil
}

// Mkdir implements disk.Files.
func (d *Disk) Mkdir(path string) error {
	return d.act(Mkdir, path, func() error {
		dir, name, err := d.place(path)
		if err != nil {
			return err
		}
		if dir.entries[name] != nil {
			return syscall.EEXIST
		}
		dir.set(name, &node{dir: true, modified: d.now, entries: map[string]*node{}, kept: map[string]*node{}}, Mkdir)
		return nil
	})
}

// ReadDir implements disk.Files.
func (d *Disk) ReadDir(path string) (out []fs.DirEntry, err error) {
	err = d.act(Read, path, func() error {
		n, err := d.find(path)
		if err != nil {
			return err
		}
		if !n.dir {
			return syscall.ENOTDIR
		}
		for name, child := range sorted(n.entries) {
			out = append(out, fs.FileInfoToDirEntry(info(name, child)))
		}
		return nil
	})
	return out, err
}

func sorted(entries map[string]*node) iter.Seq2[string, *node] {
	return func(yield func(string, *node) bool) {
		for _, name := range slices.Sorted(maps.Keys(entries)) {
			if !yield(name, entries[name]) {
				return
			}
		}
	}
}

// SyncDir implements disk.Files.
func (d *Disk) SyncDir(path string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	h, err := d.begin(SyncDir, path)
	if err != nil {
		return err
	}
	n, err := d.find(path)
	if err != nil {
		return failed(Open, path, err)
	}
	return failed(SyncDir, path, d.sync(n, h))
}

// sync is the sync of a file or folder. d.mu is held.
func (d *Disk) sync(n *node, h Harm) error {
	switch {
	case h.Err == nil || h.After:
		n.synced()
	case d.dead == nil: // else Cut draws the lots
		n.unsynced(d.rnd)
	}
	return h.Err
}

// held is a lock that somebody has.
type held struct {
	shared int
	alone  bool
}

// Lock implements disk.Files. It is no call that is counted.
func (d *Disk) Lock(path string, how disk.Lock) (io.Closer, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	path = filepath.Clean(path)
	for {
		if d.dead != nil {
			return nil, &fs.PathError{Op: "lock", Path: path, Err: d.dead}
		}
		dir, name, err := d.place(path)
		if err != nil {
			return nil, &fs.PathError{Op: "lock", Path: path, Err: err}
		}
		if dir.entries[name] == nil {
			d.make(dir, name, path)
		}
		l := d.locks[path]
		if l == nil {
			l = &held{}
			d.locks[path] = l
		}
		if how == disk.Shared && !l.alone {
			l.shared++
			return &unlocker{d, l, how}, nil
		}
		if how != disk.Shared && !l.alone && l.shared == 0 {
			l.alone = true
			return &unlocker{d, l, how}, nil
		}
		if how == disk.AloneNow {
			return nil, disk.ErrLocked
		}
		d.freed.Wait()
	}
}

type unlocker struct {
	disk *Disk
	of   *held
	how  disk.Lock
}

func (u *unlocker) Close() error {
	u.disk.mu.Lock()
	defer u.disk.mu.Unlock()
	if u.of == nil {
		return fs.ErrClosed
	}
	if u.how == disk.Shared {
		u.of.shared--
	} else {
		u.of.alone = false
	}
	u.of = nil
	u.disk.freed.Broadcast()
	return nil
}

type fileInfo struct {
	name string
	size int64
	mode fs.FileMode
	at   time.Time
}

func info(name string, n *node) fs.FileInfo {
	return &fileInfo{name, int64(len(n.data)), modeOf(n), n.modified}
}

func (i *fileInfo) Name() string       { return i.name }
func (i *fileInfo) Size() int64        { return i.size }
func (i *fileInfo) Mode() fs.FileMode  { return i.mode }
func (i *fileInfo) ModTime() time.Time { return i.at }
func (i *fileInfo) IsDir() bool        { return i.mode.IsDir() }
func (i *fileInfo) Sys() any           { return nil }
