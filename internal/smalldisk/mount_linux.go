package smalldisk

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
)

// inside tells a test that it runs in a namespace of its own already.
const inside = "ANABRANCH_TEST_NAMESPACE"

func mount(t testing.TB, size int64) (Disk, bool, string) {
	t.Helper()
	dir := t.TempDir()
	err := syscall.Mount("anabranch-test", dir, "tmpfs", 0, fmt.Sprintf("size=%d", size))
	switch {
	case err == nil:
	case !errors.Is(err, syscall.EPERM):
		return Disk{}, false, fmt.Sprintf("mount a tmpfs: %v", err)
	case os.Getenv(inside) != "":
		return Disk{}, false, "mount a tmpfs: not permitted, not even in a user namespace"
	default:
		return again(t)
	}
	t.Cleanup(func() { unmount(t, dir) })
	return Disk{dir}, false, ""
}

// unmount waits for processes that have just been killed to let go.
func unmount(t testing.TB, dir string) {
	var err error
	for until := time.Now().Add(time.Minute); time.Now().Before(until); time.Sleep(20 * time.Millisecond) {
		if err = syscall.Unmount(dir, 0); !errors.Is(err, syscall.EBUSY) {
			break
		}
	}
	if err != nil {
		t.Errorf("unmount %s: %v", dir, errors.Join(err, syscall.Unmount(dir, syscall.MNT_DETACH)))
	}
}

// again runs the same test in namespaces where this user may mount.
func again(t testing.TB) (Disk, bool, string) {
	t.Helper()
	var match []string
	for _, part := range strings.Split(t.Name(), "/") {
		match = append(match, "^"+regexp.QuoteMeta(part)+"$")
	}
	args := append([]string{}, os.Args[1:]...)
	cmd := exec.Command(os.Args[0], append(args, "-test.run="+strings.Join(match, "/"), "-test.v")...)
	cmd.Env = append(os.Environ(), inside+"=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWUSER | syscall.CLONE_NEWNS,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}},
	}
	out, err := cmd.CombinedOutput()
	if cmd.ProcessState == nil {
		return Disk{}, false, fmt.Sprintf("neither mount nor user namespaces are permitted: %v", err)
	}
	t.Logf("in a user namespace:\n%s", out)
	if err != nil {
		t.Errorf("in a user namespace: %v", err)
	}
	return Disk{}, true, ""
}

// fill allocates without writing, as far as the file system can. It goes in
// steps: an allocation that fails gives back all that it had taken, so that
// one large one beside writers leaves an empty disk as easily as a full one.
func (d Disk) fill(f *os.File, leave int64) error {
	for step := int64(largestStep); ; {
		var st syscall.Statfs_t
		if err := syscall.Fstatfs(int(f.Fd()), &st); err != nil {
			return err
		}
		info, err := f.Stat()
		if err != nil {
			return err
		}
		page := int64(st.Bsize)
		more := int64(st.Bavail)*page - leave
		switch {
		case more < 0:
			return f.Truncate(max(info.Size()+more, 0))
		case more < page:
			return nil
		}
		switch err := syscall.Fallocate(int(f.Fd()), 0, info.Size(), min(more, step)); {
		case err == nil:
		case !errors.Is(err, syscall.ENOSPC):
			return err
		case step > page: // the writers were faster
			step /= 2
		default:
			return nil
		}
	}
}

const largestStep = 4 << 20
