package workflows

import (
	"time"

	"anabranch/batch"
)

// CanaryType is the name of the workflow type.
const CanaryType = "Canary"

// PublishedSignal tells a canary that a version was published: it compares at
// once.
const PublishedSignal = "published"

// CanaryInput starts a canary: changed views are computed beside the ones that
// answer, answer a share of the queries, are compared all the while, and take
// over or are rolled back.
type CanaryInput struct {
	Pipeline   string       `json:"pipeline"`
	Definition string       `json:"definition,omitempty"` // version of the definition that declares them
	Views      []CanaryView `json:"views"`
	Share      float64      `json:"share"`                 // percent of the queries
	Within     float64      `json:"within"`                // what may differ at most, as a share of 1
	Every      string       `json:"every,omitempty"`       // how often they are compared, like 5m
	For        string       `json:"for,omitempty"`         // how long they have to be within the bound, like 1h
	Compare    int          `json:"comparisons,omitempty"` // and in how many comparisons
	Reason     string       `json:"reason,omitempty"`
	By         string       `json:"by,omitempty"`
	Key        string       `json:"key,omitempty"` // two starts with one key are one canary
	// Resume is filled in when a long canary continues with a fresh history.
	Resume *CanaryResume `json:"resume,omitempty"`
}

// CanaryView names the version that is judged.
type CanaryView struct {
	View    string `json:"view"`
	Version string `json:"version"`
}

// CanaryResume is what a canary knows.
type CanaryResume struct {
	Started time.Time     `json:"started"`
	Builds  int           `json:"builds"`
	Looks   int           `json:"looks"` // rounds of comparisons
	Views   []CanaryState `json:"views"`
	Acts    []Act         `json:"acts,omitempty"`
}

// CanaryState is how one version stands.
type CanaryState struct {
	CanaryView
	State  string    `json:"state"`           // one of the words below
	Share  float64   `json:"share"`           // percent of the queries that it answers
	Since  time.Time `json:"since,omitzero"`  // within the bound, in all comparisons
	Within int       `json:"within"`          // comparisons in a row
	Note   string    `json:"note,omitempty"`  // why it is decided
	Order  *Act      `json:"order,omitempty"` // what somebody decided
	// Last is the last comparison.
	Last *batch.Judgement `json:"last,omitempty"`
}

// The states of a version.
const (
	CanaryWaits      = "waits"       // it is not computed yet
	CanaryWatched    = "watched"     // it is compared
	CanaryPromoted   = "promoted"    // it answers
	CanaryRolledBack = "rolled back" // the version of before answers, as it did
	CanaryGone       = "gone"        // a newer definition has taken its place
)

func (s *CanaryState) decided() bool { return s.State != CanaryWaits && s.State != CanaryWatched }

// CanaryResult is what a canary came to.
type CanaryResult struct {
	Views      []CanaryState `json:"views"`
	RolledBack []string      `json:"rolled_back,omitempty"`
	Looks      int           `json:"looks"`
}

// The Updates of a canary.
const (
	PromoteUpdate  = "promote"  // have it answer now
	RollBackUpdate = "rollback" // end it; the version of before answers
)

const (
	looksPerHistory = 100
	maxBuilds       = 3
	canaryExample   = `{"pipeline":"retail","views":[{"view":"day","version":"1f8be302cc16a94d"}],"share":10,"within":0.01,"every":"5m","for":"1h","comparisons":3,"reason":"net of returns","by":"ana"}`
)

type canary struct {
	CanaryInput
	s           *CanaryResume
	every, stay time.Duration
	phase       string
	note        string
	poked       bool
}
