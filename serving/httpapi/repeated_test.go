package httpapi_test

import (
	"net/http/httptest"
	"strings"
	"testing"

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
