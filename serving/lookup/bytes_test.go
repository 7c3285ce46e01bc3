package lookup_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"anabranch/archive"
	"anabranch/bucket"
	"anabranch/event"
	"anabranch/schemas"
	"anabranch/serving"
	"anabranch/serving/httpapi"
	"anabranch/serving/lookup"
	"anabranch/serving/servingtest"
	"anabranch/view"
)

// A key of bytes is asked for as answers show it.
func TestAKeyOfBytes(t *testing.T) {
	t.Parallel()
	schema := servingtest.Schema(t, `{"type":"record","name":"Read","fields":[{"name":"tag","type":"bytes"},{"name":"ts","type":{"type":"long","logicalType":"local-timestamp-micros"}}]}`)
	v, err := view.Compile(t.Context(), view.Source{Name: "by_tag", SQL: "SELECT tag, count(*) AS n FROM events GROUP BY ALL"}, schema.Shape(), "ts")
	if err != nil {
		t.Fatal(err)
	}
	tags := []string{"", "\x00\xff\xfe\xfb", "text", "dGV4dA=="} // the last is text's base64
	b := &event.Batch{Shape: schema.Shape(), N: len(tags), Columns: []event.Column{{Type: schema.Shape().Fields[0].Type, Dict: &event.Dict{}}, {Type: schema.Shape().Fields[1].Type}}}
	for i, tag := range tags {
		b.Columns[0].Codes = append(b.Columns[0].Codes, b.Columns[0].Dict.Append([]byte(tag)))
		b.Columns[1].Ints = append(b.Columns[1].Ints, int64(i))
	}
	speed := servingtest.NewSpeed(v)
	speed.Fold(t, 4, b)
	src := &serving.Source{Name: "gates", Views: []*view.View{v}, Speed: speed, Batch: archive.Open(bucket.NewMemory(), "gates", schemas.NewSet(schema), archive.Options{Partitions: 1, CacheDir: t.TempDir()})}
	l := lookup.New(serving.New(serving.Options{Sources: func() []*serving.Source { return []*serving.Source{src} }}), lookup.Options{Dir: t.TempDir()})
	defer l.Close()
	doors := http.NewServeMux()
	doors.Handle("GET /v1/views/{view}", httpapi.View(l, httpapi.Options{}))
	get := func(query string) (int, string, [][]any) {
		w := httptest.NewRecorder()
		doors.ServeHTTP(w, httptest.NewRequest("GET", "/v1/views/by_tag?"+query, nil).WithContext(t.Context()))
		var a struct{ Rows [][]any }
		_ = json.Unmarshal(w.Body.Bytes(), &a) // a problem has no rows
		return w.Code, w.Body.String(), a.Rows
	}
	_, text, all := get("")
	if len(all) != len(tags) {
		t.Fatal(text)
	}
	for _, row := range all {
		shown := row[0].(string)
		for _, key := range []string{shown, strings.NewReplacer("+", "-", "/", "_", "=", "").Replace(shown)} {
			if code, text, rows := get("key=" + url.QueryEscape(key)); code != 200 || len(rows) != 1 || rows[0][0] != shown {
				t.Errorf("%q, shown as %q: %d %s", key, shown, code, text)
			}
		}
	}
	for _, key := range []string{"\xff", "a", "AP/++ w=="} {
		if code, text, _ := get("key=" + url.QueryEscape(key)); code != 400 || !strings.Contains(text, "conversion") || !strings.Contains(text, "base64") {
			t.Errorf("%q: %d %s", key, code, text)
		}
	}
}
