package httpapi_test

import (
	"io"
	"net/http"
	"strings"
	"testing"
)

// The JSON of a query may have the values of its parameters.
func TestParameters(t *testing.T) {
	t.Parallel()
	s := door(t)
	ask := func(body string) (status int, answer string) {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.URL, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("Accept", "text/csv")
		resp, err := s.Client().Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		text, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return resp.StatusCode, string(text)
	}
	for body, want := range map[string]string{
		`{"sql": "SELECT $1::INT + $2 AS n", "parameters": [41, 1]}`:                                           "n\n42\n",
		`{"sql": "SELECT $1 AS a, $2 AS b, $3 AS c", "parameters": ["it's; $2", true, null]}`:                  "a,b,c\nit's; $2,true,\n",
		`{"sql": "SELECT $1 * 2 AS n, typeof($1) AS t", "parameters": [0.10]}`:                                 "n,t\n0.2,\"DECIMAL(2,2)\"\n",
		`{"sql": "SELECT $1::HUGEINT AS n", "parameters": [12345678901234567890123456789012345678]}`:           "n\n12345678901234567890123456789012345678\n",
		`{"sql": "SELECT $1::DOUBLE AS n", "parameters": [-1e3]}`:                                              "n\n-1000\n",
		`{"sql": "SELECT d FROM (SELECT DATE '2026-01-02' AS d) WHERE d >= $1", "parameters": ["2026-01-02"]}`: "d\n2026-01-02\n",
		`{"sql": "SELECT 1 AS n", "parameters": []}`:                                                           "n\n1\n",
		`{"sql": "SELECT 1 AS n", "parameters": null}`:                                                         "n\n1\n",
	} {
		if status, answer := ask(body); status != http.StatusOK || answer != want {
			t.Errorf("%s: %d %q, want %q", body, status, answer, want)
		}
	}
	for body, want := range map[string]string{
		`{"sql": "SELECT $1", "parameters": [[1]]}`:        `parameter $1: want null, true, false, a number or a text`,
		`{"sql": "SELECT $1, $2", "parameters": [1, {}]}`:  `parameter $2`,
		`{"sql": "SELECT $1, $2", "parameters": [1]}`:      `"code":"parameters"`,
		`{"sql": "SELECT 1", "parameters": [1]}`:           `"code":"parameters"`,
		`{"sql": "SELECT $1::INT", "parameters": ["one"]}`: `"code":"conversion"`,
		`{"sql": "SELECT 1", "parameters": {"a": 1}}`:      `read the request`,
		`{"sql": "SELECT 1", "params": [1]}`:               `\"parameters\": [1]`,
	} {
		if status, answer := ask(body); status != http.StatusBadRequest || !strings.Contains(answer, want) {
			t.Errorf("%s: %d %s, want %s", body, status, answer, want)
		}
	}
}
