package temporalserver

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"time"
)

// runner knows how to start one kind of server.
type runner struct {
	opts   Options
	kind   string // "binary", "cli" or "built", for the log
	binary string
	// args returns the arguments for the ports of opts.
	args func(Options) []string
	// await returns where the server listens once it answers.
	await func(context.Context, *child) (ready, error)
}

// choose finds what to run, building it when there is nothing else.
func choose(ctx context.Context, opts Options) (*runner, error) {
	own := func(kind, binary string) *runner {
		return &runner{opts: opts, kind: kind, binary: binary, args: ownArgs, await: awaitLine}
	}
	if opts.Binary != "" {
		if _, err := exec.LookPath(opts.Binary); err != nil {
			return nil, invalid("the Temporal server binary %s: %w", opts.Binary, plain(err))
		}
		return own("binary", opts.Binary), nil
	}
	if opts.CLI != "-" {
		name := opts.CLI
		if name == "" {
			name = "temporal"
		}
		path, err := exec.LookPath(name)
		if err == nil {
			return chooseCLI(opts, path)
		}
		if opts.CLI != "" {
			return nil, invalid("the Temporal CLI %s: %w", opts.CLI, plain(err))
		}
	}
	source, err := findSource(opts.Source)
	if err != nil {
		return nil, err
	}
	binary, err := build(ctx, opts, source)
	if err != nil {
		return nil, err
	}
	return own("built", binary), nil
}

func ownArgs(o Options) []string {
	args := []string{"--dir", o.Dir, "--port", strconv.Itoa(o.Port), "--ui-port", strconv.Itoa(o.UIPort), "--log", o.LogLevel}
	for _, a := range o.SearchAttributes {
		args = append(args, "--search-attribute", a)
	}
	return args
}

// holdByStdin runs its arguments as a child of a shell that kills the child
// when the shell's standard input closes. The Temporal CLI does not watch its
// parent; this makes it end with us even after kill -9.
const holdByStdin = `exec 3<&0; "$@" </dev/null 3<&- & child=$!
(while read -r _; do :; done; kill "$child") <&3 2>/dev/null & watch=$!
trap 'kill "$child"' TERM INT
wait "$child"; code=$?; kill "$watch" 2>/dev/null; exit $code`

// chooseCLI runs `temporal server start-dev`. Its database is a file of its
// own, because a CLI of another version may have another schema.
func chooseCLI(opts Options, path string) (*runner, error) {
	if err := os.MkdirAll(opts.Dir, 0o755); err != nil {
		return nil, invalid("make the directory of the Temporal server: %w", plain(err))
	}
	for _, port := range []*int{&opts.Port, &opts.UIPort} {
		if *port != 0 {
			continue
		}
		l, err := net.Listen("tcp", net.JoinHostPort(loopback, "0"))
		if err != nil {
			return nil, transient("find a free port: %w", err)
		}
		defer l.Close() // held until both are found, so that they differ
		*port = l.Addr().(*net.TCPAddr).Port
	}
	return &runner{opts: opts, kind: "cli", binary: "/bin/sh", await: awaitUI, args: func(o Options) []string {
		args := []string{"-c", holdByStdin, "sh", path, "server", "start-dev",
			"--ip", loopback, "--port", strconv.Itoa(o.Port), "--ui-port", strconv.Itoa(o.UIPort),
			"--db-filename", filepath.Join(o.Dir, "temporal-cli.db"), "--log-level", o.LogLevel}
		for _, a := range o.SearchAttributes {
			args = append(args, "--search-attribute", a)
		}
		return args
	}}, nil
}

const loopback = "127.0.0.1"

// keep fixes the ports to those of a server that runs.
func (r *runner) keep(at ready) {
	r.opts.Port, r.opts.UIPort = portOf(at.GRPC), portOf(at.UI)
}

// sourceModule is the first line of tools/temporal/go.mod; another module's
// tools/temporal is not ours.
const sourceModule = "module anabranch/tools/temporal"

// findSource returns the directory of tools/temporal.
func findSource(given string) (string, error) {
	if given != "" {
		if !isSource(given) {
			return "", invalid("%s does not hold the source of the Temporal server: name the directory tools/temporal of a clone of Anabranch", given)
		}
		return filepath.Abs(given)
	}
	var from []string
	if dir, err := os.Getwd(); err == nil {
		from = append(from, dir)
	}
	if exe, err := os.Executable(); err == nil {
		if real, err := filepath.EvalSymlinks(exe); err == nil {
			exe = real
		}
		from = append(from, filepath.Dir(exe))
	}
	// Where this file was compiled: right for a binary that was built from a
	// clone that is still there and then copied elsewhere.
	if _, file, _, ok := runtime.Caller(0); ok && filepath.IsAbs(file) {
		from = append(from, filepath.Dir(file))
	}
	for _, dir := range from {
		for {
			if found := filepath.Join(dir, "tools", "temporal"); isSource(found) {
				return found, nil
			}
			parent := filepath.Dir(dir)
			if parent == dir {
				break
			}
			dir = parent
		}
	}
	return "", invalid("no Temporal server: there is no `temporal` on PATH and no source of our own to build; " +
		"install the Temporal CLI, or give the address of a server, or run from a clone of Anabranch")
}

func isSource(dir string) bool {
	mod, err := os.ReadFile(filepath.Join(dir, "go.mod"))
	first, _, _ := bytes.Cut(mod, []byte("\n"))
	return err == nil && string(bytes.TrimSpace(first)) == sourceModule
}

// plain turns an error about a path into its reason.
func plain(err error) error {
	var p *fs.PathError
	if errors.As(err, &p) {
		return p.Err
	}
	var e *exec.Error
	if errors.As(err, &e) {
		return plain(e.Err)
	}
	return err
}

// pollEvery is the pause between two looks at something that tells nothing by
// itself: another process's lock, a server that is coming up.
const pollEvery = 100 * time.Millisecond
