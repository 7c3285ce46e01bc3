package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"anabranch/cmd/anabranch/api"
	"anabranch/cmd/anabranch/client"
	"anabranch/fault"
)

// asProgram in the environment makes this test binary the program itself, so
// that what is killed here is what is shipped.
const asProgram = "ANABRANCH_TEST_AS_PROGRAM"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		main()
	}
	os.Exit(m.Run())
}

// command returns the program with arguments, not started.
func command(args ...string) *exec.Cmd {
	cmd := exec.Command(os.Args[0], args...)
	cmd.Env = append(os.Environ(), asProgram+"=1")
	return cmd
}

// patience is how long a test waits for what must happen before it takes it
// for hanging. It bounds nothing else: a machine may be slow, its disk may stall.
const patience = 5 * time.Minute

// insist does something until it is done, or fails with what another try
// would not mend.
func insist(ctx context.Context, do func(context.Context) error) error {
	for {
		err := do(ctx)
		if err == nil || ctx.Err() != nil || !fault.KindOf(err).Retryable() {
			return err
		}
		pause(ctx, 100*time.Millisecond)
	}
}

// freePorts makes every server of the program choose its port.
var freePorts = []string{"--http", "127.0.0.1:0", "--pg", "127.0.0.1:0", "--flight", "127.0.0.1:0", "--nats-listen", "127.0.0.1:0", "--temporal-listen", "127.0.0.1:0", "--temporal-ui", "127.0.0.1:0"}

// program is one process of ours, which may be killed and started
// again on the same folder.
type program struct {
	t    *testing.T
	dir  string
	args []string
	log  string // file of what it printed
	// procs is a file that it writes its number into before anything else: that
	// of a control group. Empty: none.
	procs string

	mu    sync.Mutex // guards the fields below
	cmd   *exec.Cmd
	ended chan struct{} // closed when the process has been waited for
	began int64         // how long the log was when it was started
	bad   string        // why it did not become ready
	at    api.Addresses
}

// newProgram returns a process with its state in dir, not started; args begin
// with the subcommand.
func newProgram(t *testing.T, dir string, args ...string) *program {
	p := &program{t: t, dir: dir, args: append(args, "--dir", dir, "--log", "info"), log: filepath.Join(t.TempDir(), "log")}
	t.Cleanup(func() {
		p.kill()
		if text, err := os.ReadFile(p.log); err == nil && t.Failed() {
			t.Logf("the end of what the program said:\n%s", text[max(0, len(text)-6000):])
		}
	})
	return p
}

// launch starts the process and does not wait until it is ready.
func (p *program) launch() {
	p.t.Helper()
	if err := os.Remove(filepath.Join(p.dir, "addresses.json")); err != nil && !os.IsNotExist(err) {
		p.t.Fatal(err)
	}
	out, err := os.OpenFile(p.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		p.t.Fatal(err)
	}
	defer out.Close()
	if info, err := out.Stat(); err == nil {
		p.began = info.Size()
	}
	cmd, ended := command(p.args...), make(chan struct{})
	if p.procs != "" {
		cmd.Path, cmd.Args = "/bin/sh", append([]string{"sh", "-c", `echo $$ > "$0" && exec "$@"`, p.procs}, cmd.Args...)
	}
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Start(); err != nil {
		p.t.Fatal(err)
	}
	go func() { _ = cmd.Wait(); close(ended) }()
	p.mu.Lock()
	p.cmd, p.ended = cmd, ended
	p.mu.Unlock()
}

// await waits until the process has written its addresses; mustBeReady tells
// how that went.
func (p *program) await() {
	within := time.After(patience)
	for {
		text, err := os.ReadFile(filepath.Join(p.dir, "addresses.json"))
		var at api.Addresses
		if err == nil && json.Unmarshal(text, &at) == nil && at.PID == p.cmd.Process.Pid {
			p.mu.Lock()
			p.at, p.bad = at, ""
			p.mu.Unlock()
			return
		}
		select {
		case <-p.ended:
			p.bad = fmt.Sprintf("the program ended by itself: %v", p.cmd.ProcessState)
			return
		case <-within:
			p.bad = fmt.Sprintf("the program is not ready after %v", patience)
			return
		case <-time.After(10 * time.Millisecond):
		}
	}
}

func (p *program) mustBeReady() {
	p.t.Helper()
	if p.bad != "" {
		p.t.Fatalf("%v: %s", p.args, p.bad)
	}
}

// said reports whether the process has logged a text since it was started.
func (p *program) said(what string) bool {
	text, err := os.ReadFile(p.log)
	return err == nil && bytes.Contains(text[p.began:], []byte(what))
}

// kill ends the process as a power switch would.
func (p *program) kill() {
	p.mu.Lock()
	cmd, ended := p.cmd, p.ended
	p.mu.Unlock()
	if cmd != nil {
		_ = cmd.Process.Kill()
		<-ended
	}
}

// interrupt is Ctrl-C; the process must end well and soon.
func (p *program) interrupt() {
	p.t.Helper()
	if err := p.cmd.Process.Signal(syscall.SIGINT); err != nil {
		p.t.Fatal(err)
	}
	select {
	case <-p.ended:
	case <-time.After(patience):
		p.t.Fatalf("Ctrl-C did not end the program in %v", patience)
	}
	if code := p.cmd.ProcessState.ExitCode(); code != 0 {
		p.t.Fatalf("after Ctrl-C the program ended with %d", code)
	}
}

// killTemporal kills the child that runs Temporal, if there is one now.
func (p *program) killTemporal() {
	p.t.Helper()
	out, _ := exec.Command("pgrep", "-P", strconv.Itoa(p.cmd.Process.Pid)).Output()
	for _, field := range strings.Fields(string(out)) {
		pid, err := strconv.Atoi(field)
		if err != nil {
			p.t.Fatalf("pgrep says %q", out)
		}
		_ = syscall.Kill(pid, syscall.SIGKILL)
	}
}

// client talks to where the program listens now, and gives up after a while:
// the outcome of what it asked is then unknown.
func (p *program) client() *client.Client {
	p.mu.Lock()
	defer p.mu.Unlock()
	return client.New(p.at.HTTP)
}

// post sends a body of events once. Only an answer that was read to its end
// counts as an acknowledgement.
func (p *program) post(h *http.Client, key string, body []byte) (a api.Answer, err error) {
	p.mu.Lock()
	url := p.at.HTTP + "/v1/pipelines/retail/events"
	p.mu.Unlock()
	req, err := http.NewRequest(http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return a, err
	}
	req.Header.Set("Content-Type", "text/csv")
	req.Header.Set("Idempotency-Key", key)
	resp, err := h.Do(req)
	if err != nil {
		return a, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		r := &refused{status: resp.StatusCode, retryAfter: resp.Header.Get("Retry-After"), media: resp.Header.Get("Content-Type")}
		_ = json.NewDecoder(resp.Body).Decode(&r.problem) // left empty, it is no problem document
		return a, r
	}
	return a, json.NewDecoder(resp.Body).Decode(&a)
}

// refused is an answer that is no acknowledgement.
type refused struct {
	status            int
	retryAfter, media string
	problem           api.Problem
}

func (r *refused) Error() string {
	return fmt.Sprintf("status %d: %s: %s", r.status, r.problem.Code, r.problem.Detail)
}
