// Package openapi describes an HTTP surface beside the handlers that make it:
// what a route says of itself here is what the OpenAPI document is made of, and
// what requests are checked against. Schemas come from the Go types that are
// encoded and decoded.
package openapi

// Route says what one pattern of http.ServeMux is for.
type Route struct {
	Summary string // one line
	About   string // more, in Markdown; may be empty

	Params []Param
	// Body is what a request may carry; none: no body is read. Optional says that
	// it may also be left out.
	Body     []Content
	Optional bool

	Answers []Content
	Headers []Header // of the answer
	// Other statuses that are no error, with what they mean.
	Other map[int]string
	// Errors are the statuses of this route that not every route has.
	Errors map[int]string
	// Problem is a value of the type of its errors; nil: the document's.
	Problem any
}

// Content is one way in which a body is written.
type Content struct {
	Media string
	// Type is a value of the type that is encoded, nil for text and bytes.
	Type any
	// Each says that the body is a sequence of such values, not one.
	Each bool
}

// JSON is a body that is the JSON of a T.
func JSON[T any]() []Content {
	var v T
	return []Content{{Media: "application/json", Type: v}}
}

// Header is one header of an answer.
type Header struct{ Name, About string }
