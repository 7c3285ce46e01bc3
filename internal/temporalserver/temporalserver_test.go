package temporalserver

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"anabranch/fault"
)

// lives hears from fakes: each connection is one, and ends with it.
type lives struct {
	net.Listener
	t *testing.T
}

func listenToLives(t *testing.T) *lives {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return &lives{l, t}
}

// next returns the process id of the fake that begins to live, and a channel
// that is closed when it has ended.
func (l *lives) next() (pid int, ended <-chan struct{}) {
	l.t.Helper()
	conn, err := l.Accept()
	if err != nil {
		l.t.Fatal(err)
	}
	r := bufio.NewReader(conn)
	line, err := r.ReadString('\n')
	if err != nil {
		l.t.Fatal(err)
	}
	pid, _ = strconv.Atoi(strings.TrimSpace(line))
	done := make(chan struct{})
	go func() { _, _ = io.Copy(io.Discard, r); conn.Close(); close(done) }()
	return pid, done
}

func kill(t *testing.T, pid int) {
	t.Helper()
	p, err := os.FindProcess(pid)
	if err == nil {
		err = p.Kill()
	}
	if err != nil {
		t.Fatal(err)
	}
}

func TestStartsAgainWhereItWas(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{"binary", "cli"} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			l, dir := listenToLives(t), t.TempDir()
			order(t, dir, orders{Tell: l.Addr().String()})
			opts := Options{Dir: dir, Binary: os.Args[0], SearchAttributes: []string{"Pipeline=Keyword"}}
			if kind == "cli" {
				opts.Binary, opts.CLI = "", os.Args[0]
			}
			s := New(opts)
			if err := s.Start(t.Context()); err != nil {
				t.Fatal(err)
			}
			defer s.Stop()
			first, firstEnded := l.next()
			address, ui := s.Address(), s.UI()
			if portOf(address) == 0 || portOf(ui) == 0 || !strings.HasPrefix(ui, "http://127.0.0.1:") {
				t.Fatalf("listens on %q and %q", address, ui)
			}
			kill(t, first)
			<-firstEnded
			_, secondEnded := l.next()
			if s.Address() != address || s.UI() != ui {
				t.Fatalf("moved from %s to %s", address, s.Address())
			}
			select {
			case <-s.Done():
				t.Fatal("done although it was started again")
			default:
			}
			s.Stop()
			s.Stop()
			<-secondEnded
			<-s.Done()
			if s.Err() != nil {
				t.Fatal(s.Err())
			}
		})
	}
}

// TestAPortIsTakenMeanwhile: with ports of its own choice it takes others,
// with given ones it says so.
func TestAPortIsTakenMeanwhile(t *testing.T) {
	t.Parallel()
	for _, given := range []bool{false, true} {
		dir := t.TempDir()
		order(t, dir, orders{Once: true, Fail: "listen tcp 127.0.0.1:46439: bind: address already in use"})
		opts := Options{Dir: dir, Binary: os.Args[0]}
		if given {
			opts.Port, opts.UIPort = 1, 2
		}
		s := New(opts)
		err := s.Start(t.Context())
		s.Stop()
		if given != (err != nil && strings.Contains(err.Error(), "already in use")) {
			t.Errorf("given ports %v: %v", given, err)
		}
	}
}

func TestServerEndsWithAKilledParent(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{"binary", "cli"} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			l, dir := listenToLives(t), t.TempDir()
			order(t, dir, orders{Tell: l.Addr().String()})
			parent := exec.Command(os.Args[0], "parent", kind, dir)
			parent.Stderr = os.Stderr
			out, err := parent.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := parent.Start(); err != nil {
				t.Fatal(err)
			}
			if line, _ := bufio.NewReader(out).ReadString('\n'); line != "up\n" {
				t.Fatalf("parent says %q", line)
			}
			_, ended := l.next()
			kill(t, parent.Process.Pid)
			_ = parent.Wait()
			<-ended
		})
	}
}

func TestGivesUpAndSaysWhy(t *testing.T) {
	t.Parallel()
	l, dir := listenToLives(t), t.TempDir()
	order(t, dir, orders{Tell: l.Addr().String()})
	s := New(Options{Dir: dir, Binary: os.Args[0], Restarts: 2})
	if err := s.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	defer s.Stop()
	pid, _ := l.next()
	order(t, dir, orders{Fail: "temporal: disk is full"})
	kill(t, pid)
	<-s.Done()
	if err := s.Err(); err == nil || !strings.Contains(err.Error(), "2 starts failed") || !strings.Contains(err.Error(), "disk is full") {
		t.Fatal(err)
	}
}

func TestFailedStarts(t *testing.T) {
	t.Parallel()
	// In which a child must have told its number, on a busy machine too.
	const toTell = 10 * time.Second
	for name, c := range map[string]struct {
		orders orders
		opts   Options
		want   string
		kind   fault.Kind
	}{
		"says why":       {orders{Fail: "temporal: the data directory is in use"}, Options{}, "exit status 1; it said: temporal: the data directory is in use", fault.Transient},
		"something else": {orders{Garbage: true}, Options{}, `prints "Server: localhost"`, fault.Invalid},
		"never ready":    {orders{Mute: true}, Options{StartTimeout: toTell}, "not ready", fault.Transient},
		"does not stop":  {orders{Mute: true, Deaf: true}, Options{StartTimeout: toTell, StopTimeout: 50 * time.Millisecond}, "not ready", fault.Transient},
		"no binary":      {orders{}, Options{Binary: "/nowhere/temporal"}, "/nowhere/temporal", fault.Invalid},
		"no CLI":         {orders{}, Options{Binary: "-", CLI: "/nowhere/temporal"}, "/nowhere/temporal", fault.Invalid},
		"no source":      {orders{}, Options{Binary: "-", CLI: "-", Source: "/nowhere"}, "/nowhere does not hold the source", fault.Invalid},
		"no directory":   {orders{}, Options{Dir: "-"}, "needs a directory", fault.Invalid},
		"bad address":    {orders{}, Options{Address: "localhost"}, "host:port", fault.Invalid},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l, dir := listenToLives(t), t.TempDir()
			c.orders.Tell = l.Addr().String()
			order(t, dir, c.orders)
			opts := c.opts
			switch opts.Dir {
			case "":
				opts.Dir = dir
			case "-":
				opts.Dir = ""
			}
			switch opts.Binary {
			case "":
				opts.Binary = os.Args[0]
			case "-":
				opts.Binary = ""
			}
			s := New(opts)
			err := s.Start(t.Context())
			if err == nil || !strings.Contains(err.Error(), c.want) || fault.KindOf(err) != c.kind {
				t.Fatalf("got %v (%v), want %q (%v)", err, fault.KindOf(err), c.want, c.kind)
			}
			if strings.Contains(err.Error(), "\n") {
				t.Errorf("more than one line: %q", err)
			}
			if c.orders != (orders{Tell: c.orders.Tell}) {
				_, ended := l.next()
				<-ended // no process is left behind
			}
			s.Stop()
		})
	}
}

func TestCancelledStartLeavesNoProcess(t *testing.T) {
	t.Parallel()
	l, dir := listenToLives(t), t.TempDir()
	order(t, dir, orders{Tell: l.Addr().String(), Mute: true})
	ctx, cancel := context.WithCancel(t.Context())
	result := make(chan error, 1)
	go func() { result <- New(Options{Dir: dir, Binary: os.Args[0]}).Start(ctx) }()
	_, ended := l.next()
	cancel()
	if err := <-result; !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	<-ended
}

func TestGivenAddressIsTaken(t *testing.T) {
	t.Parallel()
	s := New(Options{Address: "temporal.example:7233", UI: "https://temporal.example", Binary: "/nowhere"})
	if err := s.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	if s.Address() != "temporal.example:7233" || s.UI() != "https://temporal.example" {
		t.Fatal(s.Address(), s.UI())
	}
	s.Stop()
	<-s.Done()
}

func TestDelayGrowsAndStaysBounded(t *testing.T) {
	t.Parallel()
	if delay(0) != firstDelay || delay(1) != 2*firstDelay || delay(8) != lastDelay || delay(1000) != lastDelay {
		t.Fatal(delay(0), delay(1), delay(8), delay(1000))
	}
}

func source(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{"go.mod": sourceModule + "\n", "go.sum": "", "main.go": "package main\n"} {
		if err := os.WriteFile(dir+"/"+name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestBuildsOnceForAllWhoAskAtOnce(t *testing.T) {
	t.Parallel()
	src, cache := source(t), t.TempDir()
	if err := os.WriteFile(src+"/wait", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	var waited, compiled, finished bool
	progress := func(p Progress) {
		mu.Lock()
		defer mu.Unlock()
		waited = waited || p.Waiting
		compiled = compiled || p.Packages == 2 && p.Modules == 1 && !p.Done
		finished = finished || p.Done
		if waited && compiled {
			_ = os.Remove(src + "/wait")
		}
	}
	var all sync.WaitGroup
	for range 2 {
		all.Go(func() {
			s := New(Options{Dir: t.TempDir(), CLI: "-", Source: src, CacheDir: cache, Go: os.Args[0], Progress: progress})
			if err := s.Start(t.Context()); err != nil {
				t.Error(err)
			}
			s.Stop()
		})
	}
	all.Wait()
	if !waited || !compiled || !finished {
		t.Errorf("progress: waited %v, compiled %v, finished %v", waited, compiled, finished)
	}
	builds := func() int {
		data, _ := os.ReadFile(src + "/builds")
		return strings.Count(string(data), "built")
	}
	if n := builds(); n != 1 {
		t.Fatalf("%d builds, want 1", n)
	}
	// Other source, other binary.
	if err := os.WriteFile(src+"/main.go", []byte("package main // changed\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	opts := Options{CacheDir: cache, Go: os.Args[0]}.withDefaults()
	if _, err := build(t.Context(), opts, src); err != nil || builds() != 2 {
		t.Fatal(err, builds())
	}
	if _, err := build(t.Context(), opts, src); err != nil || builds() != 2 {
		t.Fatal("built again", err, builds())
	}
}

func TestFailedBuildSaysWhyAndLeavesNothing(t *testing.T) {
	t.Parallel()
	src, cache := source(t), t.TempDir()
	if err := os.WriteFile(src+"/broken", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	opts := Options{CacheDir: cache, Go: os.Args[0]}.withDefaults()
	_, err := build(t.Context(), opts, src)
	if !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), "expected declaration") {
		t.Fatal(err)
	}
	if err := os.Remove(src + "/broken"); err != nil {
		t.Fatal(err)
	}
	if _, err := build(t.Context(), opts, src); err != nil {
		t.Fatal(err)
	}
}

func TestProgressLines(t *testing.T) {
	t.Parallel()
	for want, p := range map[string]Progress{
		"building the Temporal server, first time only, takes some minutes: 35 s, 412 packages":        {Elapsed: 35 * time.Second, Packages: 412, Modules: 7},
		"building the Temporal server, first time only, takes some minutes: 4 s, 7 modules downloaded": {Elapsed: 4 * time.Second, Modules: 7},
		"another process is building the Temporal server, waiting for it: 1m5s":                        {Elapsed: 65 * time.Second, Waiting: true},
		"built the Temporal server in 4m11s":                                                           {Elapsed: 251 * time.Second, Done: true},
	} {
		if got := p.String(); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

// TestRealServer builds the real server, the first time in minutes, and
// starts it.
func TestRealServer(t *testing.T) {
	t.Parallel()
	s := New(Options{Dir: t.TempDir(), CLI: "-", SearchAttributes: []string{"Pipeline=Keyword"}, Progress: func(p Progress) { t.Log(p) }})
	if err := s.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	defer s.Stop()
	res, err := http.Get(s.UI() + "/api/v1/namespaces/default/search-attributes")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, _ := io.ReadAll(res.Body)
	if !strings.Contains(string(body), `"Pipeline"`) {
		t.Fatalf("%s: %s", res.Status, body)
	}
	conn, err := net.Dial("tcp", s.Address())
	if err != nil {
		t.Fatal(err)
	}
	conn.Close()
}
