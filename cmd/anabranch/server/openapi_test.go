package server_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"anabranch/cmd/anabranch/api"
	"anabranch/internal/openapi/openapitest"
)

// asked is one request and the status it is answered with.
type asked struct {
	method, path, body string
	header             []string // in pairs
	status             int
	code               string // of the problem
}

func (r *running) ask(base string, a asked) string {
	r.Helper()
	req, err := http.NewRequestWithContext(r.Context(), a.method, base+a.path, strings.NewReader(a.body))
	if err != nil {
		r.Fatal(err)
	}
	if strings.HasPrefix(a.body, "{") {
		req.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i < len(a.header); i += 2 {
		req.Header.Set(a.header[i], a.header[i+1])
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		r.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		r.Fatal(err)
	}
	if resp.StatusCode != a.status {
		r.Errorf("%s %s %v %.200s: %d, want %d\n%.500s", a.method, a.path, a.header, a.body, resp.StatusCode, a.status, text)
	}
	if a.status < 400 {
		return string(text)
	}
	var p api.Problem
	if err := json.Unmarshal(text, &p); err != nil || resp.Header.Get("Content-Type") != "application/problem+json" || p.Status != a.status || p.Code == "" || p.Detail == "" || a.code != "" && p.Code != a.code {
		r.Errorf("%s %s %.200s: no problem with status %d and code %q: %s\n%.500s", a.method, a.path, a.body, a.status, a.code, resp.Header.Get("Content-Type"), text)
	}
	return string(text)
}

// Every route of a process without Temporal answers as its document says, with
// what it has and with what is wrong.
func TestEveryRouteAnswersAsTheDocumentSays(t *testing.T) {
	t.Parallel()
	r := start(t, t.TempDir())
	door := openapitest.New(t, r.server.Addresses().HTTP)
	const p = "/v1/pipelines/retail"
	definitionJSON, _ := json.Marshal(api.Apply{Files: definition(t, nil)})
	broken, _ := json.Marshal(api.Apply{Files: definition(t, map[string]string{"views/day.sql": "SELECT median(Quantity) AS m FROM events"})})
	const csvHeader = "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country\n"
	events := csvHeader + "1,A,thing,2,2011-01-04 10:00:00,1.50,1.0,France\n2,A,thing,two,2011-01-04 10:00:00,1.50,1.0,France\n"
	csv, ndjson := []string{"Content-Type", "text/csv"}, []string{"Content-Type", "application/x-ndjson"}
	accept := func(media string) []string { return []string{"Accept", media} }
	const query = `{"sql": "SELECT * FROM retail.country_day", "consistency": "latest"}`
	const steer = `{"reason": "because", "by": "ana"}`

	for _, a := range []asked{
		{"GET", "/healthz", "", nil, 200, ""},
		{"GET", "/readyz", "", nil, 200, ""},
		{"GET", "/metrics", "", nil, 200, ""},
		{"GET", "/metrics", "", accept("application/openmetrics-text; version=1.0.0"), 200, ""},
		{"GET", "/openapi.json", "", nil, 200, ""},
		{"GET", "/openapi.json?x=1", "", nil, 400, "parameter"},
		{"GET", "/v1/nothing", "", nil, 404, "unknown_path"},
		{"DELETE", "/v1/query", "", nil, 405, "method_not_allowed"},

		{"GET", "/v1/pipelines", "", nil, 200, ""},
		{"GET", p, "", nil, 404, ""},
		{"POST", p + "/events", events, csv, 404, "unknown_pipeline"},
		{"POST", "/v1/pipelines", string(broken), nil, 422, "definition"},
		{"POST", "/v1/plan", string(broken), nil, 422, "definition"},
		{"POST", "/v1/plan", string(definitionJSON), nil, 200, ""},
		{"POST", "/v1/pipelines", string(definitionJSON), nil, 200, ""},
		{"POST", "/v1/plan", string(definitionJSON), nil, 200, ""},
		{"POST", "/v1/pipelines", `{"files": {}, "colour": "red"}`, nil, 400, ""},
		{"POST", "/v1/pipelines", `null`, nil, 400, ""},
		{"POST", "/v1/pipelines", ``, nil, 400, ""},
		{"POST", "/v1/pipelines", `files: {}`, []string{"Content-Type", "application/yaml"}, 415, "unsupported_media_type"},
		{"POST", "/v1/pipelines", `{"files": {}} {}`, nil, 400, ""},
		{"POST", "/v1/pipelines", `{"files": {"a": "` + strings.Repeat("x", 9<<20) + `"}}`, nil, 413, "too_large"},
		{"GET", "/v1/pipelines", "", nil, 200, ""},
		{"GET", p, "", nil, 200, ""},
		{"GET", p + "/references", "", nil, 200, ""},
		{"POST", "/v1/references", "", nil, 400, ""},
		{"POST", "/v1/references", "a\n1\n", []string{"Content-Type", "application/octet-stream"}, 200, ""},
		{"GET", p + "?x=1", "", nil, 400, "parameter"},

		{"POST", p + "/events", events, csv, 200, ""},
		{"POST", p + "/events", `{"InvoiceNo": 1}`, ndjson, 200, ""},
		{"POST", p + "/events", `<a/>`, []string{"Content-Type", "text/xml"}, 415, "unsupported_media_type"},
		{"POST", p + "/events", `{}`, []string{"Content-Encoding", "br"}, 415, "unsupported_encoding"},
		{"POST", p + "/events", `{}`, []string{"Anabranch-Lane", "fast"}, 400, ""},
		{"POST", p + "/events", `{}`, []string{"Anabranch-First-Line", "-1"}, 400, "bad_header"},

		{"POST", "/v1/query", query, nil, 200, ""},
		{"POST", "/v1/query", query, []string{"Origin", "https://elsewhere.example"}, 403, "cross_origin"},
		{"POST", "/v1/query", query, []string{"Sec-Fetch-Site", "cross-site"}, 403, "cross_origin"},
		{"POST", p + "/batches", steer, []string{"Origin", "https://elsewhere.example", "Content-Type", "text/plain"}, 403, "cross_origin"},
		{"POST", "/v1/query", query, []string{"Sec-Fetch-Site", "same-origin", "Origin", "https://proxy.example"}, 200, ""},
		{"POST", "/v1/query", query, accept("application/x-ndjson"), 200, ""},
		{"POST", "/v1/query", query, accept("text/csv"), 200, ""},
		{"POST", "/v1/query", query, accept("application/vnd.apache.arrow.stream"), 200, ""},
		{"POST", "/v1/query", query, accept("application/vnd.apache.parquet"), 200, ""},
		{"POST", "/v1/query", "SELECT 1 AS one, NULL AS nothing, [1, 2] AS list", []string{"Content-Type", "application/sql"}, 200, ""},
		{"POST", "/v1/query", "SHOW TABLES", []string{"Content-Type", "text/plain"}, 200, ""},
		{"POST", "/v1/query", query, accept("image/png"), 406, "not_acceptable"},
		{"POST", "/v1/query", "<a/>", []string{"Content-Type", "text/xml"}, 415, "unsupported_media_type"},
		{"POST", "/v1/query", `{"sql": "` + strings.Repeat("x", 2<<20) + `"}`, nil, 413, "too_large"},
		{"POST", "/v1/query", `{"sql": "SELEKT 1"}`, nil, 400, ""},
		{"POST", "/v1/query", `{"sql": "SELECT 1", "colour": "red"}`, nil, 400, ""},
		{"POST", "/v1/query", `{"sql": 1}`, nil, 400, ""},
		{"POST", "/v1/query", `null`, nil, 400, ""},
		{"POST", "/v1/query", `{"sql": "SELECT * FROM retail.dya"}`, nil, 400, "unknown_view"},
		{"POST", "/v1/query", `{"sql": "SELECT 1", "consistency": "soon"}`, nil, 400, ""},

		{"GET", "/v1/views/retail.country_day?key.country=France", "", nil, 200, ""},
		{"GET", "/v1/views/retail.country_day?key.country=France", "", accept("text/csv"), 200, ""},
		{"GET", "/v1/views/retail.country_day?key.country=France", "", accept("application/x-ndjson"), 200, ""},
		{"GET", "/v1/views/retail.country_day?key.country=France", "", accept("application/vnd.apache.parquet"), 406, "not_acceptable"},
		{"GET", "/v1/views/retail.country_day?key.country=France", "", []string{"If-None-Match", "*"}, 304, ""},
		{"GET", "/v1/views/retail.country_day?colour=red", "", nil, 400, "unknown_parameter"},
		{"GET", "/v1/views/retail.nothing", "", nil, 404, ""},
		{"GET", "/v1/views/retail.nothing/watch", "", nil, 404, ""},
		{"GET", "/v1/views/retail.day/watch?rate=100", "", nil, 400, ""},

		{"GET", p + "/deadletters", "", nil, 200, ""},
		{"GET", p + "/deadletters?code=wrong_type&code=zero_price&limit=1", "", nil, 200, ""},
		{"GET", p + "/deadletters?limit=0", "", nil, 400, "parameter"},
		{"GET", p + "/deadletters/nothing", "", nil, 400, ""},
		{"POST", p + "/deadletters/preview", `{"set": ["Quantity=2"]}`, nil, 200, ""},
		{"POST", p + "/deadletters/preview", `{"limit": -1}`, nil, 400, ""},
		{"POST", p + "/deadletters/preview", `{"ids": [null]}`, nil, 400, ""},
		{"POST", p + "/deadletters/releases", steer, nil, 503, ""},
		{"GET", p + "/trace?" + url.Values{"where": {"Country = 'France'"}}.Encode(), "", nil, 200, ""},
		{"GET", p + "/trace", "", nil, 400, ""},
		{"GET", p + "/ledger", "", nil, 200, ""},
		{"GET", p + "/ledger?bisect=true", "", nil, 200, ""},
		{"GET", p + "/ledger?bisect=maybe", "", nil, 400, "parameter"},
		{"POST", p + "/verify", "", nil, 200, ""},

		{"GET", p + "/versions", "", nil, 200, ""},
		{"GET", p + "/versions/7", "", nil, 404, ""},
		{"GET", p + "/versions/latest", "", nil, 400, "parameter"},
		{"GET", p + "/versions/promote", "", nil, 405, "method_not_allowed"},
		{"OPTIONS", p + "/deadletters/preview", "", nil, 405, "method_not_allowed"},
		{"GET", p + "/versions/7/diff?from=6", "", nil, 404, ""},
		{"POST", p + "/versions/promote", `{"view": "nothing"}`, nil, 400, ""},
		{"POST", p + "/versions/rollback", `{"to": 7, "reason": "so"}`, nil, 400, ""},
		{"GET", p + "/backfills/plan?from=2011-01-01&to=2011-01-31", "", nil, 400, ""},
		{"GET", p + "/backfills/plan?month=1", "", nil, 400, "parameter"},

		{"GET", "/v1/schedules", "", nil, 503, ""},
		{"GET", p + "/schedule", "", nil, 503, ""},
		{"GET", p + "/schedule?starts=weekly", "", nil, 400, "parameter"},
		{"POST", p + "/schedule/pause", steer, nil, 503, ""},
		{"POST", p + "/schedule/resume", steer, nil, 503, ""},
		{"POST", p + "/schedule/trigger", `{"reason": ""}`, nil, 400, ""},
		{"POST", p + "/schedule/backfill", steer, nil, 503, ""},
		{"POST", p + "/batches", `{}`, nil, 503, ""},
		{"POST", p + "/batches?wait=1h", `{}`, nil, 400, "parameter"},
		{"POST", p + "/backfills", `{"from": "2011-01-01", "to": "2011-01-02", "reason": "so"}`, nil, 503, ""},
		{"POST", p + "/imports", `{"from": "ftp://x"}`, nil, 400, ""},
		{"POST", p + "/audits", `{}`, nil, 503, ""},
		{"POST", p + "/restores", `{"as_of": "v1", "into": "again"}`, nil, 503, ""},
		{"POST", p + "/speed/rebuilds", `{}`, nil, 503, ""},
		{"POST", p + "/compactions", `{}`, nil, 503, ""},
		{"POST", p + "/expiries", `{}`, nil, 503, ""},
		{"GET", "/v1/runs/nothing", "", nil, 503, ""},
		{"GET", "/v1/runs/n%C3%A4chtlich", "", nil, 400, "parameter"},
		{"POST", "/v1/runs/nothing/pause", steer, nil, 503, ""},
		{"POST", "/v1/runs/nothing/dance", steer, nil, 400, "parameter"},
		{"GET", "/v1/deployments/nothing", "", nil, 503, ""},
		{"POST", "/v1/deployments/nothing/ramp", `{"build": "1"}`, nil, 503, ""},
	} {
		r.ask(door.URL, a)
	}
	if t.Failed() {
		return
	}
	var missed []string
	for operation, statuses := range door.Seen() {
		if len(statuses) == 0 {
			missed = append(missed, operation)
		}
	}
	if slices.Sort(missed); len(missed) > 0 {
		t.Errorf("asked by nobody here: %q", missed)
	}
}

// Whoever adds a route says what it is for.
func TestEveryRouteIsDescribed(t *testing.T) {
	t.Parallel()
	r := start(t, t.TempDir())
	doc := openapitest.New(t, r.server.Addresses().HTTP).Document()
	for path, item := range doc.Paths.Map() {
		for method, o := range item.Operations() {
			if o.Summary == "" || strings.HasSuffix(o.Summary, ".") {
				t.Errorf("%s %s: its summary is %q: want a line without a full stop", method, path, o.Summary)
			}
			for _, p := range o.Parameters {
				if p.Value.Description == "" {
					t.Errorf("%s %s: nothing is said about the parameter %s", method, path, p.Value.Name)
				}
			}
			if ok := o.Responses.Status(http.StatusOK); ok == nil || len(ok.Value.Content) == 0 {
				t.Errorf("%s %s: nothing is said about its answers", method, path)
			}
		}
	}
}

// What the source says of a field the document says too.
func TestTheDocumentHasTheCommentsOfTheTypes(t *testing.T) {
	t.Parallel()
	r := start(t, t.TempDir())
	schemas := openapitest.New(t, r.server.Addresses().HTTP).Document().Components.Schemas
	batch := schemas["StartBatch"].Value
	if !strings.HasPrefix(batch.Description, "StartBatch asks for a nightly batch") || !strings.Contains(batch.Properties["date"].Value.Description, "YYYY-MM-DD") {
		t.Errorf("%q, %q", batch.Description, batch.Properties["date"].Value.Description)
	}
	if progress := schemas["Run"].Value.Properties["progress"].Value; !strings.Contains(progress.Description, "what the run itself answers") && !strings.Contains(progress.Description, "Progress is") {
		t.Errorf("a field of another package's type: %+v", progress)
	}
}
