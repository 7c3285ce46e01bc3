package server_test

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
)

// body returns an answer as CSV and its receipt as text.
func (r *running) body(sql, consistency string) (csv, receipt string) {
	r.Helper()
	body, _ := json.Marshal(map[string]string{"sql": sql, "consistency": consistency})
	resp, err := r.client.Do(r.Context(), http.MethodPost, "/v1/query", http.Header{"Accept": {"text/csv"}}, body)
	if err != nil {
		r.Fatalf("%s: %v", sql, err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		r.Fatal(err)
	}
	return string(text), resp.Header.Get("Anabranch-Receipt")
}

// An answer's receipt brings the same bytes again after more events have come
// and the program was started anew: from the log, since the speed layer itself
// has gone on.
func TestAsOfAReceiptOverARestart(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	r := start(t, dir)
	r.apply(definition(t, nil))
	lines := strings.SplitAfter(day(t, "2010-12-01"), "\n")
	header, lines := lines[0], lines[1:]
	const query = "SELECT * FROM retail.hour"
	r.post(header+strings.Join(lines[:len(lines)/2], ""), "text/csv")
	then, receipt := r.body(query, "latest")
	r.post(header+strings.Join(lines[len(lines)/2:], ""), "text/csv")
	now, _ := r.body(query, "latest")
	if then == now || strings.Count(then, "\n") < 3 {
		t.Fatalf("nothing to tell apart: %d bytes, %d bytes", len(then), len(now))
	}
	asOf := query + " AS OF RECEIPT '" + receipt + "'"
	for _, when := range []string{"in the same process", "after a restart"} {
		got, again := r.body(asOf, "eventual")
		if got != then || again != receipt {
			t.Errorf("%s: %d bytes with receipt %s, then %d bytes with %s", when, len(got), again, len(then), receipt)
		}
		r.server.Stop()
		r = start(t, dir)
	}
	if got, _ := r.body(query, "latest"); got != now {
		t.Error("the newest answer has changed")
	}
}
