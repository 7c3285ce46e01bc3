package workflows_test

import (
	"bytes"
	"context"
	"flag"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.temporal.io/api/enums/v1"
	historypb "go.temporal.io/api/history/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/log"
	sdkworker "go.temporal.io/sdk/worker"
	"google.golang.org/protobuf/encoding/protojson"

	"anabranch/activities/activitiestest"
	"anabranch/batch"
	"anabranch/fault"
	"anabranch/internal/clock"
	"anabranch/internal/temporalserver"
	"anabranch/worker"
	"anabranch/workflows"
)

// Histories that an earlier version has written are never rewritten: a change
// that breaks them needs workflow.GetVersion. -record adds those that are new.
var record = flag.Bool("record", false, "record, on a real server, the scenarios that have no history in testdata yet")

// TestOldHistoriesStillReplay fails when workflow code no longer takes the
// steps it took when a history was written.
func TestOldHistoriesStillReplay(t *testing.T) {
	t.Parallel()
	if *record {
		recordHistories(t)
	}
	files, err := filepath.Glob("testdata/*.json")
	if err != nil || len(files) < len(scenarios) {
		t.Fatalf("%d histories for %d scenarios, %v: run the test with -record", len(files), len(scenarios), err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			t.Parallel()
			replayer := sdkworker.NewWorkflowReplayer()
			worker.RegisterWorkflows(replayer)
			if err := replayer.ReplayWorkflowHistoryFromJSONFile(log.NewStructuredLogger(slog.New(slog.DiscardHandler)), file); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestReplayNoticesAChange makes sure that the test above can fail.
func TestReplayNoticesAChange(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("testdata/nightly-v1.json")
	if err != nil {
		t.Fatal(err)
	}
	changed := strings.Replace(string(text), `"Verify"`, `"Check"`, 1)
	if changed == string(text) {
		t.Fatal("the history has no Verify")
	}
	file := t.TempDir() + "/changed.json"
	if err := os.WriteFile(file, []byte(changed), 0o600); err != nil {
		t.Fatal(err)
	}
	replayer := sdkworker.NewWorkflowReplayer()
	worker.RegisterWorkflows(replayer)
	if err := replayer.ReplayWorkflowHistoryFromJSONFile(log.NewStructuredLogger(slog.New(slog.DiscardHandler)), file); err == nil || !strings.Contains(err.Error(), "nondetermin") {
		t.Fatalf("a changed history replays: %v", err)
	}
}

// scenario is a run worth remembering.
type scenario struct {
	start func(ctx context.Context, c client.Client, queue string) (workflows.Started, error)
	world func(cancel func()) *activitiestest.World
	// told is what the run is told, each when it waits.
	told []told
}

type told struct {
	waits, update string
	in            workflows.Instruction
}

// steered is a backfill that waits, and is told how to go on.
func steered(key string, w func(cancel func()) *activitiestest.World, first string, acts ...told) scenario {
	s := backfill(workflows.BackfillInput{Pipeline: "retail", Key: key, Parallel: 1}, w)
	start := s.start
	s.start = func(ctx context.Context, c client.Client, queue string) (workflows.Started, error) {
		run, err := start(ctx, c, queue)
		if err == nil && first != "" {
			_, err = workflows.Tell(ctx, c, run.ID, first, workflows.Instruction{By: "test", Reason: "recorded"})
		}
		return run, err
	}
	s.told = acts
	return s
}

func tell(waits, update string, in workflows.Instruction) told {
	in.By, in.Reason = "test", "recorded"
	return told{waits, update, in}
}

func asks(func()) *activitiestest.World {
	return &activitiestest.World{Reviews: func(p batch.PlanRef) batch.Review {
		return batch.Review{Old: p.Parent, Digest: "3fa91c2055aa00ff", Policy: "approval", Ask: "the pipeline wants every backfill approved", Markdown: "| view |\n"}
	}}
}

func breaks(func()) *activitiestest.World {
	var broken atomic.Int32
	return &activitiestest.World{Before: func(_ context.Context, step string, unit int) error {
		if step == "fold" && unit == 1 && broken.Add(1) == 1 {
			return fault.New(fault.Corrupt, "day file has another checksum")
		}
		return nil
	}}
}

func nightly(key string, w func(cancel func()) *activitiestest.World) scenario {
	return scenario{world: w, start: func(ctx context.Context, c client.Client, queue string) (workflows.Started, error) {
		return workflows.StartNightly(ctx, c, queue, workflows.NightlyInput{Pipeline: "retail", Key: key, Reason: "recorded", By: "test"}, time.Now())
	}}
}

func backfill(in workflows.BackfillInput, w func(cancel func()) *activitiestest.World) scenario {
	return scenario{world: w, start: func(ctx context.Context, c client.Client, queue string) (workflows.Started, error) {
		return workflows.StartBackfill(ctx, c, queue, in, time.Now())
	}}
}

func release(in workflows.ReleaseInput) scenario {
	return scenario{world: plain, start: func(ctx context.Context, c client.Client, queue string) (workflows.Started, error) {
		return workflows.StartRelease(ctx, c, queue, in, time.Now())
	}}
}

func audit(in workflows.AuditInput, w func(cancel func()) *activitiestest.World) scenario {
	return scenario{world: w, start: func(ctx context.Context, c client.Client, queue string) (workflows.Started, error) {
		return workflows.StartAudit(ctx, c, queue, in, time.Now())
	}}
}

// canaried is a canary of two seconds, or one that is told to do something.
func canaried(key string, verdicts func(int) batch.Judgement, first string) scenario {
	in := workflows.CanaryInput{
		Pipeline: "retail", Views: []workflows.CanaryView{{View: "day", Version: "1f8be302cc16a94d"}}, Share: 10, Within: 0.01, Every: "1s", For: "2s", Compare: 2, Key: key, Reason: "recorded", By: "test",
	}
	if first != "" {
		in.Every = "1h"
	}
	return scenario{world: func(func()) *activitiestest.World { return &activitiestest.World{Verdicts: verdicts} }, start: func(ctx context.Context, c client.Client, queue string) (workflows.Started, error) {
		run, err := workflows.StartCanary(ctx, c, queue, in, time.Now())
		if err != nil || first == "" {
			return run, err
		}
		for p := (workflows.Progress{}); p.Phase != "watch"; { // until it has something to decide
			<-time.After(20 * time.Millisecond)
			if p, err = workflows.QueryProgress(ctx, c, run.ID); err != nil {
				return run, err
			}
		}
		if err := workflows.PokeCanary(ctx, c, run.ID); err != nil {
			return run, err
		}
		_, err = workflows.Tell(ctx, c, run.ID, first, workflows.Instruction{By: "test", Reason: "recorded"})
		return run, err
	}}
}

func differs(int) batch.Judgement {
	return batch.Judgement{Manifest: 1, State: batch.Held, Groups: 100, Changed: 100, Beyond: "view day: 100 of 100 groups differ, 100 %; the bound is 1 %"}
}

func imports(in workflows.ImportInput, w func(cancel func()) *activitiestest.World) scenario {
	return scenario{world: w, start: func(ctx context.Context, c client.Client, queue string) (workflows.Started, error) {
		return workflows.StartImport(ctx, c, queue, in, time.Now())
	}}
}

func compacts(key string, dry bool, w func(cancel func()) *activitiestest.World) scenario {
	return scenario{world: w, start: func(ctx context.Context, c client.Client, queue string) (workflows.Started, error) {
		return workflows.StartCompact(ctx, c, queue, workflows.CompactInput{Pipeline: "retail", DryRun: dry, Parallel: 1, Key: key, Reason: "recorded", By: "test"}, time.Now())
	}}
}

func plain(func()) *activitiestest.World { return &activitiestest.World{} }

// scenarios by the name of their file.
var scenarios = map[string]scenario{
	"nightly-v1": nightly("plain", plain),
	"import-v1":  imports(workflows.ImportInput{Pipeline: "retail", From: "file:///data", Key: "plain", Reason: "recorded", By: "test"}, plain),
	"import-damaged-v1": imports(workflows.ImportInput{Pipeline: "retail", From: "file:///data", Key: "damaged", Reason: "recorded", By: "test"}, func(func()) *activitiestest.World {
		return &activitiestest.World{Before: func(_ context.Context, step string, unit int) error {
			if step == "file" && unit == 1 {
				return fault.New(fault.Corrupt, "it is no Parquet")
			}
			return nil
		}}
	}),
	"release-v1": release(workflows.ReleaseInput{Pipeline: "retail", Codes: []string{"zero_price"}, Set: []string{"price=1"}, Key: "plain", Reason: "recorded", By: "test"}),
	"audit-v1":   audit(workflows.AuditInput{Pipeline: "retail", Days: 3, Key: "plain", Reason: "recorded", By: "test"}, plain),
	"audit-drift-v1": audit(workflows.AuditInput{Pipeline: "retail", From: "2011-03-01", To: "2011-03-09", Seed: 9, Key: "drift", Reason: "recorded", By: "test"}, func(func()) *activitiestest.World {
		return &activitiestest.World{Audits: func(batch.AuditUnit) batch.Audited {
			return batch.Audited{Counted: 1, Drifted: 1, Views: map[string]int64{"sales": 1}, Drifts: []batch.Drift{{View: "sales", Where: "results of all", Group: []string{"UK"}, Column: "n", Served: "1", Recomputed: "2"}}}
		}}
	}),
	"canary-promoted-v1":    canaried("promoted", nil, ""),
	"canary-rolled-back-v1": canaried("rolled back", differs, ""),
	"canary-by-hand-v1":     canaried("by hand", nil, workflows.RollBackUpdate),
	"rebuild-speed-v1": {world: plain, start: func(ctx context.Context, c client.Client, queue string) (workflows.Started, error) {
		return workflows.StartRebuildSpeed(ctx, c, queue, workflows.RebuildSpeedInput{Pipeline: "retail", Key: "plain", Reason: "recorded", By: "test"}, time.Now())
	}},
	"restore-v1": {world: plain, start: func(ctx context.Context, c client.Client, queue string) (workflows.Started, error) {
		return workflows.StartRestore(ctx, c, queue, workflows.RestoreInput{Pipeline: "retail", Into: "retail_then", AsOf: "v3", Key: "plain", Reason: "recorded", By: "test"}, time.Now())
	}},
	"compact-v1":         compacts("plain", false, plain),
	"compact-dry-run-v1": compacts("dry", true, plain),
	"compact-loses-once-v1": compacts("loses", false, func(func()) *activitiestest.World {
		w, lost := &activitiestest.World{}, false
		w.Before = func(_ context.Context, step string, _ int) error {
			if step == "publish" && !lost {
				lost = true
				w.Intrude()
			}
			return nil
		}
		return w
	}),
	"expire-v1": {world: plain, start: func(ctx context.Context, c client.Client, queue string) (workflows.Started, error) {
		return workflows.StartExpire(ctx, c, queue, workflows.ExpireInput{Pipeline: "retail", DryRun: true, Key: "plain", Reason: "recorded", By: "test"}, time.Now())
	}},
	"backfill-v1": backfill(workflows.BackfillInput{Pipeline: "retail", View: "sales", From: "2011-03-01", To: "2011-03-07", Reason: "refunds", By: "test"}, plain),
	"nightly-loses-once-v1": nightly("loses", func(func()) *activitiestest.World {
		w, lost := &activitiestest.World{}, false
		w.Before = func(_ context.Context, step string, _ int) error {
			if step == "publish" && !lost {
				lost = true
				w.Intrude()
			}
			return nil
		}
		return w
	}),
	"nightly-scheduled-v1": {world: plain, start: func(ctx context.Context, c client.Client, queue string) (workflows.Started, error) {
		run, err := c.ExecuteWorkflow(ctx, client.StartWorkflowOptions{ID: "nightly-retail-2011-09-01T03:00:00Z", TaskQueue: queue}, workflows.NightlyType,
			workflows.NightlyInput{Pipeline: "retail", Reason: "recorded", By: "schedule", Schedule: &workflows.Nominal{Timezone: "Europe/Berlin", CatchUp: "12h"}})
		if err != nil {
			return workflows.Started{}, err
		}
		return workflows.Started{ID: run.GetID(), RunID: run.GetRunID()}, nil
	}},
	"nightly-already-published-v1": nightly("already", func(func()) *activitiestest.World {
		return &activitiestest.World{Before: func(_ context.Context, step string, _ int) error {
			if step == "plan" {
				return batch.ErrDone
			}
			return nil
		}}
	}),
	"nightly-fails-v1": nightly("fails", func(func()) *activitiestest.World {
		return &activitiestest.World{Before: func(_ context.Context, step string, unit int) error {
			if step == "fold" && unit == 1 {
				return fault.New(fault.Corrupt, "day file has another checksum")
			}
			return nil
		}}
	}),
	"backfill-cancelled-v1": backfill(workflows.BackfillInput{Pipeline: "retail", Key: "cancelled"}, func(cancel func()) *activitiestest.World {
		return &activitiestest.World{Before: func(ctx context.Context, step string, unit int) error {
			if step == "finish" {
				cancel()
				<-ctx.Done()
				return ctx.Err()
			}
			return nil
		}}
	}),
	"backfill-continued-v1": backfill(workflows.BackfillInput{Pipeline: "retail", Key: "continued", Resume: &workflows.Resume{
		Started: time.Date(2011, 12, 10, 3, 0, 0, 0, time.UTC), RunID: "r", Attempt: 1, Phase: "fold", Next: 2, Units: 2, Rows: 2000, Bytes: 128,
		Plan: &batch.PlanRef{Run: "r-0"}, Fold: &batch.Units{N: 3},
	}}, func(func()) *activitiestest.World {
		w, ctx := &activitiestest.World{}, context.Background()
		p, _ := w.Plan(ctx, batch.Request{Kind: batch.Backfill, RunID: "r"})
		_, _ = w.Fold(ctx, p, 0)
		_, _ = w.Fold(ctx, p, 1)
		return w
	}),
	"backfill-paused-v1": steered("paused", plain, workflows.PauseUpdate,
		tell("resume", workflows.ParallelUpdate, workflows.Instruction{Parallel: 4}), tell("resume", workflows.ResumeUpdate, workflows.Instruction{})),
	"backfill-paused-and-cancelled-v1": steered("paused and cancelled", plain, workflows.PauseUpdate, tell("resume", workflows.CancelUpdate, workflows.Instruction{})),
	"backfill-retried-v1":              steered("retried", breaks, "", tell("retry", workflows.RetryUpdate, workflows.Instruction{})),
	"backfill-approved-v1":             steered("approved", asks, "", tell("approve", workflows.ApproveUpdate, workflows.Instruction{Digest: "3fa91c20"})),
	"backfill-rejected-v1":             steered("rejected", asks, "", tell("approve", workflows.RejectUpdate, workflows.Instruction{})),
	"backfill-bad-input-v1":            backfill(workflows.BackfillInput{Pipeline: "retail", Key: "bad", Parallel: -1}, plain),
}

// awaitWaits waits until a run waits for something.
func awaitWaits(ctx context.Context, t *testing.T, c client.Client, id, what string) {
	for {
		p, err := workflows.QueryProgress(ctx, c, id)
		if err != nil {
			t.Fatal(err)
		}
		if p.Waits == what {
			return
		}
		<-time.After(20 * time.Millisecond)
	}
}

func recordHistories(t *testing.T) {
	ctx := t.Context()
	server := temporalserver.New(temporalserver.Options{Dir: t.TempDir(), CLI: "-"})
	if err := server.Start(ctx); err != nil {
		t.Fatal(err)
	}
	defer server.Stop()
	// An identity of its own, or each event would name a machine and a process.
	c, err := client.Dial(client.Options{HostPort: server.Address(), Identity: "recorder", Logger: log.NewStructuredLogger(slog.New(slog.DiscardHandler))})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for name, s := range scenarios {
		file := "testdata/" + name + ".json"
		if _, err := os.Stat(file); err == nil {
			continue
		}
		var run workflows.Started
		started := make(chan struct{})
		w := s.world(func() { <-started; _ = workflows.Cancel(ctx, c, run.ID) })
		wk := worker.New(worker.Options{Client: c, TaskQueue: name, Parallel: 4, Activities: activitiestest.Activities(map[string]*activitiestest.World{"retail": w, "retail_then": {}})})
		if err := wk.Start(ctx); err != nil {
			t.Fatal(err)
		}
		run, err = s.start(ctx, c, name)
		if err != nil {
			t.Fatal(err)
		}
		close(started)
		for _, told := range s.told {
			awaitWaits(ctx, t, c, run.ID, told.waits)
			if _, err := workflows.Tell(ctx, c, run.ID, told.update, told.in); err != nil {
				t.Fatal(err)
			}
		}
		result, err := workflows.Await(ctx, c, run, time.Second, clock.Wall, nil)
		t.Logf("%s: %+v, %v", name, result, err)
		history := &historypb.History{}
		events := c.GetWorkflowHistory(ctx, run.ID, run.RunID, false, enums.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
		for events.HasNext() {
			e, err := events.Next()
			if err != nil {
				t.Fatal(err)
			}
			history.Events = append(history.Events, e)
		}
		wk.Stop()
		text, err := protojson.MarshalOptions{Indent: " "}.Marshal(history)
		if err != nil {
			t.Fatal(err)
		}
		// The name of a worker's own queue begins with the name of its machine.
		if host, err := os.Hostname(); err == nil {
			text = bytes.ReplaceAll(text, []byte(`"`+host+`:`), []byte(`"recorder:`))
		}
		if err := os.WriteFile(file, append(text, '\n'), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}
