package server_test

import (
	"fmt"
	"maps"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"anabranch/archive"
	"anabranch/bucket"
	"anabranch/cmd/anabranch/api"
	"anabranch/event"
	"anabranch/schemas"
)

// auditIsAskedFor plants a result that was written wrong, and has it found.
func auditIsAskedFor(t *testing.T, r *running, heard <-chan string) {
	call := func(path string, in, out any) {
		t.Helper()
		if err := r.client.JSON(t.Context(), http.MethodPost, "/v1/pipelines/retail"+path, in, out); err != nil {
			t.Fatal(err)
		}
	}
	r.post(day(t, "2010-12-01"), "text/csv")
	r.post(day(t, "2010-12-02"), "text/csv")
	var run api.Run
	call("/batches?wait=2m", api.StartBatch{Key: "to-audit"}, &run)
	if run.State != "completed" {
		t.Fatalf("%+v", run)
	}
	var good api.Run
	call("/audits?wait=2m", api.StartAudit{Key: "good", By: "ana"}, &good)
	if good.State != "completed" || good.Audit == nil || good.Audit.Drifted != 0 || good.Audit.Days != 2 || good.Audit.Version != run.Manifest || good.Audit.Groups == 0 {
		t.Fatalf("%+v %+v", good, good.Audit)
	}

	b, err := bucket.NewFile(filepath.Join(r.dir, "bucket"))
	if err != nil {
		t.Fatal(err)
	}
	a := archive.Open(b, "retail", schemas.NewSet(), archive.Options{})
	m, err := a.Newest(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	next := *m
	next.Version, next.Parent, next.Views = m.Version+1, m.Hash(), maps.Clone(m.Views)
	files := *m.Views["day"]
	var rows *event.Batch
	if err := a.ReadResult(t.Context(), files.Results[0], nil, func(b *event.Batch) error { rows = b; return nil }); err != nil {
		t.Fatal(err)
	}
	rows.Column("lines").Ints[1] += 7
	planted, err := a.WriteResult(t.Context(), "day", files.Version, files.Results[0].Period, 0, "planted", rows)
	if err != nil {
		t.Fatal(err)
	}
	files.Results = append([]archive.ResultFile{planted}, slices.Clone(files.Results[1:])...)
	next.Views["day"] = &files
	if err := a.Publish(t.Context(), &next); err != nil {
		t.Fatal(err)
	}

	var bad api.Run
	call("/audits?wait=2m", api.StartAudit{Key: "bad", From: "2010-12-01", To: "2010-12-01"}, &bad)
	if bad.State != "failed" || bad.Fault != "corrupt" || bad.Audit == nil || bad.Audit.Drifted != 1 || bad.ID != "audit-retail-bad" {
		t.Fatalf("%+v %+v", bad, bad.Audit)
	}
	if d := bad.Audit.Drifts[0]; d.View != "day" || d.Where != "results of 2010-12" || d.Column != "lines" || d.Group[0] != "2010-12-02" {
		t.Errorf("%+v", d)
	}
	for notice := ""; !strings.Contains(notice, `"alert":"drift"`); {
		if notice = <-heard; strings.Contains(notice, `"alert":"drift"`) {
			for _, want := range []string{`"subject":"day, results of 2010-12"`, "day[2010-12-02].lines: served", "An audit found a drift"} {
				if !strings.Contains(notice, want) {
					t.Errorf("the alert has no %s: %s", want, notice)
				}
			}
		}
	}
	// Computed again, it is right again, and the alert is over.
	call("/backfills?wait=2m", api.StartBackfill{From: "2010-12-01", To: "2010-12-02", Reason: "a drift"}, &run)
	if run.State != "completed" {
		t.Fatalf("%+v", run)
	}
	call("/audits?wait=2m", api.StartAudit{Key: "again", Days: 1}, &good)
	if good.State != "completed" || good.Audit.Drifted != 0 {
		t.Fatalf("%+v %+v", good, good.Audit)
	}
	for notice := ""; !strings.Contains(notice, `"status":"resolved"`) || !strings.Contains(notice, `"alert":"drift"`); {
		notice = <-heard
	}

	// What version 3 covered, in a pipeline of its own.
	call("/restores?wait=2m", api.StartRestore{AsOf: "v3", Into: "retail_then", Key: "then"}, &run)
	if run.State != "completed" || run.Restored == nil || run.Restored.Version != 1 || run.Restored.Events == 0 {
		t.Fatalf("%+v %+v", run, run.Restored)
	}
	const all = "SELECT * FROM %s.day ORDER BY day"
	if a, b := r.query(fmt.Sprintf(all, "retail")), r.query(fmt.Sprintf(all, "retail_then")); len(a) != 2 || fmt.Sprint(a) != fmt.Sprint(b) {
		t.Errorf("it was\n%v\nand is\n%v", a, b)
	}
	// The speed layer is built anew and compared.
	call("/speed/rebuilds?wait=2m", api.StartRebuild{Key: "anew"}, &run)
	if run.State != "completed" || run.Rebuilt == nil || !run.Rebuilt.Equal || run.Rebuilt.Events == 0 || len(run.Rebuilt.Views) != 5 || run.ID != "rebuild-speed-retail-anew" {
		t.Fatalf("%+v %+v", run, run.Rebuilt)
	}
}
