//go:build unix

package faultdisk

import (
	"io/fs"
	"math/rand/v2"
	"time"
)

// block is what a disk writes whole or not at all.
const block = 512

// node is a file or a folder: as programs see it, and as it lies on the disk.
type node struct {
	dir bool

	// A file. Changed blocks are those that were written since the last sync.
	data, onDisk         []byte
	changed              map[int]bool
	resized              bool
	mark, markOnDisk     string
	modified, modifiedOn time.Time

	// A folder. Changes are those since the last sync, in order.
	entries, kept map[string]*node
	changes       []change
}

// change is one change of a folder: a name now means a node, or nothing.
type change struct {
	name string
	to   *node
	how  Op
}

func (n *node) set(name string, to *node, how Op) {
	if to == nil {
		delete(n.entries, name)
	} else {
		n.entries[name] = to
	}
	n.changes = append(n.changes, change{name, to, how})
}

func (n *node) apply(c change) {
	if c.to == nil {
		delete(n.kept, c.name)
	} else {
		n.kept[c.name] = c.to
	}
}

func (n *node) write(p []byte, at int64) {
	if len(p) == 0 {
		return
	}
	end := at + int64(len(p))
	if end > int64(len(n.data)) {
		n.data = append(n.data, make([]byte, end-int64(len(n.data)))...)
		n.resized = true
	}
	copy(n.data[at:], p)
	if n.changed == nil {
		n.changed = map[int]bool{}
	}
	for b := at / block; b <= (end-1)/block; b++ {
		n.changed[int(b)] = true
	}
}

// synced puts everything on the disk.
func (n *node) synced() {
	if n.dir {
		for _, c := range n.changes {
			n.apply(c)
		}
		n.changes = nil
		return
	}
	if n.resized {
		n.onDisk = resize(n.onDisk, len(n.data))
	}
	for b := range n.changed {
		copy(n.onDisk[b*block:], blockOf(n.data, b))
	}
	n.clean()
	n.markOnDisk, n.modifiedOn = n.mark, n.modified
}

// unsynced is what a failed sync does, and a power cut: of what changed some
// is on the disk and some is not, and nobody remembers that it should be.
func (n *node) unsynced(rnd *rand.Rand) (lost []string) {
	if n.dir {
		return n.forget(rnd)
	}
	if n.dirty() {
		was := string(n.onDisk)
		n.tear(rnd)
		switch now := string(n.onDisk); {
		case now == string(n.data):
		case now == was:
			lost = append(lost, Absent)
		default:
			lost = append(lost, Torn)
		}
	}
	if rnd.IntN(2) == 0 {
		n.markOnDisk = n.mark
	}
	if rnd.IntN(2) == 0 {
		n.modifiedOn = n.modified
	}
	n.clean()
	return lost
}

func (n *node) dirty() bool { return n.resized || len(n.changed) > 0 }
func (n *node) clean()      { n.changed, n.resized = nil, false }

// tear writes some of the changed blocks.
func (n *node) tear(rnd *rand.Rand) {
	size := len(n.data)
	if n.resized {
		switch rnd.IntN(4) {
		case 0: // the old length
			size = len(n.onDisk)
		case 1: // any length between
			size = min(len(n.onDisk), size) + rnd.IntN(max(len(n.onDisk), size)-min(len(n.onDisk), size)+1)
		}
		n.onDisk = resize(n.onDisk, size)
	}
	how := rnd.IntN(5)
	last := -1
	for b := range n.changed {
		last = max(last, b)
	}
	for b := range last + 1 {
		if !n.changed[b] || b*block >= len(n.onDisk) {
			continue
		}
		there := n.onDisk[b*block : min((b+1)*block, len(n.onDisk))]
		keep := false
		switch how {
		case 0: // nothing got there
		case 1: // everything did
			keep = true
		case 2: // all but the last, which is torn within
			if keep = b < last; !keep {
				copy(there[:rnd.IntN(len(there)+1)], blockOf(n.data, b))
				continue
			}
		case 3: // all but one stretch of 4 KiB, which is zero
			const page = 8
			if keep = b/page != last/page/2; !keep {
				clear(there)
			}
		default:
			if keep = rnd.IntN(2) == 0; !keep && rnd.IntN(2) == 0 {
				clear(there)
			}
		}
		if keep {
			copy(there, blockOf(n.data, b))
		}
	}
}

// forget lets some of the changes of a folder have happened.
func (n *node) forget(rnd *rand.Rand) (lost []string) {
	// Often the disk stops at a moment; sometimes it has written as it liked.
	upTo, any := rnd.IntN(len(n.changes)+1), rnd.IntN(3) == 0
	for i, c := range n.changes {
		if any && rnd.IntN(2) == 0 || !any && i < upTo {
			n.apply(c)
			continue
		}
		switch c.how {
		case Rename:
			lost = append(lost, Undone)
		case Remove:
			lost = append(lost, Back)
		default:
			lost = append(lost, Nameless)
		}
	}
	n.changes = nil
	return lost
}

func resize(b []byte, n int) []byte {
	if n <= len(b) {
		return b[:n:n]
	}
	return append(b[:len(b):len(b)], make([]byte, n-len(b))...)
}

func blockOf(data []byte, b int) []byte {
	if b*block >= len(data) {
		return nil
	}
	return data[b*block : min((b+1)*block, len(data))]
}

// Loss is one thing that a power cut took.
type Loss struct{ What, Path string }

// What a power cut may take.
const (
	Torn     = "a file torn"            // of its unsynced bytes some are there
	Absent   = "unsynced bytes absent"  // all of them
	Nameless = "a new name forgotten"   // a file that was made or linked, or a folder
	Undone   = "a rename undone"        // on either side
	Back     = "what was removed again" // is there
)

// cut copies what lies on the disk.
type cut struct {
	rnd    *rand.Rand
	done   map[*node]*node // a file may have several names
	losses []Loss
}

func (c *cut) node(n *node, path string) *node {
	if to := c.done[n]; to != nil {
		return to
	}
	for _, what := range n.unsynced(c.rnd) {
		c.losses = append(c.losses, Loss{what, path})
	}
	to := &node{dir: n.dir, modified: n.modifiedOn, modifiedOn: n.modifiedOn}
	c.done[n] = to
	if !n.dir {
		to.data, to.onDisk = append([]byte(nil), n.onDisk...), append([]byte(nil), n.onDisk...)
		to.mark, to.markOnDisk = n.markOnDisk, n.markOnDisk
		return to
	}
	to.entries, to.kept = map[string]*node{}, map[string]*node{}
	for name, child := range sorted(n.kept) {
		copied := c.node(child, path+name+map[bool]string{true: "/"}[child.dir])
		to.entries[name], to.kept[name] = copied, copied
	}
	return to
}

func modeOf(n *node) fs.FileMode {
	if n.dir {
		return fs.ModeDir | 0o750
	}
	return 0o640
}
