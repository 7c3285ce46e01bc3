package workflows

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"
)

// catchUp is how late a nightly run still starts after the server was down;
// older ones are covered by the next.
const catchUp = 12 * time.Hour

// ScheduleID returns the name of a pipeline's schedule in the Temporal UI.
func ScheduleID(pipeline string) string { return "nightly-" + pipeline }

// EnsureSchedule makes a pipeline's nightly runs start by themselves at the
// times of a cron expression (UTC), or no longer when cron is empty. It may be
// called at every start: a schedule that somebody paused in the Temporal UI
// stays paused. A run that is due while the last one still runs is left out,
// because that one counts what there is anyway. Errors: Invalid, Transient.
func EnsureSchedule(ctx context.Context, c client.Client, queue, pipeline, cron string) error {
	if err := plainName("pipeline", pipeline); err != nil {
		return err
	}
	id := ScheduleID(pipeline)
	handle := c.ScheduleClient().GetHandle(ctx, id)
	if cron == "" {
		var none *serviceerror.NotFound
		if err := handle.Delete(ctx); err != nil && !errors.As(err, &none) {
			return ofServer(fmt.Errorf("end schedule %s: %w", id, err))
		}
		return nil
	}
	spec := client.ScheduleSpec{CronExpressions: []string{cron}}
	// Temporal appends the nominal time to the id, so each run has its own.
	action := &client.ScheduleWorkflowAction{
		ID: id, Workflow: NightlyType, TaskQueue: queue,
		Args: []any{NightlyInput{Pipeline: pipeline, Reason: "schedule " + cron, By: "schedule"}},
	}
	_, err := c.ScheduleClient().Create(ctx, client.ScheduleOptions{
		ID: id, Spec: spec, Action: action, Overlap: enums.SCHEDULE_OVERLAP_POLICY_SKIP, CatchupWindow: catchUp,
	})
	if errors.Is(err, temporal.ErrScheduleAlreadyRunning) {
		err = handle.Update(ctx, client.ScheduleUpdateOptions{DoUpdate: func(in client.ScheduleUpdateInput) (*client.ScheduleUpdate, error) {
			s := in.Description.Schedule
			s.Spec, s.Action = &spec, action
			return &client.ScheduleUpdate{Schedule: &s}, nil
		}})
	}
	if err != nil {
		return ofServer(fmt.Errorf("schedule %s at %q: %w", id, cron, err))
	}
	return nil
}
