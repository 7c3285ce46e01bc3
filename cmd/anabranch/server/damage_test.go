package server

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"anabranch/bucket"
	"anabranch/cmd/anabranch/api"
	"anabranch/deadletter"
	"anabranch/event"
	"anabranch/fault"
	"anabranch/internal/clock"
	"anabranch/internal/soak"
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
	o := &opened{config: c, bucket: b, store: log, logger: quiet, id: "test", memory: c.memory()}
	if s.pipeline, err = o.open(t.Context(), history[len(history)-1], history); err != nil {
		return nil, func() { _ = log.Close() }, err
	}
	return s, func() { s.stop(quiet); _ = log.Close() }, nil
}

// everything asks all that can be asked: both views, the raw events, the dead
// letters.
func (s *small) everything() (string, error) {
	ctx, cancel := context.WithTimeout(s.Context(), 5*time.Minute)
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
	case parts[0] == "log" && (strings.HasSuffix(rel, ".blk") || strings.HasSuffix(rel, "meta.inf") && strings.Contains(rel, "AB_small")):
		return "log"
	case parts[0] == "log" && parts[1] == "acknowledged":
		return "note"
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

// mended are the kinds of files of which there is always another copy, or what
// they were made from.
var mended = map[string]bool{
	"cache": true, "days": true, "manifests": true, "note": true, "once": true, "results": true, "runs": true, "snapshot": true, "states": true,
}

// damaged is a pipeline at rest, to damage copies of.
type damaged struct {
	*testing.T
	rnd   *rand.Rand
	run   *soak.Run // nil in other tests
	base  string
	truth string
	files map[string][]string // by kind
}

func newDamaged(t *testing.T, seed uint64) *damaged {
	t.Logf("seed %d", seed)
	d := &damaged{T: t, rnd: rand.New(rand.NewPCG(seed, 0)), base: t.TempDir(), files: map[string][]string{}}
	b, err := bucket.NewFile(filepath.Join(d.base, "bucket"))
	if err != nil {
		t.Fatal(err)
	}
	if err := (&catalog{bucket: b, clock: clock.Wall}).put(t.Context(), smallEntry()); err != nil {
		t.Fatal(err)
	}
	s, stop, err := onDisk(t, d.base)
	if err != nil {
		t.Fatal(err)
	}
	s.send(d.rnd, 12, 200)
	s.conflict() // which leaves a file of kind once, also where chance has none
	s.nightly("n1")
	s.send(d.rnd, 12, 300)
	s.nightly("n2")
	s.send(d.rnd, 6, 400)
	s.settle()
	d.truth, err = s.everything()
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
	err = filepath.WalkDir(d.base, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		rel, _ := filepath.Rel(d.base, path)
		kind := kindOfFile(rel)
		switch kind {
		case "":
			return nil
		case "days", "runs", "states", "results":
			if !strings.Contains(string(text), filepath.Base(rel)) {
				return nil // of a former manifest
			}
		}
		if info, err := e.Info(); err != nil || info.Size() == 0 {
			return err
		}
		d.files[kind] = append(d.files[kind], rel)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"cache", "days", "definitions", "letters", "log", "manifests", "note", "once", "results", "runs", "segments", "snapshot", "states"} {
		if len(d.files[want]) == 0 {
			t.Errorf("there is no file of kind %s to damage", want)
		}
	}
	if c, err := Fsck(t.Context(), FsckOptions{Dir: d.base}); err != nil || len(c.Findings) != 0 {
		t.Fatalf("before any damage: %+v, %v", c, err)
	}
	return d
}

func (d *damaged) copyOf(from string) string {
	d.Helper()
	dir, err := os.MkdirTemp(d.TempDir(), "")
	if err == nil {
		err = os.CopyFS(dir, os.DirFS(from))
	}
	if err != nil {
		d.Fatal(err)
	}
	return dir
}

// ask starts on the files of dir and asks everything.
func (d *damaged) ask(dir string) (got string, err error) {
	s, stop, err := onDisk(d.T, dir)
	defer func() { stop() }()
	if err != nil {
		return "", err
	}
	return s.everything()
}

// content is every file of dir with a sum, but for locks and what the bucket
// sweeps away of those who died.
func (d *damaged) content(dir string) map[string][32]byte {
	d.Helper()
	sums := map[string][32]byte{}
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() || filepath.Base(path) == "lock" || strings.Contains(path, "@temp") {
			return err
		}
		data, err := os.ReadFile(path)
		sums[path] = sha256.Sum256(data)
		return err
	})
	if err != nil {
		d.Fatal(err)
	}
	return sums
}

// one damages a file: whoever asks gets the truth or an error that names it,
// fsck names it and changes nothing; repaired, everything is as it was.
func (d *damaged) one(kind, rel string) {
	dir := d.copyOf(d.base)
	defer os.RemoveAll(dir)
	if kind != "cache" { // a machine that has no copies yet
		if err := os.RemoveAll(filepath.Join(dir, "cache")); err != nil {
			d.Fatal(err)
		}
	}
	how := rel + ", " + spoilFile(d.T, d.rnd, filepath.Join(dir, rel))
	d.run.Add("damaged files", 1)
	running := d.copyOf(dir)
	got, err := d.ask(running)
	_ = os.RemoveAll(running)
	switch {
	case err == nil && got != d.truth:
		d.Errorf("%s: a wrong answer:\n%s\nthe truth:\n%s", how, got, d.truth)
	case err != nil && !fault.Is(err, fault.Corrupt):
		d.Errorf("%s: %v: %v", how, fault.KindOf(err), err)
	case err != nil && kind != "log" && !strings.Contains(err.Error(), filepath.Base(rel)):
		d.Errorf("%s: the error does not name the file: %v", how, err)
	}

	before := d.content(dir)
	seen, err := Fsck(d.Context(), FsckOptions{Dir: dir})
	if err != nil {
		d.Errorf("%s: fsck: %v", how, err)
		return
	}
	after := d.content(dir)
	for path := range after {
		if before[path] != after[path] {
			d.Errorf("%s: fsck without --repair has changed %s", how, path)
		}
	}
	if len(after) != len(before) {
		d.Errorf("%s: there were %d files, fsck without --repair left %d", how, len(before), len(after))
	}
	names := slices.ContainsFunc(seen.Findings, func(f api.Finding) bool {
		return strings.HasSuffix(filepath.ToSlash(rel), f.File) || strings.HasSuffix(f.File, rel)
	})
	if !names && kind != "log" { // half a record at the end is none
		d.Errorf("%s: fsck does not name it: %+v", how, seen.Findings)
	}
	fixed, err := Fsck(d.Context(), FsckOptions{Dir: dir, Repair: true})
	if err != nil {
		d.Errorf("%s: fsck --repair: %v", how, err)
		return
	}
	for _, f := range fixed.Findings {
		if f.Repaired || f.Kind == "orphan" {
			continue
		}
		if mended[kind] {
			d.Errorf("%s: not repaired: %+v", how, f)
		}
		d.run.Add("beyond repair", 1)
		return
	}
	again, err := Fsck(d.Context(), FsckOptions{Dir: dir})
	if err != nil || slices.ContainsFunc(again.Findings, func(f api.Finding) bool { return f.Kind != "orphan" }) {
		d.Errorf("%s: after the repair: %+v, %v", how, again, err)
	}
	if got, err := d.ask(dir); err != nil || got != d.truth {
		d.Errorf("%s: after the repair: %v\n%s\nthe truth:\n%s", how, err, got, d.truth)
		return
	}
	if len(seen.Findings) > 0 {
		d.run.Add("repaired", 1)
		d.run.Sometimes("repaired " + kind)
	}
	d.after(how, dir)
}

// after goes on with a repaired pipeline: events, a night, the ledger.
func (d *damaged) after(how, dir string) {
	s, stop, err := onDisk(d.T, dir)
	defer func() { stop() }()
	if err != nil {
		d.Errorf("%s: after the repair: %v", how, err)
		return
	}
	s.send(d.rnd, 4, 500)
	s.nightly("after")
	s.settle()
	l, err := s.ledger(d.Context())
	if err != nil || l.Imbalance != 0 {
		d.Errorf("%s: after the repair: ledger %+v, %v", how, l, err)
	}
}

// TestDamage damages one file after the other of a pipeline at rest.
// ANABRANCH_DAMAGE is how long it goes on, 10s by default.
func TestDamage(t *testing.T) {
	seed := spoil.Seed()
	long := 10 * time.Second
	if text := os.Getenv("ANABRANCH_DAMAGE"); text != "" {
		var err error
		if long, err = time.ParseDuration(text); err != nil {
			t.Fatal(err)
		}
	}
	run := soak.Open(t, "damage", seed)
	d := newDamaged(t, seed)
	d.run = run
	kinds := slices.Sorted(maps.Keys(d.files))
	d.rnd.Shuffle(len(kinds), func(i, j int) { kinds[i], kinds[j] = kinds[j], kinds[i] })
	began := time.Now()
	for i := 0; time.Since(began) < long && !t.Failed(); i++ {
		kind := kinds[i%len(kinds)]
		d.one(kind, d.files[kind][d.rnd.IntN(len(d.files[kind]))])
	}
}
