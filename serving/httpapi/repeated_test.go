package httpapi_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"anabranch/serving/httpapi"
)

// A name that an object has twice is refused, with its second place.
func TestNamesThatARequestHasTwice(t *testing.T) {
	t.Parallel()
	read := func(body string) error {
		var into struct {
			SQL   string            `json:"sql"`
			Files map[string]string `json:"files"`
			Rest  any               `json:"rest"`
		}
		return httpapi.ReadJSON(nil, httptest.NewRequest("POST", "/", strings.NewReader(body)), 1<<20, &into)
	}
	for body, want := range map[string]string{
		`{"sql": "SELECT 1", "sql": "SELECT 2"}`:             `"sql" twice in one object (line 1, column 21)`,
		"{\n  \"sql\": \"\\\"sql\\\":\",\n\t\"SQL\" : \"\"}": `"SQL" twice in one object (line 3, column 2)`,
		`{"ſql": "", "sql": ""}`:                             `(line 1, column 14)`,
		`{"rest": [1, {"a": {"b": 1}, "b": 2, "a": []}]}`:    `"a" twice in one object (line 1, column 38)`,
		`{"files": {"a.sql": "", "b": "", "a.sql": ""} }`:    `"a.sql" twice`,
		`{"rest": {"a": 1, "\u0061": 2}}`:                    `"a" twice`,
		`{"rest": [[], {}, {"a": {}, "b": [], "a": null}]}`:  `"a" twice`,
	} {
		if err := read(body); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, not %s", body, err, want)
		}
	}
	for _, body := range []string{
		`{}`, `{"sql": "sql", "rest": ["sql", "sql", {"sql": "sql"}, {"sql": "sql"}]}`, `{"files": {"a.sql": "", "A.sql": ""}}`,
		`{"rest": {"a": {"a": {"a": "a"}}, "b": "a"}}`, `{"rest": {"a": [], "b": {}}, "sql": ""}`,
	} {
		if err := read(body); err != nil {
			t.Errorf("%s: %v", body, err)
		}
	}
}

// Texts of a request that are none are refused, not replaced.
func TestTextsThatAreNone(t *testing.T) {
	t.Parallel()
	read := func(body string) (string, error) {
		var into struct {
			SQL string `json:"sql"`
		}
		err := httpapi.ReadJSON(nil, httptest.NewRequest("POST", "/", strings.NewReader(body)), 1<<20, &into)
		return into.SQL, err
	}
	for body, want := range map[string]string{
		"{\"sql\": \"\xff\"}":             "is not UTF-8",
		"{\"sql\": \"\xed\xa0\x80\"}":     "is not UTF-8",
		`{"sql": "\ud800"}`:               `\ud800, half of a pair (line 1, column 10)`,
		"{\n\"sql\": \"x\\uDC00\"}":       `\uDC00, half of a pair (line 2, column 10)`,
		`{"sql": "\ud83d\ude00\ud83d x"}`: `\ud83d, half of a pair (line 1, column 22)`,
		`{"sql": "\ud83d\\ude00"}`:        `\ud83d, half of a pair`,
		`{"sql": "\ud83d\ud83d\ude00"}`:   `\ud83d, half of a pair (line 1, column 10)`,
	} {
		if _, err := read(body); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, not %s", body, err, want)
		}
	}
	for body, want := range map[string]string{
		`{"sql": "\ud83d\ude00 \\ud800 \u00fc"}`: "\U0001f600 \\ud800 \u00fc",
		`{"sql": "\\\\\ud83d\ude00\""}`:          "\\\\\U0001f600\"",
		`{"sql": "\ufffd\\"}`:                    "\ufffd\\",
	} {
		if got, err := read(body); got != want || err != nil {
			t.Errorf("%s: %q %v, not %q", body, got, err, want)
		}
	}
}

// A body that does not end is answered, and its connection is let go.
func TestBodiesThatDoNotEnd(t *testing.T) {
	t.Parallel()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		httpapi.Within(w, r, 50*time.Millisecond)
		var into struct{ SQL string }
		if err := httpapi.ReadJSON(w, r, 1<<20, &into); err != nil {
			httpapi.WriteProblem(w, err)
		}
	}))
	defer s.Close()
	body, never := io.Pipe()
	defer never.Close()
	go func() { _, _ = never.Write([]byte(`{"sql": `)) }()
	resp, err := http.Post(s.URL, "application/json", body)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusBadRequest || !strings.Contains(string(text), "has not come whole within 50ms") {
		t.Errorf("%s %s %v", resp.Status, text, err)
	}
	for range 3 { // nobody else's body is cut short
		resp, err := http.Post(s.URL, "application/json", strings.NewReader("{}"))
		if err != nil || resp.StatusCode != http.StatusOK {
			t.Fatal(resp, err)
		}
		resp.Body.Close()
	}
}
