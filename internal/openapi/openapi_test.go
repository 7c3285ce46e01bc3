package openapi

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"
)

func TestCheckSaysWhatIsWrong(t *testing.T) {
	t.Parallel()
	r := Route{Params: []Param{
		Whole("limit", "how many", 1, 10), Flag("all", "all"), Span("wait", "how long", 5*time.Minute),
		Text("code", "which").Several(), Text("kind", "kind").OneOf("a", "b"), Text("from", "the first day").Needed(), InHeader("Lane", "lane").OneOf("fast"),
	}}
	for query, want := range map[string]string{
		"from=1": "", "from=1&limit=10&all=true&wait=5m&code=a&code=b&kind=b": "", "from=1&limit=": "want a number from 1 to 10", "from=1&kind=": "want a, b", "from=1&code=": "", "from=1&kind=a&all=": "true or false", "from=1&lane=slow": `no parameter "lane"`,
		"": "from is missing: the first day", "from=": "from is missing",
		"from=1&limit=0": `limit "0": want a number from 1 to 10`, "from=1&limit=11": "from 1 to 10", "from=1&limit=1e1": "from 1 to 10",
		"from=1&all=yes": "want true or false", "from=1&wait=6m": `want a time up to 5m, like 30s`, "from=1&wait=-1s": "up to 5m", "from=1&wait=30": "up to 5m",
		"from=1&kind=c": `kind "c": want a, b`, "from=1&from=2": "given 2 times", "from=1&colour=red": "there is limit, all, wait", "from=%zz": "read the parameters",
	} {
		req := httptest.NewRequest(http.MethodGet, "/?"+query, nil)
		if err := r.check(req); want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%q: %v, want %q", query, err, want)
		}
	}
	req := httptest.NewRequest(http.MethodGet, "/?from=1", nil)
	req.Header.Set("Lane", "slow")
	if err := r.check(req); err == nil {
		t.Error("a header that is none of the values passes")
	}
}

type inner struct {
	Deep []inner `json:"deep,omitempty"`
}

type embedded struct {
	Also string `json:"also"`
}

type outer struct {
	embedded
	Time   time.Time         `json:"time"`
	List   []string          `json:"list"`
	Maybe  *inner            `json:"maybe,omitempty"`
	Counts map[string]uint64 `json:"counts,omitzero"`
	Any    any               `json:"any"`
	_      int
	Never  string `json:"-"`
}

func TestSchemasAreWhatGoEncodes(t *testing.T) {
	t.Parallel()
	d := Document{Title: "t", Version: "1", Problem: inner{}, Plain: []string{"openapi"}, Paths: []Param{Path("id", "which")}}
	d.Add("GET /v1/things/{id}", Route{Summary: "One", Answers: JSON[outer]()})
	text, err := d.JSON()
	if err != nil {
		t.Fatal(err)
	}
	var out document
	if err := json.Unmarshal(text, &out); err != nil {
		t.Fatal(err)
	}
	s := out.Components.Schemas["Outer"]
	if !slices.Equal(s.Required, []string{"also", "time", "list", "any"}) || len(s.Properties) != 6 {
		t.Fatalf("%+v", s)
	}
	if p := s.Properties; p["time"].Format != "date-time" || !p["list"].Nullable || p["list"].Items.Type != "string" || p["maybe"].Ref != "#/components/schemas/Inner" || p["counts"].Additional.Type != "integer" || p["counts"].Nullable || !p["any"].Nullable {
		t.Fatalf("%s", text)
	}
	if deep := out.Components.Schemas["Inner"].Properties["deep"]; deep.Items.Ref != "#/components/schemas/Inner" {
		t.Fatalf("%+v", deep)
	}
	if o := out.Paths["/v1/things/{id}"]["get"]; o.ID != "getThing" || o.Tags[0] != "things" || o.Parameters[0].Name != "id" {
		t.Fatalf("%+v", o)
	}
}

func TestNamesOfOperations(t *testing.T) {
	t.Parallel()
	for path, want := range map[string]string{
		"/openapi.json": "getOpenapiJson", "/v1/pipelines": "getPipelines", "/v1/pipelines/{name}": "getPipeline",
		"/v1/pipelines/{name}/versions/{version}/diff": "getPipelineVersionDiff", "/v1/runs/{id}/{instruction}": "getRunInstruction",
	} {
		if got := operationID("GET", path); got != want {
			t.Errorf("%s: %s, want %s", path, got, want)
		}
	}
}

func TestCommentsOfTypesAndFields(t *testing.T) {
	t.Parallel()
	files := fstest.MapFS{"a.go": {Data: []byte("package openapi\n\n// inner is\n// deep.\ntype inner struct {\n\tDeep []inner // below it\n\t// Wide stands above,\n\t// in two lines.\n\tWide, Wider int\n}\n")}}
	about, err := Comments(reflect.TypeFor[inner]().PkgPath(), files)
	if err != nil {
		t.Fatal(err)
	}
	for field, want := range map[string]string{"": "inner is deep.", "Deep": "below it", "Wider": "Wide stands above, in two lines.", "None": ""} {
		if got := about(reflect.TypeFor[inner](), field); got != want {
			t.Errorf("%q: %q, want %q", field, got, want)
		}
	}
	if about(reflect.TypeFor[time.Time](), "") != "" {
		t.Error("a type of another package has a comment")
	}
}
