package ingest

import (
	"net/http"

	"anabranch/internal/openapi"
)

// Events describes what Handler answers.
var Events = openapi.Route{
	Summary: "Send events",
	About:   "200 means that every accepted event is durable and every other one a dead letter. After any other status sending the same body again is right: an event counts once.",
	Params: []openapi.Param{
		openapi.InHeader(HeaderSource, "the file or system the events come from; kept with dead letters"),
		openapi.InHeader(HeaderLane, "one of the pipeline's lanes"),
		openapi.InHeader(HeaderFirstLine, "the line of the source that the body's first line is"),
		openapi.InHeader(HeaderKey, "the same for a request and its repetitions: dead letters are then stored once"),
	},
	Optional: true, // without one there are no events
	Body:     []openapi.Content{{Media: "application/x-ndjson"}, {Media: "application/json"}, {Media: "text/csv"}},
	Answers:  openapi.JSON[Answer](),
	Headers:  []openapi.Header{{Name: HeaderRequest, About: "the name that the request has"}},
	Errors: map[int]string{
		http.StatusRequestEntityTooLarge: "the body is too long", http.StatusUnsupportedMediaType: "Content-Type or Content-Encoding names nothing that events come in",
	},
}
