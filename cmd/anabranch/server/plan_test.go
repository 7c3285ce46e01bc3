package server

import (
	"encoding/json"
	"errors"
	"maps"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"testing"

	"anabranch/cmd/anabranch/api"
	"anabranch/cmd/anabranch/client"
	"anabranch/fault"
)

// changedFiles is the small pipeline with files replaced; an empty text takes
// one away.
func changedFiles(changes map[string]string) map[string]string {
	files := maps.Clone(smallFiles)
	for name, text := range changes {
		if files[name] = text; text == "" {
			delete(files, name)
		}
	}
	return files
}

func (w *whole) plan(files map[string]string, ways api.Ways) api.Plan {
	w.Helper()
	var out api.Plan
	if err := w.client.JSON(w.Context(), http.MethodPost, "/v1/plan", api.Apply{Files: files, Ways: ways}, &out); err != nil {
		w.Fatal(err)
	}
	return out
}

func viewPlan(p api.Plan, name string) api.ViewPlan {
	i := slices.IndexFunc(p.Views, func(v api.ViewPlan) bool { return v.View == name })
	if i < 0 {
		return api.ViewPlan{}
	}
	return p.Views[i]
}

// A plan tells what changes, what it costs and what breaks; apply refuses what
// breaks something unless somebody said that it may.
func TestAPlanTellsWhatApplyDoes(t *testing.T) {
	t.Parallel()
	w := startWhole(t)
	w.put(smallFiles)
	(&small{T: t, pipeline: w.small()}).send(rand.New(rand.NewPCG(1, 2)), 10, 200)
	w.night()

	if p := w.plan(smallFiles, api.Ways{}); p.Changed || p.Work != nil || len(p.Steps) != 0 || !p.Compatible {
		t.Errorf("nothing changed: %+v", p)
	}

	// Another meaning, a column more, a rule, a setting, a field with a default.
	compatible := changedFiles(map[string]string{
		"views/items.sql": "SELECT item, count(*) AS n, sum(amount) AS total, max(amount) AS most FROM events GROUP BY ALL",
		"views/all.sql":   "SELECT count(*) AS n FROM events",
		"pipeline.yaml":   strings.Replace(smallFiles["pipeline.yaml"], "item = 'odd'", "item = 'even'", 1) + "lateness: 2d\n",
		"schema.avsc":     strings.Replace(smallFiles["schema.avsc"], `{"name": "item"`, `{"name": "shop", "type": "string", "default": "web"}, {"name": "item"`, 1),
	})
	p := w.plan(compatible, api.Ways{})
	if !p.Changed || !p.Compatible || p.Refused != "" || len(p.Schema) != 1 || p.Schema[0].Name != "shop" || len(p.Rules) != 1 || len(p.Policy) != 1 || p.Policy[0].Name != "lateness" {
		t.Errorf("%+v", p)
	}
	items := viewPlan(p, "items")
	if items.Change != "changed" || !items.Rebuild || len(items.Columns) != 1 || items.Columns[0].Change != "added" || !strings.Contains(items.Until, "version of before answers") {
		t.Errorf("%+v", items)
	}
	if all := viewPlan(p, "all"); all.Change != "added" || !all.Rebuild {
		t.Errorf("%+v", all)
	}
	if daily := viewPlan(p, "daily"); daily.Change != "unchanged" || daily.Rebuild {
		t.Errorf("%+v", daily)
	}
	if p.Work == nil || p.Work.Days == 0 || p.Work.Rows == 0 || p.Work.Bytes == 0 || p.Work.Files == 0 || !slices.Equal(p.Work.Views, []string{"all", "items"}) {
		t.Fatalf("%+v", p.Work)
	}
	if p.Work.Runs != 1 || !strings.Contains(p.Work.Text(), "at the pace of the last run ") {
		t.Errorf("%s", p.Work.Text())
	}
	text, err := json.Marshal(p)
	if err != nil || !strings.Contains(string(text), `"compatible":true`) {
		t.Errorf("%s %v", text, err)
	}

	// What takes something from readers.
	for name, c := range map[string]struct {
		files      map[string]string
		view, what string
		command    string
		ways       api.Ways // that apply takes; with Temporal only, if Backfill
	}{
		"a column is gone": {changedFiles(map[string]string{"views/items.sql": "SELECT item, count(*) AS n FROM events GROUP BY ALL"}),
			"items", "its column total is gone", "--backfill", api.Ways{Backfill: true}},
		"other groups": {changedFiles(map[string]string{"views/items.sql": "SELECT upper(item) AS item, count(*) AS n, sum(amount) AS total, amount FROM events GROUP BY ALL"}),
			"items", "groups by", "--backfill", api.Ways{Backfill: true}},
		"a view is gone": {changedFiles(map[string]string{"views/items.sql": ""}), "items", "it is gone", "--drop items", api.Ways{Drop: []string{"items"}}},
		"a promoted field": {changedFiles(map[string]string{"schema.avsc": strings.Replace(smallFiles["schema.avsc"], `"amount", "type": "long"`, `"amount", "type": "double"`, 1)}),
			"daily", "another type", "--backfill", api.Ways{Backfill: true}},
	} {
		p := w.plan(c.files, api.Ways{})
		if p.Compatible || p.Refused == "" || !strings.Contains(p.Command, c.command) || !slices.ContainsFunc(p.Breaking, func(b api.Break) bool { return b.View == c.view && strings.Contains(b.What, c.what) }) {
			t.Errorf("%s: %+v", name, p)
		}
		err := w.client.JSON(t.Context(), http.MethodPost, "/v1/pipelines", api.Apply{Files: c.files}, nil)
		if !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), c.command) {
			t.Errorf("%s: %v", name, err)
		}
		if p := w.plan(c.files, c.ways); p.Refused != "" || len(p.Steps) == 0 {
			t.Errorf("%s, as asked: %+v", name, p)
		}
		if ten := 10.0; name != "a view is gone" {
			if p := w.plan(c.files, api.Ways{Canary: &ten}); p.Refused == "" {
				t.Errorf("%s, as a canary: %+v", name, p)
			}
		}
	}
	if p := w.small(); p.entry.N != 1 {
		t.Errorf("definition %d is in force after what was refused", p.entry.N)
	}
	promoted := viewPlan(w.plan(changedFiles(map[string]string{"schema.avsc": strings.Replace(smallFiles["schema.avsc"], `"amount", "type": "long"`, `"amount", "type": "double"`, 1)}), api.Ways{}), "items")
	if promoted.Change != "inputs" || !strings.Contains(promoted.Until, "NO ANSWER") {
		t.Errorf("%+v", promoted)
	}

	// What tells events apart never changes.
	other := changedFiles(map[string]string{"pipeline.yaml": strings.Replace(smallFiles["pipeline.yaml"], "id: {field: id}", "id: {fields: [id, item]}", 1)})
	if err := w.client.JSON(t.Context(), http.MethodPost, "/v1/plan", api.Apply{Files: other}, nil); !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error()+" "+placesText(err), "event.id") {
		t.Errorf("another id: %v", err)
	}
	if err := w.client.JSON(t.Context(), http.MethodPost, "/v1/pipelines", api.Apply{Files: changedFiles(map[string]string{"views/items.sql": ""}), Ways: api.Ways{Drop: []string{"items"}}}, nil); err != nil {
		t.Fatal(err)
	}
	if p := w.small(); p.entry.N != 2 || p.view("items") != nil {
		t.Errorf("the dropped view is there: %+v", p.entry)
	}
}

// Two folders are compared without a server.
func TestFoldersAreComparedWithoutAServer(t *testing.T) {
	t.Parallel()
	p, err := PlanFolders(t.Context(), smallFiles, changedFiles(map[string]string{"views/items.sql": "SELECT item, count(*) AS n FROM events GROUP BY ALL"}), api.Ways{})
	if err != nil || p.Compatible || p.Work != nil || !viewPlan(p, "items").Rebuild || viewPlan(p, "daily").Rebuild {
		t.Errorf("%+v %v", p, err)
	}
	if _, err := PlanFolders(t.Context(), smallFiles, changedFiles(map[string]string{"pipeline.yaml": strings.Replace(smallFiles["pipeline.yaml"], "small", "large", 1)}), api.Ways{}); !fault.Is(err, fault.Invalid) {
		t.Error(err)
	}
}

func placesText(err error) (out string) {
	var refused *client.Error
	if errors.As(err, &refused) {
		for _, p := range refused.Problem.Problems {
			out += p.Message
		}
	}
	return out
}
