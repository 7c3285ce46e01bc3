package worker

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"go.temporal.io/api/enums/v1"
	sdkpb "go.temporal.io/api/sdk/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"

	"anabranch/activities"
	"anabranch/activities/activitiestest"
	"anabranch/fault"
	"anabranch/internal/clock"
	"anabranch/internal/temporalserver"
	"anabranch/workflows"
)

// One real server serves all tests; each has a task queue of its own. The
// first time it is built, which takes minutes.
var server struct {
	sync.Once
	*temporalserver.Server
	dir string
	err error
}

func TestMain(m *testing.M) {
	code := m.Run()
	if server.Server != nil {
		server.Stop()
		_ = os.RemoveAll(server.dir)
	}
	os.Exit(code)
}

type bundle struct {
	*testing.T
	client client.Client
	server *temporalserver.Server
	queue  string
	world  *activitiestest.World
}

// setup returns a client of the real server and a pipeline "retail" for which
// no worker runs yet.
func setup(t *testing.T, w *activitiestest.World) *bundle {
	t.Helper()
	server.Do(func() {
		if server.dir, server.err = os.MkdirTemp("", "anabranch-worker-test"); server.err != nil {
			return
		}
		// No search attributes: the worker has to see to them.
		server.Server = temporalserver.New(temporalserver.Options{Dir: server.dir, CLI: "-"})
		server.err = server.Start(context.Background())
	})
	if server.err != nil {
		t.Fatal(server.err)
	}
	return connect(t, server.Server, w)
}

func connect(t *testing.T, s *temporalserver.Server, w *activitiestest.World) *bundle {
	t.Helper()
	c, err := Dial(t.Context(), s.Address(), "default", nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return &bundle{t, c, s, "queue-" + strings.ToLower(strings.ReplaceAll(t.Name(), "/", "-")), w}
}

// work starts a worker that is stopped with the test.
func (b *bundle) work(drain time.Duration) *Worker {
	b.Helper()
	w := New(Options{Client: b.client, TaskQueue: b.queue, Parallel: 4, Drain: drain, Activities: activitiestest.Activities(map[string]*activitiestest.World{"retail": b.world})})
	if err := w.Start(b.Context()); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(w.Stop)
	return w
}

// TestBackfillFromTheUIsForm does what the form of the Temporal UI does.
func TestBackfillFromTheUIsForm(t *testing.T) {
	t.Parallel()
	b := setup(t, &activitiestest.World{})
	b.work(time.Minute)
	jar, _ := cookiejar.New(nil)
	browser := &http.Client{Jar: jar}
	call := func(method, path string, body any) map[string]any {
		t.Helper()
		text, _ := json.Marshal(body)
		req, err := http.NewRequestWithContext(t.Context(), method, b.server.UI()+path, bytes.NewReader(text))
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range jar.Cookies(req.URL) {
			if c.Name == "_csrf" {
				req.Header.Set("X-CSRF-Token", c.Value)
			}
		}
		res, err := browser.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		answer, _ := io.ReadAll(res.Body)
		if res.StatusCode != http.StatusOK {
			t.Fatalf("%s %s: %s %s", method, path, res.Status, answer)
		}
		got := map[string]any{}
		_ = json.Unmarshal(answer, &got)
		return got
	}
	call(http.MethodGet, "/", nil) // the page, for its cookie
	b64 := func(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }
	call(http.MethodPost, "/api/v1/namespaces/default/workflows/from-the-form", map[string]any{
		"workflowId": "from-the-form", "taskQueue": map[string]any{"name": b.queue}, "workflowType": map[string]any{"name": "Backfill"},
		"input": map[string]any{"payloads": []any{map[string]any{
			"metadata": map[string]any{"encoding": b64("json/plain")},
			"data":     b64(`{"pipeline":"retail","view":"sales","from":"2011-03-01","to":"2011-03-07","reason":"late refunds","by":"ana"}`),
		}}},
	})
	got, err := workflows.Await(t.Context(), b.client, workflows.Started{ID: "from-the-form"}, time.Second, clock.Wall, nil)
	if err != nil || got.Outcome != workflows.OutcomePublished || got.Version != 1 {
		t.Fatalf("%+v %v", got, err)
	}
	if r := b.world.Requests()[0]; r.View != "sales" || r.By != "ana" {
		t.Fatalf("%+v", r)
	}
	// Found by its search attributes, days compared as days; the list is
	// brought up to date a moment later.
	query := `Pipeline = "retail" AND ViewName = "sales" AND RunKind = "backfill" AND EventDayFrom >= "2011-02-15" AND EventDayTo < "2011-03-08" AND TaskQueue = "` + b.queue + `" AND ExecutionStatus = "Completed"`
	for {
		list := call(http.MethodGet, "/api/v1/namespaces/default/workflows?query="+url.QueryEscape(query), nil)
		if runs, _ := list["executions"].([]any); len(runs) == 1 {
			break
		}
		if t.Context().Err() != nil {
			t.Fatal("not in the list")
		}
		<-time.After(20 * time.Millisecond)
	}
	none := call(http.MethodGet, "/api/v1/namespaces/default/workflows?query="+url.QueryEscape(strings.Replace(query, `"2011-02-15"`, `"2011-03-02"`, 1)), nil)
	if runs, _ := none["executions"].([]any); len(runs) != 0 {
		t.Fatalf("found by another day: %v", runs)
	}
	b.details("from-the-form", "### Backfill of retail", "published version 1", "ana: late refunds")
	b.summaries("from-the-form", "2011-03-02 to 2011-03-02, unit 2 of 3", "sales 2011-03-01..01, unit 1 of 2", "one conditional put on top of version 0")
}

// details checks what the UI shows as the current details of a run.
func (b *bundle) details(id string, want ...string) {
	b.Helper()
	answer, err := b.client.QueryWorkflow(b.Context(), id, "", "__temporal_workflow_metadata")
	if err != nil {
		b.Fatal(err)
	}
	var meta sdkpb.WorkflowMetadata
	if err := answer.Get(&meta); err != nil {
		b.Fatal(err)
	}
	for _, w := range want {
		if !strings.Contains(meta.CurrentDetails, w) {
			b.Errorf("current details have no %q:\n%s", w, meta.CurrentDetails)
		}
	}
}

// summaries checks that steps of a run are shown with these summaries.
func (b *bundle) summaries(id string, want ...string) {
	b.Helper()
	var got []string
	events := b.client.GetWorkflowHistory(b.Context(), id, "", false, enums.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
	for events.HasNext() {
		e, err := events.Next()
		if err != nil {
			b.Fatal(err)
		}
		if s := e.GetUserMetadata().GetSummary(); s != nil {
			got = append(got, strings.Trim(string(s.GetData()), `"`))
		}
	}
	for _, w := range want {
		if !slices.Contains(got, w) {
			b.Errorf("no step %q in %q", w, got)
		}
	}
}

func TestSecondStartJoinsTheFirst(t *testing.T) {
	t.Parallel()
	fail, reached, release := atomic.Bool{}, make(chan struct{}, 10), make(chan struct{})
	w := &activitiestest.World{Before: func(ctx context.Context, step string, _ int) error {
		if step != "verify" {
			return nil
		}
		if fail.Load() {
			return fault.New(fault.Corrupt, "rows are missing")
		}
		reached <- struct{}{}
		<-release
		return nil
	}}
	b := setup(t, w)
	b.work(time.Minute)
	ctx, now := t.Context(), time.Date(2011, 12, 10, 3, 0, 0, 0, time.UTC)
	in := workflows.NightlyInput{Pipeline: "retail", Key: "2011-12-09", Reason: "test", By: "cron"}
	first, err := workflows.StartNightly(ctx, b.client, b.queue, in, now)
	if err != nil || first.ID != "nightly-retail-2011-12-09" {
		t.Fatal(first, err)
	}
	<-reached
	second, err := workflows.StartNightly(ctx, b.client, b.queue, in, now)
	if err != nil || second != first {
		t.Fatalf("%+v %v, want %+v", second, err, first)
	}
	var heard atomic.Int32
	ended := make(chan error, 1)
	go func() {
		got, err := workflows.Await(ctx, b.client, second, 10*time.Millisecond, clock.Wall, func(p workflows.Progress) {
			if heard.Add(1) == 1 {
				if p.Phase != "verify" || p.Done != 7 || p.Total != 7 || p.K != 1 {
					t.Errorf("%+v", p)
				}
				close(release)
			}
		})
		if err == nil && got.Version != 1 {
			err = fmt.Errorf("%+v", got)
		}
		ended <- err
	}()
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	// One that ended well is joined too; one that failed may start again.
	third, err := workflows.StartNightly(ctx, b.client, b.queue, in, now)
	if err != nil || third != first {
		t.Fatalf("%+v %v, want %+v", third, err, first)
	}
	if got, err := workflows.Await(ctx, b.client, third, time.Second, clock.Wall, nil); err != nil || got.Version != 1 {
		t.Fatal(got, err)
	}
	fail.Store(true)
	in.Key = ""
	bad, err := workflows.StartNightly(ctx, b.client, b.queue, in, now)
	if err != nil || bad.ID != "nightly-retail-20111210T030000Z" {
		t.Fatal(bad, err)
	}
	if _, err := workflows.Await(ctx, b.client, bad, time.Second, clock.Wall, nil); !fault.Is(err, fault.Corrupt) || !strings.Contains(err.Error(), "Nightly, verify: rows are missing") {
		t.Fatal(err)
	}
	fail.Store(false)
	again, err := workflows.StartNightly(ctx, b.client, b.queue, in, now)
	if err != nil || again.ID != bad.ID || again.RunID == bad.RunID {
		t.Fatal(again, err)
	}
	if got, err := workflows.Await(ctx, b.client, again, time.Second, clock.Wall, nil); err != nil || got.Version != 2 {
		t.Fatal(got, err)
	}
	if v, _ := w.Version(); v != 2 {
		t.Fatalf("version %d", v)
	}
}

func TestCancelEndsAfterItsSteps(t *testing.T) {
	t.Parallel()
	for name, cancel := range map[string]func(context.Context, client.Client, string) error{
		"Temporal's own": workflows.Cancel,
		"an update": func(ctx context.Context, c client.Client, id string) error {
			_, err := workflows.Tell(ctx, c, id, workflows.CancelUpdate, workflows.Instruction{By: "ana", Reason: "wrong days"})
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cancelEndsAfterItsSteps(t, cancel)
		})
	}
}

func cancelEndsAfterItsSteps(t *testing.T, cancel func(context.Context, client.Client, string) error) {
	var working atomic.Int32
	reached := make(chan struct{}, 10)
	w := &activitiestest.World{Before: func(ctx context.Context, step string, _ int) error {
		if step != "fold" {
			return nil
		}
		working.Add(1)
		defer working.Add(-1)
		reached <- struct{}{}
		<-ctx.Done()
		return fmt.Errorf("put object: %w", ctx.Err())
	}}
	b := setup(t, w)
	b.work(time.Minute)
	run, err := workflows.StartBackfill(t.Context(), b.client, b.queue, workflows.BackfillInput{Pipeline: "retail", From: "2011-03-01", Key: t.Name()}, time.Unix(0, 0))
	if err != nil || !strings.HasPrefix(run.ID, "backfill-retail-all-2011-03-01-last-Test") {
		t.Fatal(run, err)
	}
	<-reached
	if err := cancel(t.Context(), b.client, run.ID); err != nil {
		t.Fatal(err)
	}
	if _, err := workflows.Await(t.Context(), b.client, run, time.Second, clock.Wall, nil); fault.CodeOf(err) != "cancelled" {
		t.Fatal(err)
	}
	if n := working.Load(); n != 0 {
		t.Errorf("it ended while %d steps still worked", n)
	}
	if v, _ := w.Version(); v != 0 {
		t.Error("published")
	}
	b.details(run.ID, "**cancelled**")
	if err := cancel(t.Context(), b.client, "nobody"); !fault.Is(err, fault.NotFound) {
		t.Error(err)
	}
	if _, err := workflows.QueryProgress(t.Context(), b.client, "nobody"); !fault.Is(err, fault.NotFound) {
		t.Error(err)
	}
}

// TestSteeredOnTheRealServer pauses a run, turns it down, lets a unit fail,
// retries it, and ends it, in the words of the Temporal UI.
func TestSteeredOnTheRealServer(t *testing.T) {
	t.Parallel()
	var broken atomic.Bool
	broken.Store(true)
	reached, release := make(chan struct{}, 100), make(chan struct{})
	w := &activitiestest.World{Folds: 12, Before: func(_ context.Context, step string, unit int) error {
		if step != "fold" {
			return nil
		}
		if unit == 5 && broken.Load() {
			return fault.New(fault.Corrupt, "another checksum")
		}
		reached <- struct{}{}
		<-release
		return nil
	}}
	b := setup(t, w)
	b.work(time.Minute)
	ctx := t.Context()
	run, err := workflows.StartBackfill(ctx, b.client, b.queue, workflows.BackfillInput{Pipeline: "retail", Key: "steered", Parallel: 3}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	because := workflows.Instruction{By: "ana", Reason: "load"}
	tell := func(update string, in workflows.Instruction, want string) {
		t.Helper()
		if got, err := workflows.Tell(ctx, b.client, run.ID, update, in); err != nil || got != want {
			t.Errorf("%s: %q %v, want %q", update, got, err, want)
		}
	}
	until := func(waits string) workflows.Progress {
		t.Helper()
		for {
			p, err := workflows.QueryProgress(ctx, b.client, run.ID)
			if err != nil && !fault.KindOf(err).Retryable() { // a busy server may take too long to answer
				t.Fatal(err)
			}
			if err == nil && p.Waits == waits {
				return p
			}
			<-time.After(20 * time.Millisecond)
		}
	}
	<-reached
	<-reached
	<-reached
	tell(workflows.PauseUpdate, because, "being paused, 3 of its units still run")
	close(release)
	if p := until("resume"); p.Done != 3 {
		t.Errorf("%+v", p)
	}
	b.details(run.ID, "**fold**, paused", "pause by ana: load")
	tell(workflows.ParallelUpdate, workflows.Instruction{By: "ana", Reason: "gently", Parallel: 1}, "paused")
	tell(workflows.ResumeUpdate, because, "running")
	if p := until("retry"); p.Done != 11 || len(p.Failed) != 1 || p.Failed[0].Unit != 5 {
		t.Errorf("%+v", p)
	}
	// It is found by what it waits for; the list is brought up to date later.
	for found := int64(0); found != 1; {
		counted, err := b.client.CountWorkflow(ctx, &workflowservice.CountWorkflowExecutionsRequest{
			Namespace: "default", Query: `TaskQueue = "` + b.queue + `" AND ExecutionStatus = "Running" AND RunWaits IN ("retry", "approve")`,
		})
		if err != nil {
			t.Fatal(err)
		}
		if found = counted.GetCount(); found != 1 {
			<-time.After(20 * time.Millisecond)
		}
	}
	b.details(run.ID, "waits for a retry: 1 failed", "| another checksum | corrupt |")
	if _, err := workflows.Tell(ctx, b.client, run.ID, workflows.RetryUpdate, workflows.Instruction{By: "ana"}); !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), "why?") {
		t.Error(err)
	}
	broken.Store(false)
	tell(workflows.RetryUpdate, because, "running")
	if got, err := workflows.Await(ctx, b.client, run, time.Second, clock.Wall, nil); err != nil || got.Version != 1 || got.Units != 14 {
		t.Fatal(got, err)
	}
	if _, err := workflows.Tell(ctx, b.client, run.ID, workflows.PauseUpdate, because); !fault.Is(err, fault.Conflict) {
		t.Errorf("told after its end: %v", err)
	}
	if _, err := workflows.Tell(ctx, b.client, "nobody", workflows.PauseUpdate, because); !fault.Is(err, fault.NotFound) {
		t.Error(err)
	}
	if _, err := workflows.Tell(ctx, b.client, run.ID, "hurry", because); !fault.Is(err, fault.Invalid) {
		t.Error(err)
	}
	again, err := workflows.StartBackfill(ctx, b.client, b.queue, workflows.BackfillInput{Pipeline: "retail", Key: "steered"}, time.Now())
	if err != nil || again != run {
		t.Errorf("a second start does not join the first: %v %v", again, err)
	}
}

func TestNextWorkerGoesOnWhereOneStopped(t *testing.T) {
	t.Parallel()
	reached := make(chan struct{}, 10)
	var blocked atomic.Bool
	blocked.Store(true)
	w := &activitiestest.World{Before: func(ctx context.Context, step string, unit int) error {
		if step == "fold" && unit == 2 && blocked.Load() {
			reached <- struct{}{}
			<-ctx.Done() // until the worker has drained for long enough
			return ctx.Err()
		}
		return nil
	}}
	b := setup(t, w)
	first := b.work(10 * time.Millisecond)
	run, err := workflows.StartBackfill(t.Context(), b.client, b.queue, workflows.BackfillInput{Pipeline: "retail"}, time.Unix(1, 0))
	if err != nil {
		t.Fatal(err)
	}
	<-reached
	blocked.Store(false)
	first.Stop()
	first.Stop()
	<-first.Done()
	if first.Err() != nil {
		t.Fatal(first.Err())
	}
	b.work(time.Minute)
	if got, err := workflows.Await(t.Context(), b.client, run, time.Second, clock.Wall, nil); err != nil || got.Version != 1 || got.Units != 5 {
		t.Fatal(got, err)
	}
	if n := w.Count("plan"); n != 1 {
		t.Errorf("planned %d times", n)
	}
}

func TestTwoBackfillsRace(t *testing.T) {
	t.Parallel()
	var both sync.WaitGroup
	both.Add(2)
	var verified atomic.Int32
	w := &activitiestest.World{Before: func(_ context.Context, step string, _ int) error {
		if step == "verify" && verified.Add(1) <= 2 {
			both.Done()
			both.Wait() // both have planned from the same version
		}
		return nil
	}}
	b := setup(t, w)
	b.work(time.Minute)
	var runs []workflows.Started
	for _, key := range []string{"a", "b"} {
		run, err := workflows.StartBackfill(t.Context(), b.client, b.queue, workflows.BackfillInput{Pipeline: "retail", Key: key}, time.Unix(2, 0))
		if err != nil {
			t.Fatal(err)
		}
		runs = append(runs, run)
	}
	var versions []uint64
	attempts := 0
	for _, run := range runs {
		got, err := workflows.Await(t.Context(), b.client, run, time.Second, clock.Wall, nil)
		if err != nil {
			t.Fatal(err)
		}
		versions, attempts = append(versions, got.Version), attempts+got.Attempts
	}
	slices.Sort(versions)
	if !slices.Equal(versions, []uint64{1, 2}) || attempts != 3 {
		t.Fatalf("versions %v in %d attempts", versions, attempts)
	}
}

// TestRunSurvivesKillOfTheServer kills the server in the middle of a run.
func TestRunSurvivesKillOfTheServer(t *testing.T) {
	t.Parallel()
	setup(t, nil) // so that the server is built
	own := temporalserver.New(temporalserver.Options{Dir: t.TempDir(), CLI: "-"})
	if err := own.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(own.Stop)
	killed := make(chan struct{})
	var once sync.Once
	w := &activitiestest.World{Folds: 10, Before: func(_ context.Context, step string, unit int) error {
		if step == "fold" && unit == 4 {
			once.Do(func() {
				_ = syscall.Kill(own.PID(), syscall.SIGKILL)
				close(killed)
			})
		}
		return nil
	}}
	b := connect(t, own, w)
	b.work(time.Minute)
	run, err := workflows.StartNightly(t.Context(), b.client, b.queue, workflows.NightlyInput{Pipeline: "retail"}, time.Unix(3, 0))
	if err != nil {
		t.Fatal(err)
	}
	<-killed
	if got, err := workflows.Await(t.Context(), b.client, run, time.Second, clock.Wall, nil); err != nil || got.Version != 1 {
		t.Fatal(got, err)
	}
}

// units is what TestLongRunContinues takes; ten years of days in four shards
// are 14600.
var units = flag.Int("units", 1500, "units of the long run")

// TestLongRunContinues runs more units than one history should have.
func TestLongRunContinues(t *testing.T) {
	t.Parallel()
	w := &activitiestest.World{Folds: *units}
	b := setup(t, w)
	wk := New(Options{Client: b.client, TaskQueue: b.queue, Parallel: 100, Activities: activitiestest.Activities(map[string]*activitiestest.World{"retail": w})})
	if err := wk.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(wk.Stop)
	run, err := workflows.StartBackfill(t.Context(), b.client, b.queue, workflows.BackfillInput{Pipeline: "retail", Parallel: 100}, time.Unix(4, 0))
	if err != nil {
		t.Fatal(err)
	}
	got, err := workflows.Await(t.Context(), b.client, run, time.Second, clock.Wall, nil)
	if err != nil || got.Units != *units+2 || got.Version != 1 || w.Count("fold") != *units {
		t.Fatal(got, err, w.Count("fold"))
	}
	if newest, err := b.client.DescribeWorkflowExecution(t.Context(), run.ID, ""); err != nil || newest.WorkflowExecutionInfo.Execution.RunId == run.RunID {
		t.Fatalf("it did not continue with a fresh history: %v %v", newest, err)
	}
	histories, most, bytes := b.histories(run)
	t.Logf("%d units in %.1f s, %.0f a second; %d histories, the longest of %d events, the largest of %d bytes", got.Units, got.Seconds, float64(got.Units)/got.Seconds, histories, most, bytes)
	if most > 10000 || bytes > 10<<20 || histories < 2 {
		t.Error("the histories are too long")
	}
}

// histories follows a run through its histories.
func (b *bundle) histories(run workflows.Started) (n int, longest, largest int64) {
	b.Helper()
	for id := run.RunID; id != ""; n++ {
		d, err := b.client.DescribeWorkflowExecution(b.Context(), run.ID, id)
		if err != nil {
			b.Fatal(err)
		}
		info := d.GetWorkflowExecutionInfo()
		longest, largest = max(longest, info.GetHistoryLength()), max(largest, info.GetHistorySizeBytes())
		events := b.client.GetWorkflowHistory(b.Context(), run.ID, id, false, enums.HISTORY_EVENT_FILTER_TYPE_CLOSE_EVENT)
		id = ""
		for events.HasNext() {
			e, err := events.Next()
			if err != nil {
				b.Fatal(err)
			}
			id = e.GetWorkflowExecutionContinuedAsNewEventAttributes().GetNewExecutionRunId()
		}
	}
	return n, longest, largest
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	b := setup(t, &activitiestest.World{})
	for _, o := range []Options{{}, {Client: b.client}, {Client: b.client, Activities: &activities.Activities{}}} {
		if err := New(o).Start(t.Context()); !fault.Is(err, fault.Invalid) {
			t.Error(err)
		}
	}
	if err := New(Options{Client: b.client, Namespace: "nowhere", Activities: activitiestest.Activities(nil)}).Start(t.Context()); err == nil || !strings.Contains(err.Error(), "nowhere") {
		t.Error(err)
	}
	if _, err := workflows.StartNightly(t.Context(), b.client, b.queue, workflows.NightlyInput{Pipeline: "re tail"}, time.Now()); !fault.Is(err, fault.Invalid) {
		t.Error(err)
	}
	if _, err := workflows.StartBackfill(t.Context(), b.client, b.queue, workflows.BackfillInput{Pipeline: "retail", View: "a/b"}, time.Now()); !fault.Is(err, fault.Invalid) {
		t.Error(err)
	}
	if _, err := workflows.StartBackfill(t.Context(), b.client, b.queue, workflows.BackfillInput{Pipeline: "retail", From: "march"}, time.Now()); !fault.Is(err, fault.Invalid) {
		t.Error(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
	defer cancel()
	if _, err := Dial(ctx, "127.0.0.1:1", "default", nil); !fault.Is(err, fault.Transient) || !strings.Contains(err.Error(), "127.0.0.1:1") {
		t.Error(err)
	}
	w := New(Options{})
	w.Stop() // before starting
	<-w.Done()
}
