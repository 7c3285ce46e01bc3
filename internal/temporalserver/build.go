package temporalserver

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"anabranch/internal/clock"
)

// Progress tells how far a build is. String makes a line for a person of it.
type Progress struct {
	Elapsed  time.Duration
	Modules  int  // downloaded so far
	Packages int  // compiled so far
	Waiting  bool // another process builds the same
	Done     bool
}

func (p Progress) String() string {
	at := p.Elapsed.Round(time.Second).String()
	if p.Elapsed < time.Minute {
		at = fmt.Sprintf("%d s", int(p.Elapsed.Seconds()))
	}
	switch {
	case p.Done:
		return fmt.Sprintf("built the Temporal server in %s", at)
	case p.Waiting:
		return fmt.Sprintf("another process is building the Temporal server, waiting for it: %s", at)
	case p.Packages == 0 && p.Modules > 0:
		return fmt.Sprintf("building the Temporal server, first time only, takes some minutes: %s, %d modules downloaded", at, p.Modules)
	}
	return fmt.Sprintf("building the Temporal server, first time only, takes some minutes: %s, %d packages", at, p.Packages)
}

const binaryName = "temporal-server"

// build returns the server built from source, building it when the cache has
// none of the same source and compiler. Two processes that ask at once build
// it once.
func build(ctx context.Context, opts Options, source string) (string, error) {
	goCommand, err := exec.LookPath(cmp.Or(opts.Go, "go"))
	if err != nil {
		return "", invalid("build the Temporal server: no go command: install Go or the Temporal CLI, or give the address of a server")
	}
	cache := opts.CacheDir
	if cache == "" {
		user, err := os.UserCacheDir()
		if err != nil {
			return "", invalid("find the cache directory: %w", err)
		}
		cache = filepath.Join(user, "anabranch")
	}
	hash, err := hashSource(ctx, goCommand, source)
	if err != nil {
		return "", err
	}
	dir := filepath.Join(cache, "temporal-"+hash)
	binary := filepath.Join(dir, binaryName)
	if _, err := os.Stat(binary); err == nil {
		return binary, nil
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", invalid("make the cache directory %s: %w", dir, plain(err))
	}
	b := &builder{goCommand: goCommand, source: source, dir: dir, tell: opts.Progress, clock: opts.Clock}
	if b.tell == nil {
		b.tell = func(p Progress) { opts.Log.Debug(p.String()) }
	}
	if err := b.run(ctx); err != nil {
		return "", fmt.Errorf("build the Temporal server: %w", err)
	}
	return binary, nil
}

// hashSource names a build by all that goes into it.
func hashSource(ctx context.Context, goCommand, source string) (string, error) {
	h := sha256.New()
	version, err := exec.CommandContext(ctx, goCommand, "env", "-C", source, "GOVERSION", "GOOS", "GOARCH").Output()
	if err != nil {
		return "", invalid("ask %s for its version: %w", goCommand, err)
	}
	h.Write(version)
	names, err := filepath.Glob(filepath.Join(source, "*"))
	if err != nil {
		return "", invalid("list %s: %w", source, err)
	}
	slices.Sort(names)
	for _, name := range names {
		base := filepath.Base(name)
		isGo := strings.HasSuffix(base, ".go") && !strings.HasSuffix(base, "_test.go")
		if !isGo && base != "go.mod" && base != "go.sum" {
			continue
		}
		data, err := os.ReadFile(name)
		if err != nil {
			return "", invalid("read %s: %w", name, plain(err))
		}
		fmt.Fprintf(h, "%s %d\n", base, len(data))
		h.Write(data)
	}
	return hex.EncodeToString(h.Sum(nil))[:16], nil
}

type builder struct {
	goCommand, source, dir string
	tell                   func(Progress)
	clock                  clock.Clock

	waiting           atomic.Bool
	modules, packages atomic.Int64
}

// run builds under the lock of the directory, telling how far it is.
func (b *builder) run(ctx context.Context) error {
	began := b.clock.Now()
	report := func(done bool) {
		b.tell(Progress{
			Elapsed: b.clock.Now().Sub(began), Waiting: b.waiting.Load(), Done: done,
			Modules: int(b.modules.Load()), Packages: int(b.packages.Load()),
		})
	}
	result := make(chan error, 1)
	go func() { result <- b.locked(ctx) }()
	report(false)
	for {
		select {
		case err := <-result:
			if err == nil {
				report(true)
			}
			return err
		case <-b.clock.After(time.Second):
			report(false)
		}
	}
}

func (b *builder) locked(ctx context.Context) error {
	lock, err := os.OpenFile(filepath.Join(b.dir, "lock"), os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return invalid("write to the cache directory %s: %w", b.dir, plain(err))
	}
	defer lock.Close()
	if err := b.lock(ctx, lock); err != nil {
		return err
	}
	if _, err := os.Stat(filepath.Join(b.dir, binaryName)); err == nil {
		return nil // the process we waited for built it
	}
	return b.build(ctx)
}

func (b *builder) lock(ctx context.Context, lock *os.File) error {
	again := time.NewTicker(pollEvery)
	defer again.Stop()
	defer b.waiting.Store(false)
	for {
		err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil {
			return nil
		}
		if !errors.Is(err, syscall.EWOULDBLOCK) {
			return transient("lock %s: %w", lock.Name(), err)
		}
		b.waiting.Store(true)
		select {
		case <-again.C:
		case <-ctx.Done():
			return transient("wait for the process that builds it: %w", ctx.Err())
		}
	}
}

// build compiles into a file of another name and renames it, so that a binary
// under its own name is whole.
func (b *builder) build(ctx context.Context) error {
	unfinished := filepath.Join(b.dir, binaryName+".new")
	cmd := exec.CommandContext(ctx, b.goCommand, "build", "-C", b.source, "-v", "-ldflags", "-s -w", "-o", unfinished, ".")
	cmd.Env = append(os.Environ(), "GOWORK=off")
	// Compilers are children of the go command: all of them end together.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	out, in := io.Pipe()
	cmd.Stdout, cmd.Stderr = in, in
	var said tail
	var reading sync.WaitGroup
	reading.Go(func() { eachLine(out, func(text string) { b.count(text, &said) }) })
	err := cmd.Run()
	in.Close()
	reading.Wait()
	switch {
	case ctx.Err() != nil:
		return transient("%w", ctx.Err())
	case err != nil:
		return invalid("%w%s; run `go build -C %s` to see more, or install the Temporal CLI, or give the address of a server", err, said.text(), b.source)
	}
	if err := syncFile(unfinished); err != nil {
		return transient("store %s: %w", unfinished, plain(err))
	}
	if err := os.Rename(unfinished, filepath.Join(b.dir, binaryName)); err != nil {
		return transient("store the binary: %w", err)
	}
	return nil
}

// count takes one line of `go build -v`: a download, a package, or a complaint.
func (b *builder) count(text string, said *tail) {
	switch {
	case strings.HasPrefix(text, "go: downloading "):
		b.modules.Add(1)
	case fs.ValidPath(text) && !strings.ContainsAny(text, " :"):
		b.packages.Add(1)
	default:
		said.add(text)
	}
}

func syncFile(name string) error {
	f, err := os.OpenFile(name, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	return f.Sync()
}
