package temporalserver

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// ready tells where a server listens; tools/temporal prints it as JSON.
type ready struct {
	GRPC string `json:"grpc"`
	UI   string `json:"ui"`
	PID  int    `json:"pid"`
}

// child is a server process.
type child struct {
	ready ready
	cmd   *exec.Cmd
	stdin io.Closer     // held open for as long as the child should live
	line  chan string   // the first line it prints; closed when there is none
	done  chan struct{} // closed when the process has ended
	err   error         // how it ended; set before done is closed
	said  tail
}

// start starts a process and waits until it answers. On error the process has
// ended.
func (r *runner) start(ctx context.Context) (*child, error) {
	c := &child{line: make(chan string, 1), done: make(chan struct{})}
	c.cmd = exec.Command(r.binary, r.args(r.opts)...)
	// A group of its own: Ctrl-C in a terminal reaches us alone, and we stop
	// the server after those who still need it.
	c.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if m := r.opts.Memory; m > 0 {
		c.cmd.Env = append(os.Environ(), fmt.Sprintf("GOMEMLIMIT=%d", m/10*9)) // a tenth is SQLite's
	}
	stdin, err := c.cmd.StdinPipe()
	if err != nil {
		return nil, transient("make a pipe: %w", err)
	}
	c.stdin = stdin
	stdout, err := c.cmd.StdoutPipe()
	if err != nil {
		return nil, transient("make a pipe: %w", err)
	}
	stderr, err := c.cmd.StderrPipe()
	if err != nil {
		return nil, transient("make a pipe: %w", err)
	}
	if err := c.cmd.Start(); err != nil {
		return nil, invalid("run %s: %w", r.binary, plain(err))
	}
	hear := func(text string) {
		c.said.add(text)
		r.opts.Log.Debug("Temporal server says", "text", text)
	}
	var readers sync.WaitGroup
	readers.Go(func() { eachLine(stderr, hear) })
	readers.Go(func() {
		defer close(c.line)
		first := true
		eachLine(stdout, func(text string) {
			if first {
				first = false
				c.line <- text
				return
			}
			hear(text)
		})
	})
	go func() {
		readers.Wait() // before Wait, which closes the pipes
		c.err = c.cmd.Wait()
		close(c.done)
	}()

	ctx, cancel := context.WithTimeout(ctx, r.opts.StartTimeout)
	defer cancel()
	at, err := r.await(ctx, c)
	if err != nil {
		c.stop(r.opts.StopTimeout)
		return nil, err
	}
	c.ready = at
	return c, nil
}

// awaitLine takes the ready line of tools/temporal.
func awaitLine(ctx context.Context, c *child) (ready, error) {
	select {
	case text, ok := <-c.line:
		if !ok {
			<-c.done
			return ready{}, c.died()
		}
		var at ready
		if err := json.Unmarshal([]byte(text), &at); err != nil || at.GRPC == "" {
			return ready{}, invalid("%s is not a Temporal server of ours: it prints %q", c.cmd.Path, text)
		}
		return at, nil
	case <-ctx.Done():
		return ready{}, c.late(ctx)
	}
}

// awaitUI asks the web page's API to count workflows: that takes the frontend
// and the visibility store.
func awaitUI(ctx context.Context, c *child) (ready, error) {
	args := c.cmd.Args
	flag := func(name string) string {
		for i, a := range args[:len(args)-1] {
			if a == name {
				return args[i+1]
			}
		}
		return ""
	}
	at := ready{
		GRPC: net.JoinHostPort(loopback, flag("--port")), UI: "http://" + net.JoinHostPort(loopback, flag("--ui-port")), PID: c.cmd.Process.Pid,
	}
	again := time.NewTicker(pollEvery)
	defer again.Stop()
	for {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, at.UI+"/api/v1/namespaces/default/workflow-count", nil)
		if err != nil {
			return ready{}, err
		}
		if res, err := http.DefaultClient.Do(req); err == nil {
			res.Body.Close()
			if res.StatusCode == http.StatusOK {
				return at, nil
			}
		}
		select {
		case <-again.C:
		case <-c.done:
			return ready{}, c.died()
		case <-ctx.Done():
			return ready{}, c.late(ctx)
		}
	}
}

func (c *child) late(ctx context.Context) error {
	return transient("it is not ready: %w%s", ctx.Err(), c.said.text())
}

// died says how the process ended; done is closed.
func (c *child) died() error {
	how := "it ended by itself"
	if c.err != nil {
		how = c.err.Error()
	}
	return transient("%s%s", how, c.said.text())
}

// stop ends the process: closing its input asks it to, and after d it is
// killed with everything it started.
func (c *child) stop(d time.Duration) {
	_ = c.stdin.Close()
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-c.done:
	case <-timer.C:
	}
	// The group may have members left although the child has ended.
	_ = syscall.Kill(-c.cmd.Process.Pid, syscall.SIGKILL)
	<-c.done
}

// tail keeps the last lines a process said.
type tail struct {
	mu    sync.Mutex // guards lines
	lines []string
}

const tailLines = 5

func (t *tail) add(line string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.lines) == tailLines {
		t.lines = append(t.lines[:0], t.lines[1:]...)
	}
	t.lines = append(t.lines, line)
}

// text returns the lines to be put behind an error, or "".
func (t *tail) text() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.lines) == 0 {
		return ""
	}
	return fmt.Sprintf("; it said: %s", strings.Join(t.lines, " | "))
}

// eachLine calls fn with every line of in, long ones in pieces, until in ends.
func eachLine(in io.Reader, fn func(string)) {
	r := bufio.NewReaderSize(in, 16<<10)
	for {
		text, _, err := r.ReadLine()
		if err != nil {
			return
		}
		fn(string(text))
	}
}

// portOf returns the port of host:port or of a URL.
func portOf(address string) int {
	if u, err := url.Parse(address); err == nil && u.Host != "" {
		address = u.Host
	}
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		return 0
	}
	n, _ := strconv.Atoi(port)
	return n
}
