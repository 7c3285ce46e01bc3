//go:build unix

// Package faultdisk is a file system in memory from which the power can be
// taken, and whose calls can be made to fail: the tests' way of asking what a
// program that writes files has promised too early.
//
// It forgets as much as POSIX allows and more than any one real file system
// does. What was written and not synced is there after a power cut, or absent,
// or there in part, block by block; what was done to a folder and not synced
// is there or not, each change by its own lot, so that a rename may have left
// both names, or none.
package faultdisk

import (
	"fmt"
	"io/fs"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"anabranch/internal/disk"
)

// Op is what is asked of the disk.
type Op string

// The calls that are counted: those that change something, and Read.
const (
	Create  Op = "create"
	Write   Op = "write"
	SetMark Op = "mark"
	Sync    Op = "sync"
	SyncDir Op = "sync folder"
	Rename  Op = "rename"
	Link    Op = "link"
	Remove  Op = "remove" // of a file or a folder
	Mkdir   Op = "mkdir"
	Open    Op = "open" // Edit too, which may make the file
	Read    Op = "read" // of bytes, or of a folder
)

// Call is one call of the disk.
type Call struct {
	N    int // 0, 1, 2, ... in the order the calls began
	Op   Op
	Path string
}

func (c Call) String() string { return fmt.Sprintf("call %d, %s %s", c.N, c.Op, c.Path) }

// Disk is the file system. It begins with an empty root folder.
type Disk struct {
	mu    *sync.Mutex // guards all that follows, and every node; Kill hands it on with the nodes
	freed *sync.Cond  // a lock was given back, or the disk died
	root  *node
	now   time.Time
	rnd   *rand.Rand
	locks map[string]*held
	rule  Rule
	calls int
	seen  []Call
	keep  bool // seen
	dead  error
	off   chan struct{} // closed when the disk dies
	// cutNow says whether the power goes at a call; nil: it does not.
	cutNow func(Call) bool
}

var _ disk.Files = (*Disk)(nil)

// New returns an empty disk, whose lots are drawn from seed.
func New(seed uint64) *Disk {
	return reopened(new(sync.Mutex), &node{dir: true, entries: map[string]*node{}, kept: map[string]*node{}}, time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), rand.New(rand.NewPCG(seed, 0xd15c)))
}

func reopened(mu *sync.Mutex, root *node, now time.Time, rnd *rand.Rand) *Disk {
	d := &Disk{mu: mu, root: root, now: now, rnd: rnd, locks: map[string]*held{}, off: make(chan struct{})}
	d.freed = sync.NewCond(mu)
	return d
}

// Set forgets the calls made so far, and PowerOff, and lets those fail from now
// on that rule chooses; nil chooses none.
func (d *Disk) Set(rule Rule) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.rule, d.calls, d.seen, d.keep, d.cutNow = rule, 0, nil, true, nil
}

// Calls returns how many calls were made since the disk was opened or Set.
func (d *Disk) Calls() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.calls
}

// Seen returns the calls made since Set.
func (d *Disk) Seen() []Call {
	d.mu.Lock()
	defer d.mu.Unlock()
	return append([]Call(nil), d.seen...)
}

// PowerOff lets the power go at the nth call from now, 0 for the next: a write
// may still have its effect, or a part of it, and everything after it fails.
func (d *Disk) PowerOff(n int) { d.PowerOffWhen(n, func(Call) bool { return true }) }

// PowerOffWhen counts only the calls that match.
func (d *Disk) PowerOffWhen(n int, match func(Call) bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.cutNow = func(c Call) bool {
		if !match(c) {
			return false
		}
		n--
		return n < 0
	}
}

// Off is closed once the power is gone, or the process was killed.
func (d *Disk) Off() <-chan struct{} { return d.off }

// Kill ends the process that uses the disk, which can do nothing more, and
// returns the disk for the next one: with everything that was written, synced
// or not.
func (d *Disk) Kill() *Disk {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.die(fmt.Errorf("the process was killed: %w", syscall.EIO))
	return reopened(d.mu, d.root, d.now, d.rnd)
}

// Cut takes the power away, unless it is gone already, and returns the disk as
// the next process finds it, with what it forgot.
func (d *Disk) Cut() (*Disk, []Loss) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.die(errNoPower)
	c := cut{rnd: d.rnd, done: map[*node]*node{}}
	root := c.node(d.root, "/")
	return reopened(new(sync.Mutex), root, d.now, d.rnd), c.losses
}

var errNoPower = fmt.Errorf("the power is gone: %w", syscall.EIO)

func (d *Disk) die(why error) {
	if d.dead == nil {
		d.dead = why
		close(d.off)
		d.freed.Broadcast()
	}
}

// begin counts a call and tells how it is to fail. d.mu is held.
func (d *Disk) begin(op Op, path string) (Harm, error) {
	if d.dead != nil {
		return Harm{}, &fs.PathError{Op: string(op), Path: path, Err: d.dead}
	}
	d.now = d.now.Add(time.Millisecond)
	c := Call{d.calls, op, path}
	d.calls++
	if d.keep {
		d.seen = append(d.seen, c)
	}
	if d.cutNow != nil && d.cutNow(c) {
		// The call that is under way may have got through.
		h := Harm{Err: errNoPower, After: d.rnd.IntN(2) == 0, Short: op == Write}
		d.die(errNoPower)
		return h, nil
	}
	if d.rule == nil {
		return Harm{}, nil
	}
	h, _ := d.rule(c)
	return h, nil
}

// act does a call that either has its effect or has none.
func (d *Disk) act(op Op, path string, effect func() error) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	h, err := d.begin(op, path)
	if err != nil {
		return err
	}
	if h.Err != nil && !h.After {
		return failed(op, path, h.Err)
	}
	if err := effect(); err != nil {
		return failed(op, path, err)
	}
	return failed(op, path, h.Err)
}

func failed(op Op, path string, err error) error {
	if err == nil {
		return nil
	}
	if op == SyncDir {
		op = Sync
	}
	return &fs.PathError{Op: string(op), Path: path, Err: err}
}

// find returns the node at path. d.mu is held.
func (d *Disk) find(path string) (*node, error) {
	at := d.root
	for _, part := range split(path) {
		if !at.dir {
			return nil, syscall.ENOTDIR
		}
		if len(part) > 255 {
			return nil, syscall.ENAMETOOLONG
		}
		next := at.entries[part]
		if next == nil {
			return nil, syscall.ENOENT
		}
		at = next
	}
	return at, nil
}

// place returns the folder of path and the name in it.
func (d *Disk) place(path string) (*node, string, error) {
	dir, name := filepath.Split(filepath.Clean(path))
	n, err := d.find(dir)
	switch {
	case err != nil:
		return nil, "", err
	case !n.dir:
		return nil, "", syscall.ENOTDIR
	case len(name) > 255:
		return nil, "", syscall.ENAMETOOLONG
	case name == "":
		return nil, "", syscall.EEXIST // the root
	}
	return n, name, nil
}

func split(path string) []string {
	path = strings.Trim(filepath.Clean(path), "/")
	if path == "" || path == "." {
		return nil
	}
	return strings.Split(path, "/")
}
