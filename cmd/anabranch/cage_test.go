package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// cage is a control group that bounds the memory of a process and its
// children, by either version of the kernel's interface.
type cage struct {
	dir string
	v2  bool
}

// newCage makes one; why tells why that cannot be done here.
func newCage(t *testing.T, limit int64) (c *cage, why string) {
	t.Helper()
	text, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return nil, err.Error()
	}
	c = &cage{}
	for _, line := range strings.Split(string(text), "\n") {
		f := strings.SplitN(line, ":", 3)
		switch {
		case len(f) == 3 && f[1] == "memory":
			c.dir, c.v2 = filepath.Join("/sys/fs/cgroup/memory", f[2]), false
		case len(f) == 3 && f[0] == "0" && c.dir == "":
			c.dir, c.v2 = filepath.Join("/sys/fs/cgroup", f[2]), true
		}
	}
	c.dir = filepath.Join(c.dir, fmt.Sprintf("anabranch-test-%d", os.Getpid()))
	if err := os.Mkdir(c.dir, 0o755); err != nil {
		return nil, fmt.Sprintf("make a control group: %v", err)
	}
	t.Cleanup(func() {
		// Processes that were killed leave it a moment later.
		var err error
		for until := time.Now().Add(time.Minute); time.Now().Before(until); time.Sleep(20 * time.Millisecond) {
			if err = syscall.Rmdir(c.dir); err != syscall.EBUSY {
				break
			}
		}
		if err != nil {
			t.Errorf("remove %s: %v", c.dir, err)
		}
	})
	name := "memory.limit_in_bytes"
	if c.v2 {
		name = "memory.max"
	}
	if err := os.WriteFile(filepath.Join(c.dir, name), []byte(strconv.FormatInt(limit, 10)), 0o644); err != nil {
		return nil, fmt.Sprintf("bound a control group: %v", err)
	}
	return c, ""
}

// procs is the file that takes the processes.
func (c *cage) procs() string { return filepath.Join(c.dir, "cgroup.procs") }

// killed returns how many processes the kernel has killed for their memory.
func (c *cage) killed(t *testing.T) int64 {
	t.Helper()
	name := "memory.oom_control"
	if c.v2 {
		name = "memory.events"
	}
	return c.field(t, name, "oom_kill")
}

// own returns what the processes hold that is not of files.
func (c *cage) own(t *testing.T) int64 {
	t.Helper()
	if c.v2 {
		return c.field(t, "memory.stat", "anon")
	}
	return c.field(t, "memory.stat", "total_rss")
}

// each tells what every process holds that is not of files.
func (c *cage) each() string {
	all, _ := os.ReadFile(c.procs())
	var out []string
	for _, pid := range strings.Fields(string(all)) {
		var size, resident, shared int64
		text, _ := os.ReadFile(filepath.Join("/proc", pid, "statm"))
		_, _ = fmt.Sscan(string(text), &size, &resident, &shared)
		name, _ := os.ReadFile(filepath.Join("/proc", pid, "comm"))
		out = append(out, fmt.Sprintf("%s %d MiB", strings.TrimSpace(string(name)), (resident-shared)*int64(os.Getpagesize())>>20))
	}
	return strings.Join(out, ", ")
}

func (c *cage) field(t *testing.T, name, field string) int64 {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(c.dir, name))
	if err != nil {
		t.Error(err)
		return 0
	}
	for _, line := range strings.Split(string(text), "\n") {
		if f := strings.Fields(line); len(f) == 2 && f[0] == field {
			n, err := strconv.ParseInt(f[1], 10, 64)
			if err != nil {
				t.Error(err)
			}
			return n
		}
	}
	t.Errorf("%s of %s has no %s", name, c.dir, field)
	return 0
}
