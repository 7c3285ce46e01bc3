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
	"anabranch/internal/soak"
	"anabranch/serving"
	"anabranch/serving/sql"
	"anabranch/stream"
	"anabranch/stream/natslog"
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
	bucket   bucket.Bucket                  // nil: each world has its own
	clock    clock.Clock                    // nil: the wall's
	record   *soak.Run                      // nil: none is kept
	source   atomic.Pointer[serving.Source] // of the world that plays
	planted  func(*world) error             // fails runs, to try the shrinking
	worlds   int
	answers  int64 // compared
	events   int64 // acknowledged in logs that were compared to their end

	store    *natslog.Store // nil until a world needs it
	storeDir string
	logs     int // in store
}

// openStage opens a stage, which the test closes.
func openStage(t testing.TB, record *soak.Run) *stage {
	t.Helper()
	s := &stage{dir: scratch(t), record: record}
	t.Cleanup(func() {
		if s.store != nil {
			s.store.Close()
		}
	})
	var err error
	if s.oracle, err = openOracle(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.oracle.db.Close() })
	if s.compiler, err = view.NewCompiler(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.compiler.Close() })
	s.serving = serving.New(serving.Options{Sources: s.sources, Patience: 5 * time.Minute, Look: 100 * time.Millisecond})
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

// saw notes that a rare situation was met.
func (s *stage) saw(name string) {
	if s.record != nil {
		s.record.Sometimes(name)
	}
}

// logsOfServer is how many logs one NATS server keeps before another begins
// with none: they are never removed from it.
const logsOfServer = 40

// nats returns the store that worlds have their logs in which want a real one.
func (s *stage) nats(ctx context.Context) (stream.Store, error) {
	if s.store != nil && s.logs >= logsOfServer {
		s.store.Close()
		s.store, s.logs = nil, 0
		if err := os.RemoveAll(s.storeDir); err != nil {
			return nil, err
		}
	}
	if s.store == nil {
		s.storeDir = filepath.Join(s.dir, fmt.Sprintf("nats-%d", s.worlds))
		var err error
		// It outlives the case.
		if s.store, err = natslog.Open(context.WithoutCancel(ctx), natslog.Options{Dir: s.storeDir, MinFree: -1}); err != nil {
			return nil, err
		}
	}
	s.logs++
	return s.store, nil
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
	left, _ := filepath.Glob("/dev/shm/anabranch-metamorphic-*")
	for _, dir := range left { // by a test that was killed
		if info, err := os.Stat(dir); err == nil && time.Since(info.ModTime()) > 24*time.Hour {
			os.RemoveAll(dir)
		}
	}
	if dir, err := os.MkdirTemp("/dev/shm", "anabranch-metamorphic-"); err == nil {
		t.Cleanup(func() { os.RemoveAll(dir) })
		return dir
	}
	return t.TempDir()
}

// playRun plays one run in a world of its own. It returns which events counted
// and, from them, what every run must come to.
func (s *stage) playRun(ctx context.Context, c *compiled, run Run) (counted, final string, err error) {
	w, err := newWorld(ctx, c, run.Settings, s)
	if err != nil {
		return "", "", err
	}
	defer w.close()
	defer func() {
		s.answers += int64(w.checks)
		for _, rows := range w.rows {
			s.events += int64(len(rows))
		}
	}()
	for i, a := range run.Actions {
		if err := w.do(a); err != nil {
			return "", "", fmt.Errorf("action %d (%s): %w", i, a.Do, err)
		}
	}
	if err := w.settle(); err != nil {
		return "", "", err
	}
	if s.planted != nil {
		if err := s.planted(w); err != nil {
			return "", "", err
		}
	}
	final, err = w.final()
	return fmt.Sprint(w.definition.later, w.oracle.fate(w.rows, w.read).events), final, err
}
