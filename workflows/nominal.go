package workflows

import (
	"cmp"
	"strings"
	"time"

	"go.temporal.io/sdk/workflow"

	"anabranch/schemas"
)

// Nominal has a nightly run take its data date from the time at which it was
// due, which Temporal writes at the end of the run's id; the clock may say
// much later.
type Nominal struct {
	Timezone string `json:"timezone,omitempty"` // of the data date; empty: UTC
	// CatchUp is how late a run may start that was due, such as 12h. One that
	// is later than that was asked for, by a backfill of the schedule: then the
	// events of its data date are computed again, besides those that came.
	CatchUp string `json:"catch_up,omitempty"`
}

// due finds out what a run that a schedule started is about. It does so once:
// the run remembers when it continues with a fresh history.
func (in *NightlyInput) due(ctx workflow.Context) error {
	if in.Schedule == nil || in.Resume != nil {
		return nil
	}
	if in.Date != "" {
		return invalid("date %s: a run of a schedule takes it from the time it was due: leave out date or schedule", in.Date)
	}
	info := workflow.GetInfo(ctx)
	nominal := info.WorkflowStartTime
	if id := info.WorkflowExecution.ID; strings.HasPrefix(id, Scheduled{in.Pipeline, StartsNightly}.ID()+"-") {
		if t, err := time.Parse(time.RFC3339, strings.TrimPrefix(id, Scheduled{in.Pipeline, StartsNightly}.ID()+"-")); err == nil {
			nominal = t
		}
	}
	window, err := time.ParseDuration(cmp.Or(in.Schedule.CatchUp, "12h"))
	if err != nil {
		return invalid("schedule.catch_up %q: want a time like 12h", in.Schedule.CatchUp)
	}
	// The time zones that a machine knows are not part of the history.
	var date string
	err = workflow.SideEffect(ctx, func(workflow.Context) any {
		date, _ := schemas.Schedule{Timezone: in.Schedule.Timezone}.DataDate(nominal)
		return date
	}).Get(&date)
	if err != nil {
		return err
	}
	if date == "" {
		return invalid("there is no time zone %q here: give one like Europe/Berlin", in.Schedule.Timezone)
	}
	in.Date, in.Again = date, info.WorkflowStartTime.Sub(nominal) > window
	in.Reason = strings.TrimPrefix(in.Reason+", data date "+date, ", ")
	return nil
}
