package deadletter

import (
	"strconv"
	"strings"
	"time"

	"anabranch/fault"
)

// Letter is one event that was not accepted: its bytes and the reason.
type Letter struct {
	ID       string    `json:"-"`        // names the letter in List, Get and Release; made by Put
	Pipeline string    `json:"pipeline"` // set by Put
	Code     string    `json:"code"`     // short and stable: "wrong_type", a quality rule's code, "conflict"
	Message  string    `json:"message,omitempty"`
	Field    string    `json:"field,omitempty"`  // the field it is about, when it is about one
	Source   string    `json:"source,omitempty"` // the file or request the event came in
	Kind     string    `json:"kind,omitempty"`   // the fault kind: "poison", "conflict"
	Line     int       `json:"line,omitempty"`   // where in the body, 1-based; 0 when not known
	Column   int       `json:"column,omitempty"`
	Raw      []byte    `json:"raw,omitempty"`    // the event as received
	Format   string    `json:"format,omitempty"` // of Raw: "ndjson" (one JSON object), "csv" (a record); "": JSON
	Header   []byte    `json:"header,omitempty"` // of a CSV record: the line that names its fields; none when Raw holds it
	Received time.Time `json:"received"`

	// A conflicting copy got as far as the log; these say where it stands,
	// and which copy counted.
	Position      string `json:"position,omitempty"` // as event.Position renders it
	First         string `json:"first,omitempty"`    // the position of the copy that counted
	ContentHash   string `json:"content_hash,omitempty"`
	FirstHash     string `json:"first_hash,omitempty"`
	SchemaVersion uint32 `json:"schema_version,omitempty"`

	Released *Release `json:"-"` // set by List and Get when the letter was sent back
}

// Release says that a letter was sent back to ingest.
type Release struct {
	By   string    `json:"by"`             // who did it
	Into string    `json:"into,omitempty"` // the request or receipt it went in by
	At   time.Time `json:"at"`
}

// letterID names letter i of a request: day.request.i, the request escaped so
// that it has no dot.
func letterID(day, request string, i int) string {
	return day + "." + request + "." + strconv.Itoa(i)
}

func parseID(id string) (day, request string, i int, err error) {
	part := strings.Split(id, ".")
	if len(part) == 3 && isDay(part[0]) && part[1] != "" {
		if n, e := strconv.Atoi(part[2]); e == nil && n >= 0 {
			return part[0], part[1], n, nil
		}
	}
	return "", "", 0, fault.New(fault.Invalid, "dead letter %q: want day.request.number as the list shows it", id)
}

func isDay(s string) bool {
	_, err := time.Parse(time.DateOnly, s)
	return err == nil
}
