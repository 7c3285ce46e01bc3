package httpapi

import (
	"testing"

	"anabranch/fault"
	"anabranch/serving/sql"
)

// Accept is read as RFC 9110 says: by q, and by how exactly a format is named.
func TestAcceptIsNegotiated(t *testing.T) {
	t.Parallel()
	for accept, want := range map[string]format{
		"":                                       "application/json",
		"*/*":                                    "application/json",
		"text/*":                                 "text/csv",
		"text/csv, */*":                          "text/csv",
		"text/html, */*;q=0.1":                   "application/json",
		"APPLICATION/X-NDJSON":                   "application/x-ndjson",
		"application/ndjson":                     "application/x-ndjson",
		"text/csv;q=0.5, application/json;q=0.4": "text/csv",
		"application/json;q=0, text/csv;q=0.1":   "text/csv",
		"application/*;q=0.1, text/csv":          "text/csv",
		"application/x-ndjson;q=0.9, */*":        "application/json",
		"application/json;q=0, */*":              "application/x-ndjson",
		"application/vnd.apache.parquet, application/json": "application/vnd.apache.parquet",
		"application/json;q=x":                             "application/json",
		"text/html":                                        "",
		"application/json;q=0":                             "",
		"*/*;q=0":                                          "",
	} {
		got, err := negotiate(accept, written...)
		if got != want || (want == "") != (fault.CodeOf(err) == NotAcceptable) {
			t.Errorf("%q: %q, %v, want %q", accept, got, err, want)
		}
	}
	if got, err := negotiate("application/vnd.apache.arrow.stream, text/csv;q=0.2", asJSON, asNDJSON, asCSV); got != asCSV || err != nil {
		t.Errorf("of a lookup: %q, %v", got, err)
	}
}

// In CSV null is nothing, and an empty text is not null.
func TestAnEmptyTextIsNotNull(t *testing.T) {
	t.Parallel()
	text := sql.Type{Name: "VARCHAR"}
	line := appendField(nil, &text, &sql.Datum{Is: sql.IsNull})
	line = appendField(append(line, ','), &text, &sql.Datum{Is: sql.InText})
	if string(line) != `,""` {
		t.Errorf("%s", line)
	}
}
