package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	commonpb "go.temporal.io/api/common/v1"
	"go.temporal.io/api/operatorservice/v1"
	taskqueuepb "go.temporal.io/api/taskqueue/v1"
	"go.temporal.io/api/workflowservice/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
)

// asServer makes the test binary behave as the command.
const asServer = "ANABRANCH_TEST_AS_TEMPORAL"

func TestMain(m *testing.M) {
	if os.Getenv(asServer) != "" {
		main()
		return
	}
	os.Exit(m.Run())
}

type process struct {
	ready
	cmd    *exec.Cmd
	stdin  io.Closer
	stderr *bytes.Buffer
}

func command(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command(os.Args[0], args...)
	cmd.Env = append(os.Environ(), asServer+"=1")
	return cmd
}

// start runs the server and waits for its ready line.
func start(t *testing.T, dir string, more ...string) *process {
	t.Helper()
	p := &process{cmd: command(t, append([]string{"--dir", dir, "--port", "0", "--ui-port", "0"}, more...)...), stderr: &bytes.Buffer{}}
	p.cmd.Stderr = p.stderr
	stdin, err := p.cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	p.stdin = stdin
	stdout, err := p.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.cmd.Process.Kill(); _ = p.cmd.Wait() })
	line, err := bufio.NewReader(stdout).ReadBytes('\n')
	if err != nil {
		_ = p.cmd.Wait()
		t.Fatalf("no ready line: %v\n%s", err, p.stderr)
	}
	if err := json.Unmarshal(line, &p.ready); err != nil || p.PID != p.cmd.Process.Pid {
		t.Fatalf("ready line %q: %v", line, err)
	}
	return p
}

func dial(t *testing.T, address string) *grpc.ClientConn {
	t.Helper()
	conn, err := grpc.NewClient(address, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

func TestServesSurvivesKillAndEndsWithItsParent(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
	defer cancel()
	dir := t.TempDir() + "/odd name?#%41" // the path is not a URI to be taken apart
	first := start(t, dir, "--search-attribute", "Pipeline=Keyword")
	started, err := workflowservice.NewWorkflowServiceClient(dial(t, first.GRPC)).StartWorkflowExecution(ctx, &workflowservice.StartWorkflowExecutionRequest{
		Namespace: namespace, WorkflowId: "w", RequestId: "r", WorkflowType: &commonpb.WorkflowType{Name: "W"}, TaskQueue: &taskqueuepb.TaskQueue{Name: "q"},
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := first.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = first.cmd.Wait()

	second := start(t, dir, "--search-attribute", "Pipeline=Keyword", "--search-attribute", "Rows=int")
	conn := dial(t, second.GRPC)
	described, err := workflowservice.NewWorkflowServiceClient(conn).DescribeWorkflowExecution(ctx, &workflowservice.DescribeWorkflowExecutionRequest{
		Namespace: namespace, Execution: &commonpb.WorkflowExecution{WorkflowId: "w"},
	})
	if err != nil || described.WorkflowExecutionInfo.Execution.RunId != started.RunId {
		t.Fatalf("after kill -9: %v %v", described, err)
	}
	attrs, err := operatorservice.NewOperatorServiceClient(conn).ListSearchAttributes(ctx, &operatorservice.ListSearchAttributesRequest{Namespace: namespace})
	if err != nil || attrs.CustomAttributes["Pipeline"] != typesByName["Keyword"] || attrs.CustomAttributes["Rows"] != typesByName["Int"] {
		t.Fatalf("search attributes: %v %v", attrs, err)
	}
	res, err := http.Get(second.UI + "/api/v1/namespaces/default/workflow-count")
	if err != nil {
		t.Fatal(err)
	}
	body, _ := io.ReadAll(res.Body)
	res.Body.Close()
	if res.StatusCode != http.StatusOK {
		t.Fatalf("the UI's API: %s %s", res.Status, body)
	}

	// The same directory a second time, and the port a second time: one clear
	// line each.
	port := second.GRPC[strings.LastIndex(second.GRPC, ":")+1:]
	taken, _ := command(t, "--dir", t.TempDir(), "--port", port, "--ui-port", "0").CombinedOutput()
	wantLine(t, taken, "port "+port+" is in use: give --port another port")

	second.stdin.Close() // as when the parent dies
	if err := second.cmd.Wait(); err != nil {
		t.Fatalf("end after stdin closed: %v\n%s", err, second.stderr)
	}
	if second.stderr.Len() > 0 {
		t.Errorf("a clean stop is silent, got %s", second.stderr)
	}

	third := start(t, dir)
	if err := third.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := third.cmd.Wait(); err != nil {
		t.Fatalf("end after SIGTERM: %v\n%s", err, third.stderr)
	}
	changed, _ := command(t, "--dir", dir, "--port", "0", "--ui-port", "0", "--search-attribute", "Rows=Bool").CombinedOutput()
	wantLine(t, changed, "Rows is a Int in this directory, not a Bool")
}

func TestLockedDirectory(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	held, err := lockDir(t.Context(), dir, time.Second)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := lockDir(t.Context(), dir, 10*time.Millisecond); err == nil || !strings.Contains(err.Error(), "in use by another Temporal server") {
		t.Fatalf("locked twice: %v", err)
	}
	waiting := make(chan error, 1)
	go func() {
		again, err := lockDir(t.Context(), dir, time.Minute)
		if err == nil {
			err = again.Close()
		}
		waiting <- err
	}()
	held.Close()
	if err := <-waiting; err != nil {
		t.Fatal(err)
	}
}

func TestBadCommandLineGivesOneLine(t *testing.T) {
	t.Parallel()
	file := t.TempDir() + "/file"
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		args []string
		want string
		code int
	}{
		{nil, "--dir is missing", exitUsage},
		{[]string{"--dir", "x", "--nope"}, "-nope", exitUsage},
		{[]string{"--dir", "x", "extra"}, `unexpected argument "extra"`, exitUsage},
		{[]string{"--dir", "x", "--port", "70000"}, "--port 70000", exitUsage},
		{[]string{"--dir", "x", "--port", "1234", "--ui-port", "1234"}, "both 1234", exitUsage},
		{[]string{"--dir", "x", "--log", "loud"}, `--log "loud": use one of debug`, exitUsage},
		{[]string{"--dir", "x", "--search-attribute", "A"}, "want NAME=type", exitUsage},
		{[]string{"--dir", "x", "--search-attribute", "A=what"}, `no type "what": use one of Bool`, exitUsage},
		{[]string{"--dir", "x", "--search-attribute", "A=Int", "--search-attribute", "A=Text"}, "given twice", exitUsage},
		{[]string{"--dir", file}, "make the data directory: " + file + ": not a directory", exitFailed},
	} {
		cmd := command(t, c.args...)
		out, _ := cmd.CombinedOutput()
		wantLine(t, out, c.want)
		if code := cmd.ProcessState.ExitCode(); code != c.code {
			t.Errorf("%v: exit code %d, want %d", c.args, code, c.code)
		}
	}
}

func TestKilledWhileMakingTheDatabase(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.WriteFile(dir+"/"+databaseFile+".new", []byte("half"), 0o600); err != nil {
		t.Fatal(err)
	}
	p := start(t, dir)
	p.stdin.Close()
	if err := p.cmd.Wait(); err != nil {
		t.Fatal(err)
	}
}

// wantLine checks that out is one line with the program's name and want in it.
func wantLine(t *testing.T, out []byte, want string) {
	t.Helper()
	s := string(out)
	if !strings.HasPrefix(s, "temporal: ") || strings.Count(s, "\n") != 1 || !strings.Contains(s, want) {
		t.Errorf("got %q, want one line with %q", s, want)
	}
}
