// Package api holds what the command line and the server say to each other
// over HTTP, beside events and queries: pipelines, runs, the ledger, dead
// letters and verifications. Every type here is JSON on the wire.
package api

import (
	"time"

	"anabranch/internal/problem"
)

// Apply asks for a pipeline to be made or changed: the files of its folder,
// by path. A file of a reference table that was uploaded stands there as the
// text that Uploaded gave.
type Apply struct {
	Files map[string]string `json:"files"`
	Ways
}

// Applied tells what came of an Apply.
type Applied struct {
	Pipeline   string   `json:"pipeline"`
	Version    string   `json:"version"`
	Schema     uint32   `json:"schema"`
	Partitions int      `json:"partitions"`
	Views      []string `json:"views"`
	References []string `json:"references,omitempty"` // with versions and rows
	Changed    bool     `json:"changed"`              // false when this very definition was in force already
	Rebuild    []string `json:"rebuild,omitempty"`    // views that the next batch has to compute; a changed one answers as before until then
	Run        *Run     `json:"run,omitempty"`        // the backfill or the canary that computes them
}

// Problem is an error, and Place one mistake in a folder of definitions.
type (
	Problem = problem.Problem
	Place   = problem.Place
)

// Pipelines lists those in force.
type Pipelines struct {
	Pipelines []Pipeline `json:"pipelines"`
}

// Pipeline describes one pipeline in force.
type Pipeline struct {
	Name        string    `json:"name"`
	Description string    `json:"description,omitempty"`
	Version     string    `json:"version"`
	Schema      uint32    `json:"schema"`
	Partitions  int       `json:"partitions"`
	Views       []string  `json:"views"`
	References  []string  `json:"references,omitempty"`
	Applied     time.Time `json:"applied"`
}

// StartBatch asks for a nightly batch now. Key makes it repeatable: a second
// start with one key joins the first.
type StartBatch struct {
	Key    string `json:"key,omitempty"`   // default: nightly-DATE with a date, else the time
	Date   string `json:"date,omitempty"`  // data date, YYYY-MM-DD
	Again  bool   `json:"again,omitempty"` // compute the events of Date again, too
	Reason string `json:"reason,omitempty"`
	By     string `json:"by,omitempty"`
}

// Ledger says where every event of a pipeline is. Received is what came in at
// the door: rows in the log and letters refused there.
type Ledger struct {
	Pipeline     string           `json:"pipeline"`
	Received     int64            `json:"received"`
	Counted      int64            `json:"counted"`
	Duplicate    int64            `json:"duplicate"`
	Filtered     map[string]int64 `json:"filtered"`
	DeadLettered map[string]int64 `json:"dead_lettered"`
	Held         int64            `json:"held"`
	InFlight     int64            `json:"in_flight"`
	Imbalance    int64            `json:"imbalance"`
	Balanced     bool             `json:"balanced"`
	At           string           `json:"at"` // offset per partition that the figures reach

	Bisected []Parting `json:"bisected,omitempty"` // asked for with ?bisect=true: one for each partition
}

// Parting says where the rows of one partition's log and what became of them
// part for the first time.
type Parting struct {
	Partition int    `json:"partition"`
	Equal     bool   `json:"equal"`            // they never do
	Offset    uint64 `json:"offset"`           // the first offset at which they may part
	Below     uint64 `json:"below"`            // and the one they do it below
	Where     string `json:"where,omitempty"`  // the file or the room that says otherwise
	Rows      int64  `json:"rows"`             // events in the log, in [offset, below)
	Accounted int64  `json:"accounted"`        // events known to be counted, duplicate, filtered or conflicting there
	Reason    string `json:"reason,omitempty"` // for people
}

// Letters is one page of dead letters.
type Letters struct {
	Letters []Letter `json:"letters"`
	Next    string   `json:"next,omitempty"`
}

// Letter is one event that could not be accepted.
type Letter struct {
	ID       string    `json:"id"`
	Code     string    `json:"code"`
	Message  string    `json:"message"`
	Field    string    `json:"field,omitempty"`
	Source   string    `json:"source,omitempty"`
	Line     int       `json:"line,omitempty"`
	Column   int       `json:"column,omitempty"`
	Received time.Time `json:"received"`
	Raw      string    `json:"raw"`
	Base64   bool      `json:"base64,omitempty"` // raw is base64: the bytes are not UTF-8
}

// Verification is the outcome of comparing every view with its own SELECT
// over the raw events.
type Verification struct {
	Pipeline string       `json:"pipeline"`
	Equal    bool         `json:"equal"`
	Events   int64        `json:"events"` // raw rows read
	Distinct int64        `json:"distinct"`
	Seconds  float64      `json:"seconds"`
	At       string       `json:"at"`
	Views    []ViewResult `json:"views"`
}

// ViewResult compares one view.
type ViewResult struct {
	View    string     `json:"view"`
	Rows    int64      `json:"rows"`
	Differ  int64      `json:"differ"`
	Note    string     `json:"note,omitempty"`    // for example the largest error of a sketch
	Columns []string   `json:"columns,omitempty"` // of the examples
	Merged  [][]string `json:"merged,omitempty"`  // rows that only the merged answer has, ten at most
	Raw     [][]string `json:"raw,omitempty"`     // rows that only the raw events give, ten at most
}

// Answer is the gateway's answer to a body of events.
type Answer struct {
	Accepted     int64     `json:"accepted"`
	DeadLettered int64     `json:"dead_lettered"`
	Receipt      Receipt   `json:"receipt"`
	Errors       []LineErr `json:"errors,omitempty"`
	ErrorsTotal  int64     `json:"errors_total"`
}

// Receipt is a producer's proof: the last position of each partition touched.
type Receipt struct {
	Pipeline  string   `json:"pipeline"`
	Positions []string `json:"positions"`
}

// LineErr is one line that became a dead letter.
type LineErr struct {
	Line    int    `json:"line"`
	Column  int    `json:"column,omitempty"`
	Field   string `json:"field,omitempty"`
	Code    string `json:"code"`
	Message string `json:"message"`
}

// Addresses is DIR/addresses.json: where a running program listens.
type Addresses struct {
	HTTP       string `json:"http"`
	PG         string `json:"pg,omitempty"`     // URL for psql; empty: no such door
	Flight     string `json:"flight,omitempty"` // URI for Flight SQL clients; empty: no such door
	NATS       string `json:"nats"`
	Temporal   string `json:"temporal"`
	TemporalUI string `json:"temporal_ui"`
	PID        int    `json:"pid"`
}

// Check is what fsck found.
type Check struct {
	Findings []Finding `json:"findings"`
}

// Finding is one thing that is wrong at rest.
type Finding struct {
	Kind     string `json:"kind"`
	File     string `json:"file"`
	Problem  string `json:"problem"`
	Meaning  string `json:"meaning"` // for answers
	Todo     string `json:"todo"`
	Repaired bool   `json:"repaired"`
}

// Ready is the answer of GET /readyz.
type Ready struct {
	Status   string    `json:"status"` // "ok", or "degraded": events are taken and queries answered, but something fails
	Problems []Trouble `json:"problems"`
}

// Trouble is something that fails and is tried again.
type Trouble struct {
	Pipeline string     `json:"pipeline"`
	Part     string     `json:"part"`
	Since    *time.Time `json:"since,omitempty"`
	Error    string     `json:"error"`
}
