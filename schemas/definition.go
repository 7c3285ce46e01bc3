package schemas

import (
	"io/fs"
	"time"

	"anabranch/fault"
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
	Rules       []Rule
	Lateness    time.Duration
	Schedule    string // cron, when the nightly batch runs; empty: never by itself
	Linger      time.Duration
	FrameBytes  int
	Lanes       []Lane
	Files       map[string]string // all files of the definition, by path inside its folder
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

// ReadDefinition reads pipeline.yaml, the schema and views/*.sql from fsys.
// The error is Problems: all the mistakes found, with their places.
func ReadDefinition(fsys fs.FS) (*Definition, error) {
	return nil, fault.New(fault.Bug, "schemas.ReadDefinition is not built yet")
}

// Version identifies the text of the definition: a hash of its files.
func (d *Definition) Version() string { return "" }
