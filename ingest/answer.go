package ingest

import (
	"time"

	"anabranch/schemas"
)

// Meta is what a request says about its body.
type Meta struct {
	// Format of the body; a JSONArray may also be one object alone.
	Format schemas.Format
	// Request names the request; its repetition has the same name. Default:
	// random.
	Request string
	// Source is the file or system the events come from, for dead letters.
	Source string
	// FirstLine is the line of Source that the body's first line is, when the
	// body is a piece of it: lines in answers and letters count from there.
	// Default 1.
	FirstLine int
	// Received is when the events came, by which dead letters are filed; a
	// repetition has the same. Default: now.
	Received time.Time
	// Lane is the name of one of the pipeline's lanes; empty: the first.
	Lane string
	// Trace is the trace id of the request, all zero when it has none.
	Trace [16]byte
	// Size is about how long the body is, 0 when that is not known.
	Size int64
}

// Answer says what became of a request's events. All of it is durable.
type Answer struct {
	Accepted     int          `json:"accepted"`
	DeadLettered int          `json:"dead_lettered"`
	Request      string       `json:"request"`
	Receipt      Receipt      `json:"receipt"`
	Errors       []EventError `json:"errors,omitempty"` // the first MaxErrors of them, in the body's order
	ErrorsTotal  int          `json:"errors_total"`
}

// Receipt tells where the accepted events stand: a query that is given it
// waits until its answer covers them.
type Receipt struct {
	Pipeline  string   `json:"pipeline"`
	Positions []string `json:"positions"` // of the last event in each partition touched, as event.Position renders it
}

// EventError says why one event became a dead letter.
type EventError struct {
	Line    int    `json:"line"`
	Column  int    `json:"column,omitempty"`
	Field   string `json:"field,omitempty"`
	Code    string `json:"code"`
	Message string `json:"message"`
}

// MaxErrors is how many errors an answer lists.
const MaxErrors = 100
