package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// image is a disk of its own: an ext4 file system in a file, mounted through
// a loop device. What its file system has not yet handed down is not in the
// file, so a copy of the file is what a machine would find after its power had
// been cut. It is a kind disk: what was handed down stays, flushed or not, and
// no write is torn.
type image struct {
	*testing.T
	dir   string // of the backing files; in memory where that is possible, so that a copy takes no time
	at    string // where it is mounted
	file  string
	stat  string // of the loop device in sysfs
	n     int
	cuts  int
	tries int
	took  time.Duration // the longest time that a copy took
}

const imageBytes = 1 << 30 // the log keeps 256 MiB free

// newImage makes an empty disk and mounts it, or says why that cannot be done
// here.
func newImage(t *testing.T) (*image, error) {
	if os.Geteuid() != 0 {
		return nil, errors.New("mounting a disk image needs root")
	}
	if _, err := exec.LookPath("mkfs.ext4"); err != nil {
		return nil, errors.New("there is no mkfs.ext4")
	}
	dir, err := os.MkdirTemp("/dev/shm", "anabranch-image-")
	if err != nil {
		dir = t.TempDir()
	}
	i := &image{T: t, dir: dir, at: filepath.Join(t.TempDir(), "disk")}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Mkdir(i.at, 0o755); err != nil {
		return nil, err
	}
	i.file = filepath.Join(dir, "0")
	f, err := os.Create(i.file)
	if err != nil {
		return nil, err
	}
	if err := errors.Join(f.Truncate(imageBytes), f.Close()); err != nil {
		return nil, err
	}
	// Nothing of it is initialised later, in the background.
	if out, err := exec.Command("mkfs.ext4", "-q", "-F", "-m", "0", "-J", "size=32", "-E", "lazy_itable_init=0,lazy_journal_init=0", i.file).CombinedOutput(); err != nil {
		return nil, fmt.Errorf("mkfs.ext4: %w: %s", err, out)
	}
	if err := i.mount(); err != nil {
		return nil, err
	}
	t.Cleanup(func() {
		if err := i.unmount(); err != nil {
			t.Errorf("unmount the disk image: %v", err)
		}
	})
	return i, nil
}

func (i *image) mount() error {
	if out, err := exec.Command("mount", "-o", "loop", i.file, i.at).CombinedOutput(); err != nil {
		return fmt.Errorf("mount a disk image: %w: %s", err, strings.TrimSpace(string(out)))
	}
	device, err := exec.Command("findmnt", "-n", "-o", "SOURCE", i.at).Output()
	if err != nil {
		return fmt.Errorf("find the loop device of %s: %w", i.at, err)
	}
	i.stat = filepath.Join("/sys/block", filepath.Base(strings.TrimSpace(string(device))), "stat")
	return nil
}

// unmount waits for those that were killed to let go of their files.
func (i *image) unmount() (err error) {
	for until := time.Now().Add(patience); ; time.Sleep(5 * time.Millisecond) {
		if err = unix.Unmount(i.at, 0); !errors.Is(err, unix.EBUSY) || time.Now().After(until) {
			return err
		}
	}
}

// written tells what has reached the disk, and whether something is on its
// way.
func (i *image) written() (what string, moving bool) {
	text, err := os.ReadFile(i.stat)
	f := strings.Fields(string(text))
	if err != nil || len(f) < 15 {
		i.Fatalf("%s says %q: %v", i.stat, text, err)
	}
	// Writes, their sectors, discards; and what is in flight.
	return fmt.Sprint(f[4], f[6], f[11]), f[8] != "0"
}

// shoot copies what is on the disk now. Whoever writes to it must have been
// stopped; the file system itself may go on writing, and then the copy is no
// picture of one moment and is made again.
func (i *image) shoot() (file string) {
	i.Helper()
	i.n++
	file = filepath.Join(i.dir, fmt.Sprint(i.n))
	for until := time.Now().Add(patience); ; {
		i.tries++
		began := time.Now()
		before, moving := i.written()
		if !moving {
			if err := copySparse(file, i.file); err != nil {
				i.Fatalf("copy the disk image: %v", err)
			}
			if after, moving := i.written(); after == before && !moving {
				i.took = max(i.took, time.Since(began))
				i.cuts++
				return file
			}
		}
		if time.Now().After(until) {
			i.Fatalf("the disk image does not come to rest for %v", patience)
		}
		time.Sleep(time.Millisecond)
	}
}

// swap puts a copy in the place of the disk. Nobody may use it just now. The
// file system is checked by being mounted: its journal is played back.
func (i *image) swap(file string) {
	i.Helper()
	if err := i.unmount(); err != nil {
		i.Fatalf("unmount the disk image: %v", err)
	}
	if err := os.Remove(i.file); err != nil {
		i.Fatal(err)
	}
	i.file = file
	if err := i.mount(); err != nil {
		i.Fatal(err)
	}
}

// copySparse copies a file without its holes.
func copySparse(to, from string) (err error) {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.Create(to)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, out.Close()) }()
	size, err := in.Seek(0, io.SeekEnd)
	if err != nil {
		return err
	}
	if err := out.Truncate(size); err != nil {
		return err
	}
	for at := int64(0); ; {
		at, err = in.Seek(at, unix.SEEK_DATA)
		if errors.Is(err, unix.ENXIO) { // only a hole is left
			return nil
		}
		if err != nil {
			return err
		}
		end, err := in.Seek(at, unix.SEEK_HOLE)
		if err != nil {
			return err
		}
		if _, err := in.Seek(at, io.SeekStart); err != nil {
			return err
		}
		if _, err := out.Seek(at, io.SeekStart); err != nil {
			return err
		}
		if _, err := io.CopyN(out, in, end-at); err != nil {
			return err
		}
		at = end
	}
}
