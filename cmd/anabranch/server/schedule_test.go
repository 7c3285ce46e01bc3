package server_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	temporal "go.temporal.io/sdk/client"

	"anabranch/cmd/anabranch/api"
	"anabranch/cmd/anabranch/client"
	"anabranch/cmd/anabranch/server"
	"anabranch/fault"
	"anabranch/internal/openapi/openapitest"
	"anabranch/workflows"
)

// TestBatchesByKeyAndTheSchedule asks a server with a Temporal of its own what
// a scheduler would.
func TestBatchesByKeyAndTheSchedule(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	// A receiver of alerts that is down at first.
	heard, calls := make(chan string, 10), atomic.Int64{}
	hook := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if calls.Add(1) == 1 {
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		text, _ := io.ReadAll(r.Body)
		heard <- string(text)
	}))
	t.Cleanup(hook.Close)
	s, err := server.Start(t.Context(), server.Config{
		Alert: []string{hook.URL}, Dir: dir, Listen: "127.0.0.1:0", NATSListen: "127.0.0.1:0", TemporalListen: "127.0.0.1:0", TemporalUI: "127.0.0.1:0",
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Stop)
	r := &running{T: t, dir: dir, server: s, client: client.New(openapitest.New(t, s.Addresses().HTTP).URL)}
	text, err := os.ReadFile(retail + "/pipeline.yaml")
	if err != nil {
		t.Fatal(err)
	}
	begin := strings.Index(string(text), "batch:")
	later := time.Now().UTC().Add(36 * time.Hour) // nothing is due while the test runs
	tokyo := (later.Hour() + 9) % 24
	folder := definition(t, map[string]string{"pipeline.yaml": string(text)[:begin] + fmt.Sprintf(`batch: {schedule: {cron: "0 %d * * *", timezone: Asia/Tokyo, overlap: buffer_one, catch_up: 90m}, audit: {schedule: "0 %d * * %d", days: 2}, retention: {raw: 10d, schedule: "0 0 %d * *"}}`,
		tokyo, later.Hour(), later.Weekday(), later.AddDate(0, 0, 3).Day())})
	r.apply(folder)

	call := func(method, path string, in, out any) error {
		return r.client.JSON(t.Context(), method, "/v1/pipelines/retail"+path, in, out)
	}
	// One key is one run, also when it has ended; the answer waits for its end.
	var first, second api.Run
	start := api.StartBatch{Key: "nightly-2011-08-31", Date: "2011-08-31", Reason: "cron", By: "ana"}
	for _, to := range []*api.Run{&first, &second} {
		if err := call(http.MethodPost, "/batches?wait=2m", start, to); err != nil {
			t.Fatal(err)
		}
		if to.State != "completed" || to.Manifest != 1 || to.ID != "nightly-retail-nightly-2011-08-31" || to.Progress == nil || to.Progress.Date != "2011-08-31" {
			t.Fatalf("%+v", to)
		}
	}
	var other api.Run
	if err := call(http.MethodPost, "/batches?wait=2m", api.StartBatch{Date: "2011-09-01", Again: true}, &other); err != nil || other.ID != "nightly-retail-nightly-2011-09-01" || other.Manifest != 2 {
		t.Fatalf("%+v %v", other, err)
	}
	for _, bad := range []struct {
		query string
		in    api.StartBatch
	}{{"?wait=1h", start}, {"?wait=soon", start}, {"", api.StartBatch{Date: "31.8."}}, {"", api.StartBatch{Again: true}}} {
		if err := call(http.MethodPost, "/batches"+bad.query, bad.in, nil); !fault.Is(err, fault.Invalid) {
			t.Errorf("%+v: %v", bad, err)
		}
	}

	// A nightly that fails is alerted, though nobody here started it.
	c, err := temporal.Dial(temporal.Options{HostPort: s.Addresses().Temporal})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := c.ExecuteWorkflow(t.Context(), temporal.StartWorkflowOptions{ID: "from-the-ui", TaskQueue: workflows.TaskQueue}, workflows.NightlyType, workflows.NightlyInput{Pipeline: "retial"}); err != nil {
		t.Fatal(err)
	}
	notice := <-heard
	for _, want := range []string{`"alert":"run_failed"`, `"status":"firing"`, `"pipeline":"retial"`, `"subject":"nightly"`, "from-the-ui failed", `no pipeline \"retial\"`} {
		if !strings.Contains(notice, want) {
			t.Errorf("the alert has no %s: %s", want, notice)
		}
	}

	var got api.Schedule
	if err := call(http.MethodPost, "/schedule/pause", api.SteerSchedule{By: "ana"}, &got); !fault.Is(err, fault.Invalid) {
		t.Errorf("a pause without a reason: %v", err)
	}
	if err := call(http.MethodPost, "/schedule/pause", api.SteerSchedule{Reason: "moving", By: "ana"}, &got); err != nil {
		t.Fatal(err)
	}
	if got.State != "paused" || got.Note != "paused by ana: moving" || got.Timezone != "Asia/Tokyo" || got.Overlap != "buffer_one" || got.CatchUp != "1h30m" || len(got.Next) != 0 {
		t.Errorf("%+v", got)
	}
	if err := call(http.MethodPost, "/schedule/resume", api.SteerSchedule{Reason: "moved", By: "ana"}, &got); err != nil || got.State != "active" {
		t.Errorf("%+v %v", got, err)
	}
	var all api.Schedules
	if err := r.client.JSON(t.Context(), http.MethodGet, "/v1/schedules", nil, &all); err != nil || len(all.Schedules) != 3 || all.Schedules[0].Pipeline != "retail" || all.Schedules[1].Starts != "audit" || all.Schedules[2].Cron == "" {
		t.Errorf("%+v %v", all, err)
	}
	got = api.Schedule{}
	if err := call(http.MethodPost, "/schedule/pause?starts=audit", api.SteerSchedule{Reason: "moving", By: "ana"}, &got); err != nil || got.State != "paused" || got.Starts != "audit" {
		t.Errorf("%+v %v", got, err)
	}
	if err := call(http.MethodGet, "/schedule", nil, &got); err != nil || got.State != "active" || got.Starts != "nightly" {
		t.Errorf("a pause of audits is one of nights: %+v %v", got, err)
	}
	if err := call(http.MethodPost, "/schedule/resume?starts=audit", api.SteerSchedule{Reason: "moved", By: "ana"}, &got); err != nil || got.State != "active" {
		t.Errorf("%+v %v", got, err)
	}
	if err := call(http.MethodGet, "/schedule?starts=coffee", nil, &got); !fault.Is(err, fault.Invalid) {
		t.Errorf("a schedule of coffee: %v", err)
	}
	if err := call(http.MethodPost, "/schedule/backfill?starts=audit", api.SteerSchedule{From: "2011-01-01", To: "2011-01-01", Reason: "r"}, &got); !fault.Is(err, fault.Invalid) {
		t.Errorf("audits of the past: %v", err)
	}
	// So do audits.
	if d, err := c.ScheduleClient().GetHandle(t.Context(), "audit-retail").Describe(t.Context()); err != nil || len(d.Info.NextActionTimes) == 0 || d.Info.NextActionTimes[0].UTC().Weekday() != later.Weekday() {
		t.Errorf("the schedule of audits: %+v %v", d, err)
	}
	if _, err := c.ScheduleClient().GetHandle(t.Context(), "expire-retail").Describe(t.Context()); err != nil {
		t.Errorf("the schedule of expiries: %v", err)
	}
	var dry api.Run
	if err := call(http.MethodPost, "/expiries?wait=2m", api.StartExpire{DryRun: true}, &dry); err != nil || dry.State != "completed" || dry.Expired == nil || !dry.Expired.Dry || dry.Expired.Objects != 0 {
		t.Errorf("%+v %+v %v", dry, dry.Expired, err)
	}
	var small api.Run
	if err := call(http.MethodPost, "/compactions?wait=2m", api.StartCompact{}, &small); err != nil || small.State != "completed" || small.Kind != "compact" || small.Compacted == nil || small.Manifest != 0 {
		t.Errorf("%+v %+v %v", small, small.Compacted, err) // one night has no small files
	}
	// A definition without a schedule ends it.
	folder["pipeline.yaml"] = string(text)[:begin]
	r.apply(folder)
	got = api.Schedule{}
	if err := call(http.MethodGet, "/schedule", nil, &got); err != nil || got.State != "none" {
		t.Errorf("%+v %v", got, err)
	}
	if err := call(http.MethodPost, "/schedule/trigger", api.SteerSchedule{Reason: "to see", By: "ana"}, &got); !fault.Is(err, fault.NotFound) {
		t.Errorf("trigger of no schedule: %v", err)
	}
	auditIsAskedFor(t, r, heard)
}
