package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"

	"anabranch/internal/soak"
)

// sum is what all records of one test say together.
type sum struct {
	name      string
	about     soak.Test
	runs      int
	raced     int
	failed    int
	seconds   float64
	seeds     []uint64
	commits   []string
	counts    map[string]int64
	sometimes map[string]int64
	notRun    map[string]string
}

func read(dir fs.FS) (all []soak.Record, err error) {
	names, err := fs.Glob(dir, "*.jsonl")
	if err != nil {
		return nil, err
	}
	if len(names) == 0 {
		return nil, fmt.Errorf("no records (*.jsonl) there")
	}
	for _, name := range names {
		text, err := fs.ReadFile(dir, name)
		if err != nil {
			return nil, err
		}
		for n, line := range bytes.Split(bytes.TrimSpace(text), []byte("\n")) {
			var r soak.Record
			if err := json.Unmarshal(line, &r); err != nil {
				return nil, fmt.Errorf("%s line %d: %w", name, n+1, err)
			}
			all = append(all, r)
		}
	}
	return all, nil
}

// add returns a sum for every registered test, sorted by name, without runs
// where there is no record of it.
func add(all []soak.Record) []*sum {
	by := map[string]*sum{}
	for name, about := range soak.Tests {
		by[name] = &sum{name: name, about: about, counts: map[string]int64{}, sometimes: map[string]int64{}, notRun: map[string]string{}}
	}
	for _, r := range all {
		s, ok := by[r.Test]
		if !ok {
			s = &sum{name: r.Test, counts: map[string]int64{}, sometimes: map[string]int64{}, notRun: map[string]string{}}
			by[r.Test] = s
		}
		s.runs++
		s.seconds += r.Seconds
		s.seeds = append(s.seeds, r.Seed)
		if r.Raced {
			s.raced++
		}
		if !r.Passed {
			s.failed++
		}
		if !slices.Contains(s.commits, r.Commit) {
			s.commits = append(s.commits, r.Commit)
		}
		for k, n := range r.Counts {
			s.counts[k] += n
		}
		for k, n := range r.Sometimes {
			s.sometimes[k] += n
		}
		maps.Copy(s.notRun, r.NotRun)
	}
	return slices.SortedFunc(maps.Values(by), func(a, b *sum) int { return strings.Compare(a.name, b.name) })
}

// judge says what is wrong with the soak.
func judge(sums []*sum) (red []string) {
	for _, s := range sums {
		say := func(format string, args ...any) { red = append(red, s.name+": "+fmt.Sprintf(format, args...)) }
		if s.about.Func == "" {
			say("there are records of it, but it is not registered")
			continue
		}
		if s.runs == 0 {
			say("was not run")
			continue
		}
		if s.failed > 0 {
			say("%d of %d runs failed", s.failed, s.runs)
		}
		for _, k := range []string{soak.Lost, soak.Double} {
			if n := s.counts[k]; n != 0 {
				say("%d %s", n, k)
			}
		}
		for _, k := range slices.Sorted(maps.Keys(s.about.Least)) {
			if want := s.about.Least[k]; s.counts[k] < want {
				say("%d %s, a whole soak has %d", s.counts[k], k, want)
			}
		}
		for _, k := range s.about.Sometimes {
			if s.sometimes[k] == 0 {
				say("%q never happened", k)
			}
		}
	}
	return red
}
