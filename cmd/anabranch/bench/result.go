package bench

import (
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"

	"anabranch/fault"
)

// Result is what one suite has measured: a file of docs/bench.
type Result struct {
	Suite   string
	Commit  string
	Date    string // day of the run
	Machine Machine
	Rows    []Row
}

// Machine is what a figure depends on; names of hosts and folders are no part of it.
type Machine struct {
	CPU   string
	Cores int
	OS    string
	Go    string
}

// Row is one line of a table.
type Row struct {
	Name   string // stable, for comparing with older results
	What   string // for people
	Data   string // what it was measured on
	Rounds int

	Unit  string  // of Ours and Peer, and of Value when there is no peer
	Ours  Spread  // of all rounds
	Peer  *Spread `json:",omitempty"` // nil: none
	Peers string  `json:",omitempty"` // who that is

	// Value is what is judged: peer by ours, round by round, where there is
	// a peer; else Ours.
	Value Spread
	Floor float64 `json:",omitempty"`
	Goal  float64 `json:",omitempty"`
	Less  bool    `json:",omitempty"` // smaller is better

	Answers string             `json:",omitempty"` // how they compared
	Figures map[string]float64 `json:",omitempty"` // beside the point
	Missed  string             `json:",omitempty"` // why the row could not be measured
}

// Spread is a median and where a middle half of the rounds lies.
type Spread struct{ Median, Low, High float64 }

func spreadOf(values []float64) Spread {
	v := slices.Sorted(slices.Values(values))
	at := func(q float64) float64 {
		x := q * float64(len(v)-1)
		i := int(x)
		if i+1 == len(v) {
			return v[i]
		}
		return v[i] + (x-float64(i))*(v[i+1]-v[i])
	}
	if len(v) == 0 {
		return Spread{}
	}
	return Spread{rounded(at(0.5)), rounded(at(0.25)), rounded(at(0.75))}
}

// rounded keeps four digits, more than any of this is good for.
func rounded(v float64) float64 {
	r, err := strconv.ParseFloat(strconv.FormatFloat(v, 'g', 4, 64), 64)
	if err != nil || math.IsInf(v, 0) || math.IsNaN(v) {
		return 0
	}
	return r
}

// machine describes this one.
func machine() Machine {
	m := Machine{CPU: runtime.GOARCH, Cores: runtime.NumCPU(), OS: runtime.GOOS + "/" + runtime.GOARCH, Go: runtime.Version()}
	if text, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		for line := range strings.Lines(string(text)) {
			if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
				m.CPU = strings.TrimSpace(value)
				break
			}
		}
	}
	return m
}

// Write writes r to a file of its suite in dir.
func (r *Result) Write(dir string) error {
	text, err := json.MarshalIndent(r, "", " ")
	if err != nil {
		return fault.Wrap(fault.Bug, err)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fault.Wrap(fault.Invalid, err)
	}
	if err := os.WriteFile(filepath.Join(dir, r.Suite+".json"), append(text, '\n'), 0o644); err != nil {
		return fault.Wrap(fault.Invalid, err)
	}
	return nil
}

// ReadResults reads all files of dir, in the order of Suites.
func ReadResults(dir string) ([]*Result, error) {
	var out []*Result
	for _, s := range Suites() {
		text, err := os.ReadFile(filepath.Join(dir, s+".json"))
		if os.IsNotExist(err) {
			continue
		}
		if err != nil {
			return nil, fault.Wrap(fault.Invalid, err)
		}
		r := &Result{}
		if err := json.Unmarshal(text, r); err != nil {
			return nil, fault.New(fault.Corrupt, "read the result of suite %s: %w", s, err)
		}
		out = append(out, r)
	}
	return out, nil
}
