package metamorphic

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

var (
	cases = flag.Int("cases", 300, "random histories to run")
	seed  = flag.Uint64("seed", 1, "seed of the first history; 0 takes another each time")
)

// play runs a case in all its ways; the error is what was wrong.
func (s *stage) play(ctx context.Context, c *Case) (checks int, err error) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	defer func() {
		if p := recover(); p != nil {
			stack := make([]byte, 4096)
			err = fmt.Errorf("panic: %v\n%s", p, stack[:runtime.Stack(stack, false)])
		}
	}()
	compiled, err := s.compile(ctx, c)
	if err != nil {
		return 0, err
	}
	if err := s.oracle.load(ctx, c); err != nil {
		return 0, err
	}
	var first string
	for i, run := range c.Runs {
		final, n, err := s.playRun(ctx, compiled, run)
		checks += n
		if err != nil {
			return checks, fmt.Errorf("run %d: %w", i, err)
		}
		if i == 0 {
			first = final
		} else if final != first {
			return checks, fmt.Errorf("run %d ends with other answers than run 0: %s", i, firstLine(first, final))
		}
	}
	return checks, nil
}

func firstLine(a, b string) string {
	x, y := strings.Split(a, "\n"), strings.Split(b, "\n")
	for i := range max(len(x), len(y)) {
		switch {
		case i >= len(x):
			return "\nrun 0 has no line like " + y[i]
		case i >= len(y):
			return "\nonly run 0 has " + x[i]
		case x[i] != y[i]:
			return fmt.Sprintf("\nrun 0 %q\nother %q", x[i], y[i])
		}
	}
	return ""
}

// TestKept replays the histories that failed once.
func TestKept(t *testing.T) {
	files, err := filepath.Glob("testdata/*.json")
	if err != nil {
		t.Fatal(err)
	}
	stage := openStage(t)
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var c Case
		if err := json.Unmarshal(text, &c); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		if _, err := stage.play(t.Context(), &c); err != nil {
			t.Errorf("%s (%s): %v", file, c.Why, err)
		}
	}
}

// TestRandom runs random histories.
func TestRandom(t *testing.T) {
	first := *seed
	if first == 0 {
		first = rand.Uint64N(1 << 40)
	}
	t.Logf("seeds %d to %d", first, first+uint64(*cases)-1)
	var next, checks, failed atomic.Int64
	var wait sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		stage := openStage(t)
		wait.Go(func() {
			for failed.Load() < 3 {
				i := next.Add(1) - 1
				if i >= int64(*cases) {
					return
				}
				s := first + uint64(i)
				c := generate(s)
				got, err := stage.play(t.Context(), c)
				checks.Add(int64(got))
				if err == nil {
					continue
				}
				failed.Add(1)
				t.Errorf("seed %d: %v\nreplay: go test ./metamorphic -run TestRandom -cases 1 -seed %d", s, err, s)
				small, why := stage.shrink(t.Context(), c, err)
				t.Errorf("seed %d, smaller: %v\nkept as %s", s, why, keep(t, small, why))
			}
		})
	}
	wait.Wait()
	t.Logf("%d histories, %d answers compared", min(next.Load(), int64(*cases)), checks.Load())
}

// keep stores a failing case where TestKept finds it.
func keep(t *testing.T, c *Case, why error) string {
	c.Why, _, _ = strings.Cut(why.Error(), "\n")
	text, err := json.MarshalIndent(c, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	name := fmt.Sprintf("testdata/seed_%d.json", c.Seed)
	if err := os.MkdirAll("testdata", 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, append(text, '\n'), 0o644); err != nil {
		t.Fatal(err)
	}
	return name
}
