package metamorphic

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"anabranch/bucket"
	"anabranch/internal/clock"
	"anabranch/serving"
	"anabranch/serving/sql"
	"anabranch/view"
)

// stage is what cases are played on, one after the other. It holds what takes
// longer to open than a case takes to play: three DuckDBs. Each world has a
// pipeline name and a folder of its own, so that nothing of one is seen by the
// next.
type stage struct {
	oracle   *oracle
	compiler *view.Compiler
	serving  *serving.Serving
	engine   *sql.Engine
	dir      string
	bucket   bucket.Bucket                  // nil: each world has one in memory
	clock    clock.Clock                    // nil: the wall's
	source   atomic.Pointer[serving.Source] // of the world that plays
	worlds   int
}

// openStage opens a stage, which the test closes.
func openStage(t testing.TB) *stage {
	t.Helper()
	s := &stage{dir: scratch(t)}
	var err error
	if s.oracle, err = openOracle(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.oracle.db.Close() })
	if s.compiler, err = view.NewCompiler(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.compiler.Close() })
	s.serving = serving.New(serving.Options{Sources: s.sources, Patience: 10 * time.Second, Look: 100 * time.Millisecond})
	if s.engine, err = sql.New(t.Context(), s.serving, sql.Options{CacheDirs: []string{s.dir}, Threads: 1}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.engine.Close() })
	return s
}

func (s *stage) sources() []*serving.Source {
	if src := s.source.Load(); src != nil {
		return []*serving.Source{src}
	}
	return nil
}

// next names a world and makes its folder.
func (s *stage) next() (name, dir string, err error) {
	s.worlds++
	name = fmt.Sprintf("m%d", s.worlds)
	dir = filepath.Join(s.dir, name)
	return name, dir, os.MkdirAll(dir, 0o755)
}

// scratch is a folder in memory where there is one: nothing here is about what
// a disk keeps.
func scratch(t testing.TB) string {
	if dir, err := os.MkdirTemp("/dev/shm", "anabranch-metamorphic-"); err == nil {
		t.Cleanup(func() { os.RemoveAll(dir) })
		return dir
	}
	return t.TempDir()
}

// playRun plays one run in a world of its own.
func (s *stage) playRun(ctx context.Context, c *compiled, run Run) (final string, checks int, err error) {
	w, err := newWorld(ctx, c, run.Settings, s)
	if err != nil {
		return "", 0, err
	}
	defer w.close()
	for i, a := range run.Actions {
		if err := w.do(a); err != nil {
			return "", w.checks, fmt.Errorf("action %d (%s): %w", i, a.Do, err)
		}
	}
	for _, a := range append(sends(len(c.Sends)-w.sent), Action{Do: "flow"}, Action{Do: "query"}) {
		if err := w.do(a); err != nil {
			return "", w.checks, fmt.Errorf("at the end (%s): %w", a.Do, err)
		}
	}
	final, err = w.final()
	return final, w.checks, err
}

func sends(n int) (out []Action) {
	for range n {
		out = append(out, Action{Do: "send"})
	}
	return out
}
