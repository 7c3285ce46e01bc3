package schemas

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"
	"time"
)

// Definition is a pipeline as its folder describes it. It is text and
// settings: the SQL in it has not been looked at.
type Definition struct {
	Name        string
	Description string
	Schema      *Schema
	Identity    Identity
	Partitions  int
	Format      Format // of a body that does not say
	Views       []ViewText
	References  []Reference
	Rules       []Rule
	Lateness    time.Duration
	Schedule    Schedule
	Publish     Publish
	Canary      Canary
	Audits      Audits
	Retention   Retention
	Linger      time.Duration
	FrameBytes  int
	Lanes       []Lane
	// Files are all files of the definition, by path inside its folder; a text
	// of PointerTo stands for each file of a reference table.
	Files map[string]string
}

// ViewText is one file of views/.
type ViewText struct {
	Name string // the file's name without .sql
	SQL  string
	File string
}

// Rule is one quality rule; the first that matches an event decides.
type Rule struct {
	Code         string
	SQL          string // TRUE for the events it is about
	Action       string // ActionDeadLetter or ActionFilter
	Message      string
	File         string
	Line, Column int // where SQL begins
}

// What a rule does with an event it matches.
const (
	ActionDeadLetter = "dead_letter" // refused with the rule's code
	ActionFilter     = "filter"      // archived and counted as filtered, in no view
)

// Lane is one priority class of producers.
type Lane struct {
	Name     string
	Priority int // higher is served first
}

// Names of files in the folder of a definition.
const (
	pipelineFile = "pipeline.yaml"
	viewsFolder  = "views"
	testsFolder  = "tests"
)

// MaxPartitions is the largest number of partitions of a pipeline.
const MaxPartitions = 256

// What is left out of a definition.
const (
	defaultPartitions = 4
	defaultLinger     = 5 * time.Millisecond
	defaultFrameBytes = 1 << 20
	maxFrameBytes     = 4 << 20
	minFrameBytes     = 4 << 10
)

// ReadDefinition reads pipeline.yaml, the schema, views/*.sql and tests/*.yaml
// from fsys. The error is Problems: all the mistakes found, with their places.
func ReadDefinition(fsys fs.FS) (*Definition, error) {
	r := &definitionReader{fsys: fsys, d: &Definition{
		Partitions: defaultPartitions, Linger: defaultLinger, FrameBytes: defaultFrameBytes,
		Lanes: []Lane{{Name: "default"}}, Canary: DefaultCanary, Files: map[string]string{},
	}}
	if root := r.parse(pipelineFile); root != nil {
		r.pipeline(root)
	}
	r.views()
	r.distinctNames()
	r.keepFiles(testsFolder, ".yaml")
	if len(r.problems) > 0 {
		slices.SortStableFunc(r.problems, func(a, b Problem) int {
			if a.File != b.File {
				return strings.Compare(a.File, b.File)
			}
			if a.Line != b.Line {
				return a.Line - b.Line
			}
			return a.Column - b.Column
		})
		return nil, r.problems
	}
	return r.d, nil
}

// Version identifies what the definition means for a pipeline that runs: a
// hash of its files, its tests and descriptions of files left out.
func (d *Definition) Version() string {
	h := sha256.New()
	for _, name := range slices.Sorted(maps.Keys(d.Files)) {
		if !strings.HasPrefix(name, testsFolder+"/") {
			fmt.Fprintf(h, "%q %q\n", name, d.Files[name])
		}
	}
	return hex.EncodeToString(h.Sum(nil)[:16])
}

// goodName is what pipelines, views, rules and lanes may be called: it goes
// into object names, SQL and metrics.
var goodName = regexp.MustCompile(`^[a-z][a-z0-9_]{0,62}$`)

const nameHint = "use lower-case letters, digits and _, beginning with a letter"

// views reads views/*.sql in order of their names.
func (r *definitionReader) views() {
	for _, file := range r.keepFiles(viewsFolder, ".sql") {
		name := strings.TrimSuffix(path.Base(file), ".sql")
		if !goodName.MatchString(name) {
			r.problem(Problem{File: file, Message: fmt.Sprintf("a view cannot be called %q", name), Hint: nameHint})
		}
		if strings.TrimSpace(r.d.Files[file]) == "" {
			r.problem(Problem{File: file, Message: "the file is empty", Hint: "a view is one SELECT"})
		}
		r.d.Views = append(r.d.Views, ViewText{Name: name, SQL: r.d.Files[file], File: file})
	}
}

// keepFiles reads the files of a folder with a suffix, if there is one, and
// returns their names in order.
func (r *definitionReader) keepFiles(folder, suffix string) []string {
	entries, err := fs.ReadDir(r.fsys, folder)
	if err != nil {
		return nil // the folder may be missing; what cannot be read is named below
	}
	var names []string
	for _, e := range entries {
		name := path.Join(folder, e.Name())
		if e.IsDir() || !strings.HasSuffix(name, suffix) {
			continue
		}
		if _, ok := r.read(name); ok {
			names = append(names, name)
		}
	}
	return names
}

// read returns a file's text and keeps it.
func (r *definitionReader) read(name string) (string, bool) {
	text, err := fs.ReadFile(r.fsys, name)
	if err != nil {
		message := "the file is not there"
		if fs.ValidPath(name) {
			if _, e := fs.Stat(r.fsys, name); e == nil {
				message = "the file cannot be read: " + err.Error()
			}
		}
		r.problem(Problem{File: name, Message: message})
		return "", false
	}
	r.d.Files[name] = string(text)
	return string(text), true
}

func (r *definitionReader) problem(p Problem) { r.problems = append(r.problems, p) }
