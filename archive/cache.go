package archive

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"anabranch/bucket"
	"anabranch/fault"
	"anabranch/internal/disk"
	"anabranch/internal/planted"
)

// cache keeps verified copies of objects on local disk, named by their
// SHA-256. Copies in use are pinned; of the others the ones not used for the
// longest time go when room is needed. What a former process left is verified
// before it is used.
//
// Nothing here is synced: after a power cut a copy may be gone or damaged, and
// is then fetched again.
type cache struct {
	disk   disk.Files
	dir    string
	limit  int64
	bucket bucket.Reader
	log    *slog.Logger

	start   sync.Once
	failure error // of start

	next atomic.Int64 // names of temp files: the folder is ours alone, and empty at the start

	mu    sync.Mutex // guards what follows and the fields of items marked so
	items map[string]*item
	used  int64
	tick  int64 // rises with every use
}

// item is one copy. Its mutex is the cache's.
type item struct {
	name, sum, path string
	size            int64
	pins            int           // guarded
	used            int64         // guarded: tick of the last use
	ready           chan struct{} // guarded: nil: nobody has verified it yet; closed: somebody has, with err
	err             error         // set before ready is closed
	doomed          bool          // guarded: goes with its last pin
}

func (c *cache) objects() string { return filepath.Join(c.dir, "objects") }
func (c *cache) temps() string   { return filepath.Join(c.dir, "temp") }

// open makes the directories and finds what a former process left.
func (c *cache) open() error {
	c.start.Do(func() { c.failure = c.scan() })
	return c.failure
}

func (c *cache) scan() error {
	if err := disk.RemoveAll(c.disk, c.temps()); err != nil {
		return fmt.Errorf("clean the cache: %w", diskFault(err))
	}
	for _, dir := range []string{c.objects(), c.temps()} {
		if err := disk.MkdirAll(c.disk, dir); err != nil {
			return fmt.Errorf("make the cache: %w", diskFault(err))
		}
	}
	entries, err := c.disk.ReadDir(c.objects())
	if err != nil {
		return fmt.Errorf("read the cache: %w", diskFault(err))
	}
	type found struct {
		*item
		at time.Time
	}
	var all []found
	for _, e := range entries {
		sum, _, _ := strings.Cut(e.Name(), ".")
		info, err := e.Info()
		if err != nil || !info.Mode().IsRegular() || len(sum) != 2*sha256.Size {
			continue // gone, or not ours
		}
		all = append(all, found{&item{sum: sum, path: filepath.Join(c.objects(), e.Name()), size: info.Size()}, info.ModTime()})
	}
	slices.SortFunc(all, func(a, b found) int { return a.at.Compare(b.at) })
	c.mu.Lock()
	defer c.mu.Unlock()
	c.items = map[string]*item{}
	for _, f := range all {
		c.tick++
		f.used = c.tick
		c.items[f.sum] = f.item
		c.used += f.size
	}
	c.evict()
	return nil
}

// temp returns a new file on the disk of the cache.
func (c *cache) temp() (disk.File, error) {
	if err := c.open(); err != nil {
		return nil, err
	}
	f, err := c.disk.Create(filepath.Join(c.temps(), strconv.FormatInt(c.next.Add(1), 10)))
	if err != nil {
		return nil, fmt.Errorf("write to the cache: %w", diskFault(err))
	}
	return f, nil
}

// acquire pins the copy of an object, fetching and verifying it as needed.
func (c *cache) acquire(ctx context.Context, name string, size int64, sum string) (*item, error) {
	if err := c.open(); err != nil {
		return nil, err
	}
	if len(sum) != 2*sha256.Size {
		return nil, fault.New(fault.Invalid, "fetch %s: %q is not a SHA-256", name, sum)
	}
	for {
		c.mu.Lock()
		it := c.items[sum]
		if it == nil {
			it = &item{sum: sum, path: filepath.Join(c.objects(), sum+path.Ext(name)), size: size}
			c.items[sum] = it
			c.used += size
		}
		it.pins++
		c.tick++
		it.used = c.tick
		mine := it.ready == nil
		if mine {
			it.name, it.ready = name, make(chan struct{})
			c.used += size - it.size // a former process may have left half a file
			it.size = size
			c.evict()
		}
		ready := it.ready
		c.mu.Unlock()

		if mine {
			err := c.fill(ctx, it)
			c.mu.Lock()
			it.err = err
			if err != nil {
				c.forget(it)
			}
			close(it.ready)
			c.mu.Unlock()
		}
		select {
		case <-ready:
		case <-ctx.Done():
			c.release(it)
			return nil, context.Cause(ctx)
		}
		if it.err == nil && it.size != size {
			c.release(it)
			return nil, fault.New(fault.Corrupt, "fetch %s: it has %d bytes, %d were written", name, it.size, size)
		}
		if it.err == nil {
			return it, nil
		}
		c.release(it)
		if !mine && (errors.Is(it.err, context.Canceled) || errors.Is(it.err, context.DeadlineExceeded)) {
			continue // the one who fetched gave up, not we
		}
		return nil, it.err
	}
}

// fill makes it a verified copy: what lies there already, or the object.
func (c *cache) fill(ctx context.Context, it *item) error {
	if f, err := c.disk.Open(it.path); err == nil {
		h := sha256.New()
		n, err := io.Copy(h, f)
		f.Close()
		if err == nil && n == it.size && (hex.EncodeToString(h.Sum(nil)) == it.sum || planted.On(planted.CopyUnverified)) {
			return nil
		}
		c.log.Warn("archive: a cached copy was damaged and is fetched again", "object", it.name, "path", it.path)
	}
	f, err := c.temp()
	if err != nil {
		return err
	}
	defer c.disk.Remove(f.Name()) // in vain once it is renamed
	defer f.Close()
	body, _, err := c.bucket.Get(ctx, it.name)
	if err != nil {
		return fmt.Errorf("fetch %s: %w", it.name, err)
	}
	h := sha256.New()
	w := &diskWriter{w: io.MultiWriter(f, h)}
	n, err := io.Copy(w, body)
	if err = errors.Join(err, body.Close()); w.err != nil || err != nil {
		return fmt.Errorf("fetch %s: %w", it.name, errors.Join(diskFault(w.err), err))
	}
	if err := checkSum(it.name, it.size, it.sum, n, h.Sum(nil)); err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return fmt.Errorf("fetch %s: %w", it.name, diskFault(err))
	}
	if err := c.disk.Rename(f.Name(), it.path); err != nil {
		return fmt.Errorf("fetch %s: %w", it.name, diskFault(err))
	}
	return nil
}

// diskWriter remembers the error of the disk, to tell it from the store's.
type diskWriter struct {
	w   io.Writer
	err error
}

func (d *diskWriter) Write(b []byte) (int, error) {
	n, err := d.w.Write(b)
	if err != nil {
		d.err = err
	}
	return n, err
}

// adopt takes f, which holds an object, as its copy, and closes it.
func (c *cache) adopt(f disk.File, name string, size int64, sum string) {
	f.Close()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.items[sum] != nil {
		c.disk.Remove(f.Name())
		return
	}
	it := &item{name: name, sum: sum, path: filepath.Join(c.objects(), sum+path.Ext(name)), size: size, ready: make(chan struct{})}
	close(it.ready)
	if err := c.disk.Rename(f.Name(), it.path); err != nil {
		c.disk.Remove(f.Name()) // it can be fetched
		return
	}
	c.tick++
	it.used = c.tick
	c.items[sum] = it
	c.used += size
	c.evict()
}

// release takes one pin away.
func (c *cache) release(it *item) {
	c.mu.Lock()
	defer c.mu.Unlock()
	it.pins--
	if it.doomed && it.pins == 0 {
		c.remove(it)
	}
	c.evict()
}

// doom makes the copy of a sum go once nobody uses it: it was found damaged.
func (c *cache) doom(sum string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	it := c.items[sum]
	if it == nil {
		return
	}
	it.doomed = true
	if it.pins == 0 {
		c.remove(it)
	}
}

// evict makes room; c.mu is held.
func (c *cache) evict() {
	if c.used <= c.limit {
		return
	}
	var free []*item
	for _, it := range c.items {
		if it.pins == 0 {
			free = append(free, it)
		}
	}
	slices.SortFunc(free, func(a, b *item) int { return int(a.used - b.used) })
	for _, it := range free {
		if c.used <= c.limit {
			return
		}
		c.remove(it)
	}
}

// remove deletes a copy without pins; c.mu is held.
func (c *cache) remove(it *item) {
	c.forget(it)
	c.disk.Remove(it.path)
}

// forget takes an item off the books; c.mu is held.
func (c *cache) forget(it *item) {
	if c.items[it.sum] == it {
		delete(c.items, it.sum)
		c.used -= it.size
	}
}

// diskFault gives an error of the local disk its kind.
func diskFault(err error) error {
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		return fault.Wrap(fault.Full, err)
	}
	if errors.Is(err, os.ErrPermission) {
		return fault.Wrap(fault.Denied, err)
	}
	return fault.Wrap(fault.Transient, err)
}
