package metamorphic

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"anabranch/internal/soak"
)

var (
	cases = flag.Int("cases", 300, "random histories to run")
	seed  = flag.Uint64("seed", 1, "seed of the first history; 0 takes another each time")
)

// errNoCase says that a case makes no sense, so that nothing was tried.
var errNoCase = errors.New("not a case")

// play runs a case in all its ways; the error is what was wrong.
func (s *stage) play(ctx context.Context, c *Case) (err error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Minute)
	defer cancel()
	defer func() {
		if p := recover(); p != nil {
			stack := make([]byte, 4096)
			err = fmt.Errorf("panic: %v\n%s", p, stack[:runtime.Stack(stack, false)])
		}
	}()
	compiled, err := s.compile(ctx, c)
	if err != nil {
		return fmt.Errorf("%w: %w", errNoCase, err)
	}
	if err := s.oracle.load(ctx, c); err != nil {
		return fmt.Errorf("%w: %w", errNoCase, err)
	}
	ends := map[string]ending{} // by what counted: of conflicting copies another may have come first
	for i, run := range c.Runs {
		counted, final, err := s.playRun(ctx, compiled, run)
		if err != nil {
			return fmt.Errorf("run %d: %w", i, err)
		}
		if before, ok := ends[counted]; ok && before.text != final {
			return fmt.Errorf("run %d ends with other answers than run %d: %s", i, before.run, firstLine(before.text, final))
		} else if ok {
			s.saw("two runs came to the same end")
		}
		ends[counted] = ending{i, final}
	}
	return nil
}

// ending is what a run came to.
type ending struct {
	run  int
	text string
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
	stage := openStage(t, nil)
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var c Case
		if err := json.Unmarshal(text, &c); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		if err := stage.play(t.Context(), &c); err != nil {
			t.Errorf("%s (%s): %v", file, c.Why, err)
		}
	}
}

// startingSeed is what was asked for, or another each time.
func startingSeed() uint64 {
	if *seed == 0 {
		return rand.Uint64N(1 << 40)
	}
	return *seed
}

// TestRandom runs random histories.
func TestRandom(t *testing.T) {
	first := startingSeed()
	t.Logf("seeds %d to %d", first, first+uint64(*cases)-1)
	record := soak.Open(t, "metamorphic", first)
	record.Add(soak.Lost, 0) // each history is compared to its last event
	var next, failed atomic.Int64
	var wait sync.WaitGroup
	defer debug.SetGCPercent(debug.SetGCPercent(400)) // cases are small, and there are many
	for range runtime.GOMAXPROCS(0) + 1 {             // one waits now and then
		stage := openStage(t, record)
		wait.Go(func() {
			for failed.Load() < 3 {
				i := next.Add(1) - 1
				if i >= int64(*cases) {
					return
				}
				s := first + uint64(i)
				c := generate(s)
				stage.answers, stage.events = 0, 0
				err := stage.play(t.Context(), c)
				record.Add("cases", 1)
				record.Add("answers", stage.answers)
				record.Add(soak.Events, stage.events)
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
