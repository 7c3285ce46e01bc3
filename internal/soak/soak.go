// Package soak keeps the record of the long random tests: what was run, with
// which seed, and what came of it. A test writes one record; make soak lets
// them run for hours and docs/reliability.md is made from the records.
package soak

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// Dir is the environment variable that names the folder of the records. Where
// it is not set nothing is written.
const Dir = "ANABRANCH_SOAK"

// Record is what one run of one test leaves, as a line of JSON.
type Record struct {
	Test      string            `json:"test"`
	Commit    string            `json:"commit,omitempty"` // "+" behind it: with changes
	Seed      uint64            `json:"seed"`
	Start     time.Time         `json:"start"`
	Seconds   float64           `json:"seconds"`
	Passed    bool              `json:"passed"`
	Raced     bool              `json:"raced,omitempty"` // under the race detector
	Counts    map[string]int64  `json:"counts,omitempty"`
	Sometimes map[string]int64  `json:"sometimes,omitempty"`
	NotRun    map[string]string `json:"not_run,omitempty"` // fault class -> why it cannot be run here
}

// Counts that every test means alike. Lost and Double are counted so that
// their zeros are written down.
const (
	Events = "events" // acknowledged and compared
	Lost   = "lost"   // of those, the ones missing in an answer
	Double = "double" // counted more than once
)

// Run is a test that is under way. Its methods may be called from several
// goroutines.
type Run struct {
	t    testing.TB
	rare map[string]bool

	mu     sync.Mutex
	record Record
}

// Open begins the record of a test, which is written when the test ends. The
// test must be one of Tests: what is not registered would not be missed.
func Open(t testing.TB, test string, seed uint64) *Run {
	t.Helper()
	about, ok := Tests[test]
	if !ok {
		t.Fatalf("soak: %q is not registered in soak.Tests", test)
	}
	r := &Run{t: t, rare: map[string]bool{}, record: Record{
		Test: test, Commit: commit(), Seed: seed, Start: time.Now().UTC(), Raced: raced,
		Counts: map[string]int64{}, Sometimes: map[string]int64{}, NotRun: map[string]string{},
	}}
	for _, name := range about.Sometimes {
		r.rare[name] = true
	}
	t.Cleanup(r.close)
	return r
}

// Add counts n more of something.
func (r *Run) Add(what string, n int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.record.Counts[what] += n
}

// Sometimes notes that a situation was reached that random tests reach now
// and then. A soak in which it never happened has not tested what it should,
// and is red.
func (r *Run) Sometimes(name string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.rare[name] {
		r.t.Errorf("soak: %q is not registered for %s", name, r.record.Test)
	}
	r.record.Sometimes[name]++
}

// NotRun notes a class of faults that cannot be run here, and why.
func (r *Run) NotRun(class, why string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.t.Logf("not run: %s: %s", class, why)
	r.record.NotRun[class] = why
}

func (r *Run) close() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.record.Seconds = time.Since(r.record.Start).Seconds()
	r.record.Passed = !r.t.Failed()
	r.t.Logf("%s", r.record)
	dir := os.Getenv(Dir)
	if dir == "" || r.t.Skipped() {
		return
	}
	line, err := json.Marshal(r.record)
	if err == nil {
		err = appendLine(filepath.Join(dir, r.record.Test+".jsonl"), line)
	}
	if err != nil {
		r.t.Errorf("write the record of the soak: %v", err)
	}
}

func appendLine(name string, line []byte) error {
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return err
	}
	f, err := os.OpenFile(name, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	_, err = f.Write(append(line, '\n'))
	if e := f.Close(); err == nil {
		err = e
	}
	return err
}

// String is the record for a test's log.
func (r Record) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: seed %d, %.1f s", r.Test, r.Seed, r.Seconds)
	for _, part := range []struct {
		word string
		of   map[string]int64
	}{{"", r.Counts}, {"sometimes ", r.Sometimes}} {
		for _, name := range slices.Sorted(maps.Keys(part.of)) {
			fmt.Fprintf(&b, "; %s%s %d", part.word, name, part.of[name])
		}
	}
	return b.String()
}

// commit is what the test was built from, when the build knows it.
func commit() string {
	if c := os.Getenv("ANABRANCH_COMMIT"); c != "" {
		return c
	}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return ""
	}
	var rev, dirty string
	for _, s := range info.Settings {
		switch {
		case s.Key == "vcs.revision":
			rev = s.Value[:min(len(s.Value), 12)]
		case s.Key == "vcs.modified" && s.Value == "true":
			dirty = "+"
		}
	}
	return rev + dirty
}
