package api

import "time"

// Trace tells what became of events.
type Trace struct {
	Pipeline string       `json:"pipeline"`
	Asked    string       `json:"asked"`
	Manifest uint64       `json:"manifest"` // the newest version, by which the copies are judged
	Letter   *Letter      `json:"letter,omitempty"`
	Released *Released    `json:"released,omitempty"` // the letter was sent back
	Events   []TraceEvent `json:"events"`
	More     bool         `json:"more,omitempty"` // there are others that fit; name one by its id
}

// Released says that a dead letter was sent back to the door.
type Released struct {
	By   string    `json:"by"`
	Into string    `json:"into,omitempty"`
	At   time.Time `json:"at"`
}

// TraceEvent is one event: all the copies of one id.
type TraceEvent struct {
	ID     string            `json:"id"` // 32 hexadecimal digits
	Fields map[string]string `json:"fields"`
	Copies []TraceCopy       `json:"copies"` // in log order; the first counts
	Cells  []TraceCell       `json:"cells"`  // that the first went into
}

// TraceCopy is one copy of an event.
type TraceCopy struct {
	Position string `json:"position"` // partition/offset/row
	Verdict  string `json:"verdict"`  // counted, filtered, duplicate, conflict
	Because  string `json:"because,omitempty"`
	Layer    string `json:"layer"`              // which counts it now: batch, or speed
	Segment  string `json:"segment,omitempty"`  // empty: only the log has it yet
	DayFile  string `json:"day_file,omitempty"` // empty: above the cut, or it does not count
	Letter   string `json:"letter,omitempty"`   // a conflicting copy's
	Released string `json:"released,omitempty"` // when and by whom
}

// TraceCell is a group of a view.
type TraceCell struct {
	View    string            `json:"view"`
	Version string            `json:"version"`
	Answers bool              `json:"answers"` // readers see this version; else it is built beside
	Key     map[string]string `json:"key,omitempty"`
	Out     bool              `json:"out,omitempty"`    // the view's WHERE leaves the event out
	States  string            `json:"states,omitempty"` // the file that holds the states of its day
}
