package workflows

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"

	"anabranch/fault"
	"anabranch/schemas"
)

// Scheduled names a schedule: of a pipeline, and what it starts.
type Scheduled struct{ Pipeline, Starts string }

// What schedules start.
const (
	StartsNightly = "nightly"
	StartsAudit   = "audit"
	StartsExpire  = "expire"
)

// ID returns the name of the schedule in the Temporal UI.
func (s Scheduled) ID() string { return s.Starts + "-" + s.Pipeline }

func (s Scheduled) handle(ctx context.Context, c client.Client) client.ScheduleHandle {
	return c.ScheduleClient().GetHandle(ctx, s.ID())
}

// declared is where pipeline.yaml asks for it.
func (s Scheduled) declared() string {
	switch s.Starts {
	case StartsAudit:
		return "batch.audit"
	case StartsExpire:
		return "batch.retention with a schedule"
	}
	return "batch.schedule"
}

var overlaps = map[string]enums.ScheduleOverlapPolicy{
	schemas.OverlapSkip:      enums.SCHEDULE_OVERLAP_POLICY_SKIP,
	schemas.OverlapBufferOne: enums.SCHEDULE_OVERLAP_POLICY_BUFFER_ONE,
	schemas.OverlapBufferAll: enums.SCHEDULE_OVERLAP_POLICY_BUFFER_ALL,
	schemas.OverlapCancel:    enums.SCHEDULE_OVERLAP_POLICY_CANCEL_OTHER,
	schemas.OverlapAllow:     enums.SCHEDULE_OVERLAP_POLICY_ALLOW_ALL,
}

// EnsureSchedule makes a pipeline's nightly runs start by themselves as s
// says, or no longer when it has no Cron. It may be called at every start: a
// schedule that somebody paused stays paused. Errors: Invalid, Transient.
func EnsureSchedule(ctx context.Context, c client.Client, queue, pipeline string, s schemas.Schedule) error {
	if err := plainName("pipeline", pipeline); err != nil {
		return err
	}
	return ensureSchedule(ctx, c, s, &client.ScheduleWorkflowAction{
		// Temporal appends the nominal time to the id, so each run has its own.
		ID: Scheduled{pipeline, StartsNightly}.ID(), Workflow: NightlyType, TaskQueue: queue, StaticSummary: "nightly of " + pipeline,
		Args: []any{NightlyInput{
			Pipeline: pipeline, Reason: "schedule " + s.Cron, By: "schedule",
			Schedule: &Nominal{Timezone: s.Timezone, CatchUp: s.CatchUp.String()},
		}},
	})
}

// EnsureAudits does as EnsureSchedule for a pipeline's audits.
func EnsureAudits(ctx context.Context, c client.Client, queue, pipeline string, a schemas.Audits) error {
	if err := plainName("pipeline", pipeline); err != nil {
		return err
	}
	return ensureSchedule(ctx, c, a.Schedule, &client.ScheduleWorkflowAction{
		ID: Scheduled{pipeline, StartsAudit}.ID(), Workflow: AuditType, TaskQueue: queue, StaticSummary: "audit of " + pipeline,
		Args: []any{AuditInput{Pipeline: pipeline, Days: a.Days, Reason: "schedule " + a.Schedule.Cron, By: "schedule"}},
	})
}

// EnsureExpiry does as EnsureSchedule for what a pipeline forgets.
func EnsureExpiry(ctx context.Context, c client.Client, queue, pipeline string, r schemas.Retention) error {
	if err := plainName("pipeline", pipeline); err != nil {
		return err
	}
	return ensureSchedule(ctx, c, r.Schedule, &client.ScheduleWorkflowAction{
		ID: Scheduled{pipeline, StartsExpire}.ID(), Workflow: ExpireType, TaskQueue: queue, StaticSummary: "expire of " + pipeline,
		Args: []any{ExpireInput{Pipeline: pipeline, Reason: "schedule " + r.Schedule.Cron, By: "schedule"}},
	})
}

// ensureSchedule has an action start by itself, under its id as the
// schedule's.
func ensureSchedule(ctx context.Context, c client.Client, s schemas.Schedule, action *client.ScheduleWorkflowAction) error {
	id := action.ID
	handle := c.ScheduleClient().GetHandle(ctx, id)
	if s.Cron == "" {
		var none *serviceerror.NotFound
		if err := handle.Delete(ctx); err != nil && !errors.As(err, &none) {
			return ofServer(fmt.Errorf("end schedule %s: %w", id, err))
		}
		return nil
	}
	spec := client.ScheduleSpec{CronExpressions: []string{s.Cron}, TimeZoneName: s.Timezone}
	policy := client.SchedulePolicies{Overlap: overlaps[s.Overlap], CatchupWindow: s.CatchUp, PauseOnFailure: s.PauseOnFailure}
	_, err := c.ScheduleClient().Create(ctx, client.ScheduleOptions{
		ID: id, Spec: spec, Action: action, Overlap: policy.Overlap, CatchupWindow: policy.CatchupWindow, PauseOnFailure: policy.PauseOnFailure,
	})
	if errors.Is(err, temporal.ErrScheduleAlreadyRunning) {
		err = handle.Update(ctx, client.ScheduleUpdateOptions{DoUpdate: func(in client.ScheduleUpdateInput) (*client.ScheduleUpdate, error) {
			now := in.Description.Schedule
			now.Spec, now.Action, now.Policy = &spec, action, &policy
			return &client.ScheduleUpdate{Schedule: &now}, nil
		}})
	}
	if err != nil {
		return ofServer(fmt.Errorf("schedule %s at %q: %w", id, s.Cron, err))
	}
	return nil
}

// DescribeSchedule returns what Temporal knows of a schedule.
// Errors: NotFound, Transient.
func DescribeSchedule(ctx context.Context, c client.Client, of Scheduled) (*client.ScheduleDescription, error) {
	d, err := of.handle(ctx, c).Describe(ctx)
	return d, ofSchedule("look at", of, err)
}

// PauseSchedule has no further run start by itself; one that runs goes on. Errors: NotFound, Transient.
func PauseSchedule(ctx context.Context, c client.Client, of Scheduled, reason, by string) error {
	err := of.handle(ctx, c).Pause(ctx, client.SchedulePauseOptions{Note: noted("paused", reason, by)})
	return ofSchedule("pause", of, err)
}

// ResumeSchedule has them start again. Errors: NotFound, Transient.
func ResumeSchedule(ctx context.Context, c client.Client, of Scheduled, reason, by string) error {
	err := of.handle(ctx, c).Unpause(ctx, client.ScheduleUnpauseOptions{Note: noted("resumed", reason, by)})
	return ofSchedule("resume", of, err)
}

// TriggerSchedule starts a run now, as if it were due, paused or not.
// Errors: NotFound, Transient.
func TriggerSchedule(ctx context.Context, c client.Client, of Scheduled, reason, by string) error {
	if err := note(ctx, c, of, noted("triggered", reason, by)); err != nil {
		return err
	}
	return ofSchedule("trigger", of, of.handle(ctx, c).Trigger(ctx, client.ScheduleTriggerOptions{}))
}

// BackfillSchedule takes the nights of the past whose data dates are the days
// from first to last, one after the other, as if each were due now, paused or
// not. A night that is over computes the events of its day again. Errors:
// Invalid, NotFound, Transient.
func BackfillSchedule(ctx context.Context, c client.Client, pipeline string, s schemas.Schedule, first, last, reason, by string) error {
	var days [2]time.Time
	for i, text := range []string{first, last} {
		var err error
		if days[i], err = time.Parse(time.DateOnly, text); err != nil {
			return fault.New(fault.Invalid, "day %q: want one like 2011-03-01", text)
		}
	}
	if days[1].Before(days[0]) {
		return fault.New(fault.Invalid, "the last day %s is before the first, %s: swap them", last, first)
	}
	from, to, err := s.DueOn(days[0], days[1])
	if err != nil {
		return fault.Wrap(fault.Invalid, err)
	}
	of := Scheduled{pipeline, StartsNightly}
	if err := note(ctx, c, of, noted(fmt.Sprintf("nights of %s to %s started again", first, last), reason, by)); err != nil {
		return err
	}
	err = of.handle(ctx, c).Backfill(ctx, client.ScheduleBackfillOptions{Backfill: []client.ScheduleBackfill{{
		// Both ends are included.
		Start: from, End: to.Add(-time.Second), Overlap: enums.SCHEDULE_OVERLAP_POLICY_BUFFER_ALL,
	}}})
	return ofSchedule("backfill", of, err)
}

// noted says who did what, and why.
func noted(what, reason, by string) string {
	return fmt.Sprintf("%s by %s: %s", what, cmp.Or(by, "somebody"), cmp.Or(strings.Join(strings.Fields(reason), " "), "no reason given"))
}

// note leaves word at the schedule. Why it is paused stays readable.
func note(ctx context.Context, c client.Client, of Scheduled, text string) error {
	err := of.handle(ctx, c).Update(ctx, client.ScheduleUpdateOptions{DoUpdate: func(in client.ScheduleUpdateInput) (*client.ScheduleUpdate, error) {
		now := in.Description.Schedule
		if now.State.Paused {
			why, _, _ := strings.Cut(now.State.Note, noteBreak)
			text = why + noteBreak + text
		}
		now.State.Note = text
		return &client.ScheduleUpdate{Schedule: &now}, nil
	}})
	return ofSchedule("leave a note at", of, err)
}

const noteBreak = "; "

func ofSchedule(do string, of Scheduled, err error) error {
	var none *serviceerror.NotFound
	if errors.As(err, &none) {
		return fault.WithHint(fault.New(fault.NotFound, "%s the %s schedule of %s: there is none", do, of.Starts, of.Pipeline), "give pipeline.yaml a %s and apply it", of.declared())
	}
	if err != nil {
		return ofServer(fmt.Errorf("%s schedule %s: %w", do, of.ID(), err))
	}
	return nil
}
