package server

import (
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"anabranch/archive"
	"anabranch/bucket"
	"anabranch/deadletter"
	"anabranch/event"
	"anabranch/fault"
	"anabranch/internal/clock"
	"anabranch/internal/spoil"
	"anabranch/serving"
	"anabranch/stream/natslog"
)

// onDisk opens the pipeline over the files of dir, as a process does that was
// just started.
func onDisk(t *testing.T, dir string) (s *small, stop func(), err error) {
	stop = func() {}
	b, err := bucket.NewFile(filepath.Join(dir, "bucket"))
	if err != nil {
		return nil, stop, err
	}
	history, err := (&catalog{bucket: b, clock: clock.Wall}).history(t.Context(), "small")
	if err != nil {
		return nil, stop, err
	}
	log, err := natslog.Open(t.Context(), natslog.Options{Dir: filepath.Join(dir, "log"), Listen: "127.0.0.1:0"})
	if err != nil {
		return nil, stop, err
	}
	quiet := slog.New(slog.DiscardHandler)
	c := Config{Dir: dir, Roles: []Role{RoleGateway, RoleSpeed}, SealEvery: time.Hour, Logger: quiet}
	c.ensureDefaults()
	s = &small{T: t, dir: dir, bucket: b}
	o := &opened{config: c, bucket: b, store: log, logger: quiet, id: "test"}
	if s.pipeline, err = o.open(t.Context(), history[len(history)-1], history); err != nil {
		return nil, func() { _ = log.Close() }, err
	}
	return s, func() { s.stop(quiet); _ = log.Close() }, nil
}

// everything asks all that can be asked: both views, the raw events, the dead
// letters.
func (s *small) everything() (string, error) {
	ctx, cancel := context.WithTimeout(s.Context(), 15*time.Second)
	defer cancel()
	serve := serving.New(serving.Options{Sources: func() []*serving.Source { return []*serving.Source{s.asSource} }})
	var out []string
	for _, v := range s.views {
		rows, err := s.rows(ctx, serve, v.Name())
		if err != nil {
			return "", err
		}
		out = append(out, rows...)
	}
	head, err := s.head(ctx)
	if err != nil {
		return "", err
	}
	for n := range head {
		events := 0
		err := s.raw(ctx, n, head[n], func(b *event.Batch, _ []uint64, _ []int32) error { events += b.N; return nil })
		if err != nil {
			return "", err
		}
		out = append(out, fmt.Sprintf("partition %d: %d events", n, events))
	}
	letters := 0
	for _, err := range s.letters.List(ctx, deadletter.Options{}) {
		if err != nil {
			return "", err
		}
		letters++
	}
	return strings.Join(append(out, fmt.Sprintf("%d letters", letters)), "\n"), nil
}

// kindOfFile sorts the files of a state folder.
func kindOfFile(rel string) string {
	parts := strings.Split(filepath.ToSlash(rel), "/")
	switch {
	case parts[0] == "speed":
		return "snapshot"
	case parts[0] == "log" && strings.HasSuffix(rel, ".blk"):
		return "log"
	case parts[0] == "cache" && len(parts) > 2 && parts[2] == "objects":
		return "cache"
	case parts[0] == "bucket" && len(parts) > 3 && parts[1] == "small" && parts[2] == "views":
		return parts[len(parts)-2]
	case parts[0] == "bucket" && len(parts) > 3 && parts[1] == "small" && parts[2] != "work":
		return parts[2]
	case parts[0] == "bucket" && len(parts) > 2 && (parts[1] == "definitions" || parts[1] == "letters"):
		return parts[1]
	}
	return ""
}

// spoilFile damages a file and says how.
func spoilFile(t *testing.T, rnd *rand.Rand, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	b, how := spoil.Bytes(rnd, b)
	if err := os.WriteFile(path, b, 0o644); err != nil {
		t.Fatal(err)
	}
	return how
}

// TestDamage damages one file after the other of a pipeline at rest, starts
// again and asks: the answer is the truth, or an error that says what is
// Corrupt. ANABRANCH_DAMAGE is how long it goes on, 10s by default.
func TestDamage(t *testing.T) {
	rnd := seeded(t, 0)
	long := 10 * time.Second
	if text := os.Getenv("ANABRANCH_DAMAGE"); text != "" {
		var err error
		if long, err = time.ParseDuration(text); err != nil {
			t.Fatal(err)
		}
	}
	base := t.TempDir()
	b, err := bucket.NewFile(filepath.Join(base, "bucket"))
	if err != nil {
		t.Fatal(err)
	}
	if err := (&catalog{bucket: b, clock: clock.Wall}).put(t.Context(), smallEntry()); err != nil {
		t.Fatal(err)
	}
	s, stop, err := onDisk(t, base)
	if err != nil {
		t.Fatal(err)
	}
	s.send(rnd, 12, 200)
	s.nightly("n1")
	s.send(rnd, 12, 300)
	s.nightly("n2")
	s.send(rnd, 6, 400)
	s.settle()
	truth, err := s.everything()
	stop()
	if err != nil {
		t.Fatal(err)
	}
	files := map[string][]string{}
	err = filepath.WalkDir(base, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		rel, _ := filepath.Rel(base, path)
		if kind := kindOfFile(rel); kind != "" {
			files[kind] = append(files[kind], rel)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	var orphans []string // results and states of the first night
	s, stop, err = onDisk(t, base)
	if err != nil {
		t.Fatal(err)
	}
	err = s.archive.Check(t.Context(), func(d archive.Damage) { t.Errorf("before any damage: %+v", d) })
	if err != nil {
		t.Fatal(err)
	}
	m, err := s.archive.Newest(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	stop()
	for _, kind := range []string{"days", "runs", "states", "results"} {
		files[kind] = slices.DeleteFunc(files[kind], func(rel string) bool {
			old := !strings.Contains(string(text), filepath.Base(rel))
			if old {
				orphans = append(orphans, rel)
			}
			return old
		})
	}
	t.Logf("%d files of former manifests", len(orphans))
	var kinds []string
	for kind := range files {
		kinds = append(kinds, kind)
	}
	slices.Sort(kinds)
	t.Logf("kinds: %v", kinds)
	for _, want := range []string{"cache", "definitions", "letters", "log", "manifests", "results", "runs", "segments", "snapshot"} {
		if len(files[want]) == 0 {
			t.Errorf("there is no file of kind %s to damage", want)
		}
	}
	published := map[string]bool{"days": true, "manifests": true, "results": true, "runs": true, "segments": true, "states": true}
	detected, harmless := map[string]int{}, map[string]int{}
	began := time.Now()
	for i := 0; time.Since(began) < long && i < 400; i++ {
		kind := kinds[i%len(kinds)]
		rel := files[kind][rnd.IntN(len(files[kind]))]
		dir := t.TempDir()
		if err := os.CopyFS(dir, os.DirFS(base)); err != nil {
			t.Fatal(err)
		}
		if info, err := os.Stat(filepath.Join(dir, rel)); err != nil || info.Size() == 0 {
			continue
		}
		if kind != "cache" { // a machine that has no copies yet
			if err := os.RemoveAll(filepath.Join(dir, "cache")); err != nil {
				t.Fatal(err)
			}
		}
		how := spoilFile(t, rnd, filepath.Join(dir, rel))
		got := ""
		s, stop, err := onDisk(t, dir)
		if err == nil {
			got, err = s.everything()
			checked := false
			if err := s.archive.Check(t.Context(), func(d archive.Damage) { checked = checked || strings.HasSuffix(rel, filepath.FromSlash(d.File)) }); err != nil {
				t.Errorf("%s, %s: check: %v", rel, how, err)
			}
			if published[kind] != checked {
				t.Errorf("%s, %s: check names it: %v", rel, how, checked)
			}
		}
		stop()
		switch {
		case err == nil && got == truth:
			harmless[kind]++
		case err == nil:
			t.Errorf("%s, %s: a wrong answer:\n%s\nthe truth:\n%s", rel, how, got, truth)
		case !fault.Is(err, fault.Corrupt):
			t.Errorf("%s, %s: %v: %v", rel, how, fault.KindOf(err), err)
		case kind != "log" && !strings.Contains(err.Error(), filepath.Base(rel)):
			t.Errorf("%s, %s: the error does not name the file: %v", rel, how, err)
		default:
			detected[kind]++
		}
		_ = os.RemoveAll(dir)
	}
	t.Logf("detected %v, without effect %v", detected, harmless)
}
