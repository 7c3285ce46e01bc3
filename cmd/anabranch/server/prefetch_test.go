package server

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"testing"

	"anabranch/archive"
	"anabranch/bucket"
	"anabranch/bucket/faultbucket"
	"anabranch/fault"
	"anabranch/schemas"
	"anabranch/view"
)

// What readers are answered from is fetched under whichever key the manifest
// has it, a version that is still held back too.
func TestFetchViewsByVersion(t *testing.T) {
	t.Parallel()
	schema, err := schemas.Parse(1, []byte(`{"type": "record", "name": "e", "fields": [{"name": "k", "type": "string"}]}`))
	if err != nil {
		t.Fatal(err)
	}
	compile := func(sql string) *view.View {
		v, err := view.Compile(t.Context(), view.Source{Name: "items", SQL: sql}, schema.Shape(), "")
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	declared, kept := compile("SELECT k, count(*) AS n FROM events GROUP BY ALL"), compile("SELECT count(*) AS n FROM events")

	b := faultbucket.Wrap(bucket.NewMemory(), nil)
	files := func(v *view.View) *archive.ViewFiles {
		body, name := []byte(v.Version()), "p/views/"+v.Version()
		if _, err := b.Put(t.Context(), name, bytes.NewReader(body), bucket.Condition{}); err != nil {
			t.Fatal(err)
		}
		sum := sha256.Sum256(body)
		return &archive.ViewFiles{Version: v.Version(), Results: []archive.ResultFile{{Name: name, Size: int64(len(body)), Sum: hex.EncodeToString(sum[:])}}}
	}
	m := &archive.Manifest{Version: 2, Views: map[string]*archive.ViewFiles{
		"items": files(kept), archive.ViewKey("items", declared.Version()): files(declared),
	}}
	p := &pipeline{compiled: &compiled{views: []*view.View{declared}}, kept: []*view.View{kept}}
	p.archive = archive.Open(b, "p", schemas.NewSet(schema), archive.Options{Partitions: 1, CacheDir: t.TempDir()})
	if err := p.fetchViews(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	b.Set(faultbucket.From(0, faultbucket.Harm{Kind: fault.Transient})) // the store is away
	for key, of := range m.Views {
		f := of.Results[0]
		_, release, err := p.archive.Local(t.Context(), f.Name, f.Size, f.Sum)
		release()
		if err != nil {
			t.Errorf("%s was not fetched: %v", key, err)
		}
	}
}
