package httpapi

import (
	"encoding/json"
	"net/http"

	"anabranch/fault"
	"anabranch/internal/openapi"
	"anabranch/serving"
	"anabranch/serving/sql"
)

// Codes of errors that have a status of their own here.
const (
	NotAcceptable = "not_acceptable"
	Unsupported   = "unsupported_media_type"
	TooLarge      = "too_large"
)

// ofCode is the status of a code, where that of its kind is not it.
var ofCode = map[string]int{
	NotAcceptable: http.StatusNotAcceptable, Unsupported: http.StatusUnsupportedMediaType, TooLarge: http.StatusRequestEntityTooLarge,
}

// Rows is an answer in JSON, of which writeJSON writes row by row.
type Rows struct {
	Columns []sql.Column    `json:"columns"`
	Rows    [][]any         `json:"rows"` // numbers have all their digits
	Receipt serving.Receipt `json:"receipt"`
}

var (
	receiptHeader = openapi.Header{Name: "Anabranch-Receipt", About: "what the answer covers, as JSON"}
	countHeader   = openapi.Header{Name: rowsHeader, About: "how many rows there are; of an answer that is longer than 256 KiB it is a trailer, behind the body"}
	notAcceptable = "Accept names nothing that answers are written as"
	tooLong       = "the body is too long"
	noSuchMedia   = "Content-Type names nothing that the body may be"

	byRows = []openapi.Content{
		{Media: string(asJSON), Type: Rows{}}, {Media: string(asNDJSON)}, {Media: string(asCSV)},
	}
)

// AboutQuery describes Query.
var AboutQuery = openapi.Route{
	Summary: "Ask the merged views in SQL",
	Body:    []openapi.Content{{Media: "application/json", Type: Request{}}, {Media: "application/sql"}, {Media: "text/plain"}},
	Answers: append(byRows[:len(byRows):len(byRows)], openapi.Content{Media: string(asArrow)}, openapi.Content{Media: string(asParquet)}),
	Headers: []openapi.Header{receiptHeader, countHeader},
	Errors: map[int]string{
		http.StatusNotAcceptable: notAcceptable, http.StatusRequestEntityTooLarge: tooLong, http.StatusUnsupportedMediaType: noSuchMedia,
	},
}

// The parameters of lookups and watches.
var (
	paramKey         = openapi.Text("key", "the value of the only column of the key that is no time")
	paramColumns     = openapi.Others("columns", "`key.COLUMN=VALUE` asks for the groups with that value in a column of the key, `key.COLUMN.null=true` for those without")
	paramTime        = openapi.Text("time", "the column of the key that from and to are about, where there are several times")
	paramFrom        = openapi.Text("from", "from this time or date on")
	paramTo          = openapi.Text("to", "up to below this one")
	paramLimit       = openapi.Whole("limit", "refuse to answer with more groups", 1, 0)
	paramConsistency = openapi.Text("consistency", "latest: every event that was acknowledged before").OneOf("eventual", "latest")
	paramAtLeast     = openapi.Text("at_least", "a receipt whose events the answer has to cover")
	paramRate        = openapi.Text("rate", "how many events a second at most: 4, or 0.01 to 20").Like(`^[0-9]*\.?[0-9]+$`, "0.01 to 20 events a second")
	paramSnapshot    = openapi.Flag("snapshot", "false: only what changes")

	viewParams = []openapi.Param{paramKey, paramColumns, paramTime, paramFrom, paramTo, paramLimit, paramConsistency, paramAtLeast}
)

// AboutView describes View.
var AboutView = openapi.Route{
	Summary: "The groups of a view with a key, without SQL",
	Params:  append(viewParams[:len(viewParams):len(viewParams)], openapi.InHeader("If-None-Match", "the ETag of an answer: 304 as long as nothing it covers has changed")),
	Answers: byRows,
	Headers: []openapi.Header{receiptHeader, countHeader, {Name: "ETag", About: "the same as long as nothing that the answer covers has changed"}},
	Other:   map[int]string{http.StatusNotModified: "nothing has changed since that ETag"},
	Errors:  map[int]string{http.StatusNotAcceptable: notAcceptable},
}

// AboutWatch describes Watches.
var AboutWatch = openapi.Route{
	Summary: "The groups of a view with a key, and those that change, as server-sent events",
	Params:  append(viewParams[:len(viewParams):len(viewParams)], paramRate, paramSnapshot, openapi.InHeader("Last-Event-ID", "the newest id that the client has: what changed since, or reset and a snapshot when that is not known any more")),
	Answers: []openapi.Content{{Media: "text/event-stream"}},
}

// ReadErrors are the statuses of ReadJSON that not every route has.
var ReadErrors = map[int]string{http.StatusRequestEntityTooLarge: tooLong, http.StatusUnsupportedMediaType: noSuchMedia}

// Statuses are those of errors that any route can have, with the codes of their
// problems where they have none of their own.
func Statuses() map[int]string {
	out := map[int]string{}
	for k := fault.Unknown; k <= fault.Bug; k++ {
		if s := Status(k); out[s] == "" {
			out[s] = http.StatusText(s) + "; code, unless there is one of its own: " + k.String()
		} else {
			out[s] += ", " + k.String()
		}
	}
	return out
}

// Request is the JSON body of a query.
type Request struct {
	SQL         string          `json:"sql"`
	AtLeast     json.RawMessage `json:"at_least,omitempty"`    // a receipt, as an object or as its text
	Consistency string          `json:"consistency,omitempty"` // "eventual" (default) or "latest"
}
