package main

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"anabranch/internal/soak"
)

// write makes the page.
func write(b *strings.Builder, sums []*sum, red []string) {
	b.WriteString(`# Reliability

Made by ` + "`make soak`" + ` from the records of its tests; not written by hand. Every
test takes a seed: what failed once can be run again.

`)
	if len(red) > 0 {
		b.WriteString("**This soak is red:**\n\n")
		for _, why := range red {
			fmt.Fprintf(b, "- %s\n", why)
		}
		b.WriteString("\n")
	}
	b.WriteString("## What was run\n\n| test | what came of it | time | runs | seeds | commits |\n| --- | --- | --- | --- | --- | --- |\n")
	for _, s := range sums {
		fmt.Fprintf(b, "| %s | %s | %s | %s | %s | %s |\n", s.name, s.figures(), (time.Duration(s.seconds) * time.Second).Round(time.Second), s.times(), s.seedText(), strings.Join(s.commits, " "))
	}
	b.WriteString("\n## What each test would break\n\n")
	for _, s := range sums {
		fmt.Fprintf(b, "- **%s** (`%s`, `%s`): %s\n", s.name, s.about.Package, s.about.Func, s.about.Shows)
	}
	b.WriteString("\n## Situations that must come up\n\nA soak in which one of these never happened is red.\n\n| test | situation | times |\n| --- | --- | --- |\n")
	for _, s := range sums {
		for _, k := range s.about.Sometimes {
			fmt.Fprintf(b, "| %s | %s | %s |\n", s.name, k, number(s.sometimes[k]))
		}
	}
	b.WriteString("\n## Fault classes that could not be run\n\n")
	none := true
	for _, s := range sums {
		for _, k := range slices.Sorted(maps.Keys(s.notRun)) {
			none = false
			fmt.Fprintf(b, "- %s, %s: %s\n", s.name, k, s.notRun[k])
		}
	}
	if none {
		b.WriteString("None.\n")
	}
	b.WriteString("\n## Every promise, and the tests that would break it\n\n| promise | tests |\n| --- | --- |\n")
	for n, p := range soak.Promises {
		var tests []string
		for _, t := range p.Tests {
			tests = append(tests, "`"+t+"`")
		}
		fmt.Fprintf(b, "| %d. %s | %s |\n", n+1, p.Text, strings.Join(tests, " "))
	}
}

// figures are the counts: first those that the test names, then the others.
func (s *sum) figures() string {
	if s.runs == 0 {
		return "not run"
	}
	var out []string
	for _, k := range s.about.Counts {
		out = append(out, number(s.counts[k])+" "+k)
	}
	for _, k := range slices.Sorted(maps.Keys(s.counts)) {
		if !slices.Contains(s.about.Counts, k) {
			out = append(out, number(s.counts[k])+" "+k)
		}
	}
	if s.failed > 0 {
		out = append(out, fmt.Sprintf("**%d runs failed**", s.failed))
	}
	return strings.Join(out, ", ")
}

func (s *sum) times() string {
	if s.raced == 0 {
		return strconv.Itoa(s.runs)
	}
	return fmt.Sprintf("%d, %d under race", s.runs, s.raced)
}

func (s *sum) seedText() string {
	var out []string
	for _, n := range s.seeds[:min(4, len(s.seeds))] {
		out = append(out, strconv.FormatUint(n, 10))
	}
	if more := len(s.seeds) - len(out); more > 0 {
		out = append(out, fmt.Sprintf("and %d more", more))
	}
	return strings.Join(out, " ")
}

// number writes 1234567 as 1,234,567.
func number(n int64) string {
	s := strconv.FormatInt(n, 10)
	sign, s := s[:len(s)-len(strings.TrimLeft(s, "-"))], strings.TrimLeft(s, "-")
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return sign + s
}
