//go:build unix

package faultdisk

import (
	"io"
	"io/fs"
	"path/filepath"
	"syscall"
)

// file is an open file. The disk's mutex guards it.
type file struct {
	disk   *Disk
	node   *node
	path   string
	at     int64
	writes bool
	closed bool
}

func (f *file) Name() string { return f.path }

// do is a call on the open file.
func (f *file) do(op Op, effect func(Harm) error) error {
	f.disk.mu.Lock()
	defer f.disk.mu.Unlock()
	if f.closed {
		return &fs.PathError{Op: string(op), Path: f.path, Err: fs.ErrClosed}
	}
	h, err := f.disk.begin(op, f.path)
	if err != nil {
		return err
	}
	if err := effect(h); err != nil {
		return failed(op, f.path, err)
	}
	return failed(op, f.path, h.Err)
}

func (f *file) Read(p []byte) (n int, err error) {
	n, err = f.read(p, func() int64 { return f.at })
	f.disk.mu.Lock()
	f.at += int64(n)
	f.disk.mu.Unlock()
	return n, err
}

func (f *file) ReadAt(p []byte, at int64) (n int, err error) {
	n, err = f.read(p, func() int64 { return at })
	if err == nil && n < len(p) {
		err = io.EOF
	}
	return n, err
}

func (f *file) read(p []byte, from func() int64) (n int, err error) {
	end := false
	err = f.do(Read, func(h Harm) error {
		at := from()
		switch {
		case h.Err != nil:
			return h.Err
		case f.node.dir:
			return syscall.EISDIR
		case at < int64(len(f.node.data)):
			n = copy(p, f.node.data[at:])
		default:
			end = len(p) > 0
		}
		return nil
	})
	if err == nil && end {
		err = io.EOF
	}
	return n, err
}

func (f *file) Write(p []byte) (n int, err error) {
	n, err = f.write(p, func() int64 { return f.at })
	f.disk.mu.Lock()
	f.at += int64(n)
	f.disk.mu.Unlock()
	return n, err
}

func (f *file) WriteAt(p []byte, at int64) (int, error) {
	return f.write(p, func() int64 { return at })
}

func (f *file) write(p []byte, at func() int64) (n int, err error) {
	err = f.do(Write, func(h Harm) error {
		if !f.writes {
			return syscall.EBADF
		}
		switch n = len(p); {
		case h.Err == nil || h.After:
		case h.Short && n > 0:
			n = f.disk.rnd.IntN(n)
		default:
			n = 0
		}
		f.node.write(p[:n], at())
		f.node.modified = f.disk.now
		return nil
	})
	return n, err
}

func (f *file) Seek(offset int64, whence int) (int64, error) {
	f.disk.mu.Lock()
	defer f.disk.mu.Unlock()
	switch whence {
	case io.SeekCurrent:
		offset += f.at
	case io.SeekEnd:
		offset += int64(len(f.node.data))
	}
	if offset < 0 {
		return 0, &fs.PathError{Op: "seek", Path: f.path, Err: syscall.EINVAL}
	}
	f.at = offset
	return offset, nil
}

func (f *file) Close() error {
	f.disk.mu.Lock()
	defer f.disk.mu.Unlock()
	if f.closed {
		return &fs.PathError{Op: "close", Path: f.path, Err: fs.ErrClosed}
	}
	f.closed = true
	return nil
}

func (f *file) Stat() (fs.FileInfo, error) {
	f.disk.mu.Lock()
	defer f.disk.mu.Unlock()
	if f.closed {
		return nil, &fs.PathError{Op: "stat", Path: f.path, Err: fs.ErrClosed}
	}
	return info(filepath.Base(f.path), f.node), nil
}

func (f *file) Sync() error {
	return f.do(Sync, func(h Harm) error { return f.disk.sync(f.node, h) })
}

func (f *file) SetMark(mark string) error {
	return f.do(SetMark, func(h Harm) error {
		if h.Err == nil || h.After {
			f.node.mark = mark
		}
		return nil
	})
}

func (f *file) Mark() (string, error) {
	f.disk.mu.Lock()
	defer f.disk.mu.Unlock()
	return f.node.mark, nil
}
