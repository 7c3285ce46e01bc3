package worker

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.temporal.io/sdk/client"

	"anabranch/activities/activitiestest"
	"anabranch/batch"
	"anabranch/fault"
	"anabranch/internal/clock"
	"anabranch/schemas"
	"anabranch/workflows"
)

var nights = workflows.Scheduled{Pipeline: "retail", Starts: workflows.StartsNightly}

// farFromNow is an hour of the day in a zone at which no test runs that began now.
func farFromNow(t *testing.T, zone string) int {
	t.Helper()
	in, err := time.LoadLocation(zone)
	if err != nil {
		t.Fatal(err)
	}
	return time.Now().In(in).Add(12 * time.Hour).Hour()
}

func nightlyAt(cron string) schemas.Schedule {
	return schemas.Schedule{Cron: cron, Timezone: "UTC", Overlap: schemas.OverlapSkip, CatchUp: time.Hour}
}

// until asks the schedule until it is as wanted.
func (b *bundle) until(want string, is func(*client.ScheduleDescription) bool) *client.ScheduleDescription {
	b.Helper()
	for {
		d, err := workflows.DescribeSchedule(b.Context(), b.client, nights)
		if err != nil && !fault.KindOf(err).Retryable() { // a busy server may take too long to answer
			b.Fatalf("waiting until %s: %v", want, err)
		}
		if err == nil && is(d) {
			return d
		}
		<-time.After(20 * time.Millisecond)
	}
}

// alone makes a schedule on a server whose other tests have the same pipeline.
func alone(t *testing.T, w *activitiestest.World) *bundle {
	t.Helper()
	b := setup(t, w)
	t.Cleanup(func() {
		if err := workflows.EnsureSchedule(context.Background(), b.client, b.queue, "retail", schemas.Schedule{}); err != nil {
			t.Error(err)
		}
	})
	return b
}

// TestSchedule is one test, as a pipeline has one schedule.
func TestSchedule(t *testing.T) {
	t.Parallel()
	var fail atomic.Bool
	b := alone(t, &activitiestest.World{Before: func(_ context.Context, step string, _ int) error {
		if step == "verify" && fail.Load() {
			return fault.New(fault.Corrupt, "rows are missing")
		}
		return nil
	}})
	b.work(time.Minute)
	ctx := t.Context()
	if err := workflows.EnsureSchedule(ctx, b.client, b.queue, "retail", nightlyAt("61 * * * *")); !fault.Is(err, fault.Invalid) {
		t.Fatal(err)
	}
	for do, err := range map[string]error{
		"pause":   workflows.PauseSchedule(ctx, b.client, nights, "r", "ana"),
		"trigger": workflows.TriggerSchedule(ctx, b.client, nights, "r", "ana"),
	} {
		if !fault.Is(err, fault.NotFound) || !strings.Contains(err.Error(), "batch.schedule") {
			t.Fatalf("%s what is not there: %v", do, err)
		}
	}
	if err := workflows.EnsureSchedule(ctx, b.client, b.queue, "retail", nightlyAt(fmt.Sprintf("0 %d * * *", farFromNow(t, "UTC")))); err != nil {
		t.Fatal(err)
	}

	// Everything that the definition says is changed by the next apply, and
	// what a person has decided stays.
	if err := workflows.PauseSchedule(ctx, b.client, nights, "moving  house", "ana"); err != nil {
		t.Fatal(err)
	}
	hour := farFromNow(t, "Asia/Tokyo")
	s := schemas.Schedule{Cron: fmt.Sprintf("0 %d * * *", hour), Timezone: "Asia/Tokyo", Overlap: schemas.OverlapBufferOne, CatchUp: 6 * time.Hour, PauseOnFailure: true}
	if err := workflows.EnsureSchedule(ctx, b.client, b.queue, "retail", s); err != nil {
		t.Fatal(err)
	}
	d := b.until("there are next times", func(d *client.ScheduleDescription) bool { return len(d.Info.NextActionTimes) > 0 })
	if next := d.Info.NextActionTimes[0].UTC(); next.Hour() != (hour+24-9)%24 || next.Minute() != 0 {
		t.Errorf("next %s, want %d:00 in Tokyo", next, hour)
	}
	if p := d.Schedule.Policy; p.CatchupWindow != s.CatchUp || !p.PauseOnFailure || p.Overlap.String() != "BufferOne" {
		t.Errorf("policy %+v", p)
	}
	if !d.Schedule.State.Paused || d.Schedule.State.Note != "paused by ana: moving house" {
		t.Errorf("state %+v", d.Schedule.State)
	}

	// A trigger works while it is paused, and keeps the reason of the pause.
	if err := workflows.TriggerSchedule(ctx, b.client, nights, "to see", "ben"); err != nil {
		t.Fatal(err)
	}
	d = b.until("the trigger has started a run", func(d *client.ScheduleDescription) bool { return len(d.Info.RecentActions) == 1 })
	if want := "paused by ana: moving house; triggered by ben: to see"; d.Schedule.State.Note != want {
		t.Errorf("note %q, want %q", d.Schedule.State.Note, want)
	}
	run := d.Info.RecentActions[0]
	got, err := b.ended(run.StartWorkflowResult)
	if err != nil || got.Version != 1 {
		t.Fatal(got, err)
	}
	date, _ := s.DataDate(run.ScheduleTime)
	if p, err := workflows.QueryProgress(ctx, b.client, run.StartWorkflowResult.WorkflowID); err != nil || p.Date != date || p.From != "" {
		t.Errorf("%+v %v, want data date %s and no day again", p, err, date)
	}
	if r := b.world.Requests()[0]; r.Reason != "schedule "+s.Cron+", data date "+date || r.By != "schedule" {
		t.Errorf("%+v", r)
	}

	b.pastNights(s, hour)

	// A failed run pauses it.
	if err := workflows.ResumeSchedule(ctx, b.client, nights, "moved", "ana"); err != nil {
		t.Fatal(err)
	}
	if d := b.until("it is resumed", func(d *client.ScheduleDescription) bool { return !d.Schedule.State.Paused }); d.Schedule.State.Note != "resumed by ana: moved" {
		t.Errorf("note %q", d.Schedule.State.Note)
	}
	fail.Store(true)
	if err := workflows.TriggerSchedule(ctx, b.client, nights, "it will fail", "ben"); err != nil {
		t.Fatal(err)
	}
	d = b.until("the failure has paused it", func(d *client.ScheduleDescription) bool { return d.Schedule.State.Paused })
	if !strings.Contains(d.Schedule.State.Note, "paused due to workflow failure") {
		t.Errorf("note %q", d.Schedule.State.Note)
	}

	for range 2 { // ending what has ended is fine
		if err := workflows.EnsureSchedule(ctx, b.client, b.queue, "retail", schemas.Schedule{}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := workflows.DescribeSchedule(ctx, b.client, nights); !fault.Is(err, fault.NotFound) {
		t.Fatal("the schedule is still there", err)
	}
}

// pastNights takes three nights of the past again, due at that hour in Tokyo: one
// run each, one after the other, with the data date of its nominal time, whose
// day is computed again.
func (b *bundle) pastNights(s schemas.Schedule, hour int) {
	b.Helper()
	ctx := b.Context()
	for _, bad := range [][2]string{{"2011-09-01", "2011-08-30"}, {"yesterday", "2011-08-30"}} {
		if err := workflows.BackfillSchedule(ctx, b.client, "retail", s, bad[0], bad[1], "r", "ana"); !fault.Is(err, fault.Invalid) {
			b.Errorf("backfill %v: %v", bad, err)
		}
	}
	before := len(b.world.Requests())
	if err := workflows.BackfillSchedule(ctx, b.client, "retail", s, "2011-08-30", "2011-09-01", "the server was down", "ana"); err != nil {
		b.Fatal(err)
	}
	d := b.until("three nights have been taken", func(d *client.ScheduleDescription) bool {
		return len(d.Info.RecentActions) == 4 && len(d.Info.RunningWorkflows) == 0
	})
	var ids []string
	for _, a := range d.Info.RecentActions[1:] {
		if _, err := b.ended(a.StartWorkflowResult); err != nil {
			b.Fatal(err)
		}
		ids = append(ids, a.StartWorkflowResult.WorkflowID)
	}
	var want []string
	for night := range 3 { // Tokyo is nine hours ahead all year
		want = append(want, "nightly-retail-"+time.Date(2011, 8, 31+night, hour-9, 0, 0, 0, time.UTC).Format(time.RFC3339))
	}
	if !slices.Equal(ids, want) {
		b.Errorf("runs %v, want %v", ids, want)
	}
	var again []string
	for _, r := range b.world.Requests()[before:] {
		again = append(again, fmt.Sprint(r.Kind, " ", r.Reason, " ", *r.From, *r.To))
	}
	if want := []string{
		batch.Nightly + " schedule " + s.Cron + ", data date 2011-08-30 15216 15216",
		batch.Nightly + " schedule " + s.Cron + ", data date 2011-08-31 15217 15217",
		batch.Nightly + " schedule " + s.Cron + ", data date 2011-09-01 15218 15218",
	}; !slices.Equal(again, want) {
		b.Errorf("plans %q, want %q", again, want)
	}
	b.details(want[1], "| data date | 2011-08-31 |")
}

func (b *bundle) ended(w *client.ScheduleWorkflowExecution) (workflows.Result, error) {
	return workflows.Await(b.Context(), b.client, workflows.Started{ID: w.WorkflowID, RunID: w.FirstExecutionRunID}, time.Second, clock.Wall, nil)
}
