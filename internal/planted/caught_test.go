//go:build planted

package planted_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"text/tabwriter"
	"time"

	"anabranch/internal/planted"
	"anabranch/internal/soak"
)

// patience is how long a test may take to catch a fault.
const patience = 10 * time.Minute

// TestCaught builds the tests once, with all faults in the program, and has
// each fault in turn caught. A test that fails by a panic, or not at all
// before its time is over, has not caught it.
func TestCaught(t *testing.T) {
	run := soak.Open(t, "planted", 0)
	bin := t.TempDir()
	build(t, bin)

	var all sync.WaitGroup
	var mu sync.Mutex // guards found
	found := make([]verdict, len(catches))
	turn := make(chan struct{}, runtime.GOMAXPROCS(0))
	for i, c := range catches {
		all.Go(func() {
			turn <- struct{}{}
			defer func() { <-turn }()
			v := try(t, bin, c)
			mu.Lock()
			defer mu.Unlock()
			found[i] = v
		})
	}
	for room, tests := range byRoom() {
		all.Go(func() {
			turn <- struct{}{}
			defer func() { <-turn }()
			if out, err := innocent(t, bin, room, tests); err != nil {
				t.Errorf("without a fault the tests of %s must pass: %v\n%s", room, err, tail(out))
			}
		})
	}
	all.Wait()

	var table strings.Builder
	w := tabwriter.NewWriter(&table, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "fault\tcaught by\tseconds\thow")
	caught := map[planted.Fault]bool{}
	for i, c := range catches {
		v := found[i]
		how := v.how
		if v.err != nil {
			how = "NOT CAUGHT: " + v.err.Error()
			t.Errorf("%s is not caught by %s of %s: %v\n%s", c.fault, c.test, c.room, v.err, tail(v.out))
		} else {
			caught[c.fault] = true
			if c.room != random {
				run.Add("ms "+string(c.fault), v.took.Milliseconds())
			}
		}
		fmt.Fprintf(w, "%s\t%s %s\t%.2f\t%s\n", c.fault, c.room, c.test, v.took.Seconds(), how)
	}
	w.Flush()
	run.Add("planted", int64(len(constants(t))))
	run.Add("caught", int64(len(caught)))
	t.Logf("\n%s", table.String())
}

// byRoom returns the tests of each package.
func byRoom() map[string][]string {
	out := map[string][]string{}
	for _, c := range catches {
		test, _, _ := strings.Cut(c.test, "/")
		if !slices.Contains(out[c.room], test) {
			out[c.room] = append(out[c.room], test)
		}
	}
	return out
}

// build compiles the test programs, which go test runs with the faults.
func build(t *testing.T, bin string) {
	args := []string{"test", "-c", "-tags", "planted", "-o", bin + string(filepath.Separator)}
	for room := range byRoom() {
		args = append(args, "./"+room)
	}
	cmd := exec.CommandContext(t.Context(), "go", args...)
	cmd.Dir = root
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build the tests: %v\n%s", err, out)
	}
}

// verdict is what became of one fault.
type verdict struct {
	took time.Duration
	how  string // the message of the test
	err  error  // why it is not caught
	out  []byte
}

var (
	message = regexp.MustCompile(`^ +[a-z_0-9]+\.go:\d+: (.*)`)
	history = regexp.MustCompile(`seed (\d+): (.*)`)
)

// try runs a test with a fault.
func try(t *testing.T, bin string, c catch) (v verdict) {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	cmd := program(ctx, t, bin, c.room, "^"+strings.ReplaceAll(c.test, "/", "$/^")+"$")
	cmd.Env = append(os.Environ(), planted.Env+"="+string(c.fault), soak.Dir+"=")
	began := time.Now()
	defer func() { v.took = time.Since(began) }()
	pipe, err := cmd.StdoutPipe()
	if err != nil {
		return verdict{err: err}
	}
	if err := cmd.Start(); err != nil {
		return verdict{err: err}
	}
	failed := regexp.MustCompile(`^\s*--- FAIL: ` + c.test + `\b`)
	panicked := ""
	for lines := bufio.NewScanner(pipe); lines.Scan(); {
		line := lines.Text()
		v.out = append(append(v.out, line...), '\n')
		if strings.HasPrefix(line, "panic: ") {
			panicked = line
		}
		if at := history.FindStringSubmatch(line); at != nil && c.room == random {
			// The rest of the test makes the history smaller, which takes long.
			cancel()
			_ = cmd.Wait()
			if strings.HasPrefix(at[2], "panic") {
				return verdict{err: fmt.Errorf("history %s: %s", at[1], at[2]), out: v.out}
			}
			return verdict{how: "history " + at[1] + ": " + short(at[2])}
		}
		if failed.MatchString(line) && v.how == "" {
			v.how = "failed"
		}
	}
	err = cmd.Wait()
	switch {
	case ctx.Err() != nil:
		v.err = fmt.Errorf("no verdict within %s", patience)
	case panicked != "":
		v.err = fmt.Errorf("it did not fail by itself: %s", panicked)
	case err == nil:
		v.err = fmt.Errorf("it passes")
	case v.how == "":
		v.err = err
	default:
		v.how = last(v.out)
	}
	return v
}

// innocent runs tests without any fault.
func innocent(t *testing.T, bin, room string, tests []string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(t.Context(), 2*patience)
	defer cancel()
	cmd := program(ctx, t, bin, room, "^("+strings.Join(tests, "|")+")$")
	cmd.Env = append(os.Environ(), planted.Env+"=", soak.Dir+"=")
	return cmd.CombinedOutput()
}

// program is the test program of a room, which stops at the first failure.
func program(ctx context.Context, t *testing.T, bin, room, tests string) *exec.Cmd {
	args := []string{"-test.v", "-test.failfast", "-test.run", tests}
	dir := filepath.Join(root, room)
	if room == random {
		dir = t.TempDir() // it keeps the histories that fail
		args = append(args, "-cases", "40")
	}
	cmd := exec.CommandContext(ctx, filepath.Join(bin, path.Base(room)+".test"), args...)
	cmd.Dir = dir
	cmd.WaitDelay = time.Second
	return cmd
}

// last returns the last message of a test.
func last(out []byte) string {
	how := "failed"
	for line := range bytes.Lines(out) {
		if m := message.FindSubmatch(line); m != nil && !bytes.Contains(line, []byte("soak.go:")) {
			how = short(string(m[1]))
		}
	}
	return how
}

func short(s string) string {
	if s = strings.TrimSpace(s); len(s) > 70 {
		s = s[:70] + "..."
	}
	return s
}

func tail(out []byte) []byte {
	return out[max(0, len(out)-4000):]
}
