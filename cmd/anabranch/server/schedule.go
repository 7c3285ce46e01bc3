package server

import (
	"cmp"
	"context"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"go.temporal.io/sdk/client"

	"anabranch/cmd/anabranch/api"
	"anabranch/fault"
	"anabranch/internal/openapi"
	"anabranch/schemas"
	"anabranch/workflows"
)

func (s *Server) scheduleRoutes(m *mux) {
	const at = "/v1/pipelines/{name}/schedule"
	which := []openapi.Param{scheduleStarts}
	ask(m, "GET /v1/schedules", openapi.Route{Summary: "What runs by itself, and when"}, s.listSchedules)
	ask(m, "GET "+at, openapi.Route{Summary: "A schedule of one pipeline", Params: which}, of(s, func(r *http.Request, p *pipeline) (api.Schedule, error) {
		return s.describeSchedule(r.Context(), scheduleOf(r, p))
	}))
	tell(m, "POST "+at+"/pause", openapi.Route{Summary: "Pause a schedule", Params: which}, s.steerSchedule(func(ctx context.Context, c client.Client, of scheduled, in api.SteerSchedule) error {
		return workflows.PauseSchedule(ctx, c, of.Scheduled, in.Reason, in.By)
	}))
	tell(m, "POST "+at+"/resume", openapi.Route{Summary: "Go on with a schedule", Params: which}, s.steerSchedule(func(ctx context.Context, c client.Client, of scheduled, in api.SteerSchedule) error {
		return workflows.ResumeSchedule(ctx, c, of.Scheduled, in.Reason, in.By)
	}))
	tell(m, "POST "+at+"/trigger", openapi.Route{Summary: "Run what a schedule runs, now", Params: which}, s.steerSchedule(func(ctx context.Context, c client.Client, of scheduled, in api.SteerSchedule) error {
		return workflows.TriggerSchedule(ctx, c, of.Scheduled, in.Reason, in.By)
	}))
	tell(m, "POST "+at+"/backfill", openapi.Route{Summary: "Take nights of the past again, by data date", Params: which}, s.steerSchedule(func(ctx context.Context, c client.Client, of scheduled, in api.SteerSchedule) error {
		if of.Starts != workflows.StartsNightly {
			return fault.New(fault.Invalid, "only nights of the past can be taken again, no %s: trigger one", of.Starts)
		}
		return workflows.BackfillSchedule(ctx, c, of.Pipeline, of.want, in.From, in.To, in.Reason, in.By)
	}))
}

// scheduled is one schedule of a pipeline and what its definition wants of it.
type scheduled struct {
	workflows.Scheduled
	want schemas.Schedule
}

func (p *pipeline) schedules() []scheduled {
	of := func(starts string, want schemas.Schedule) scheduled {
		return scheduled{workflows.Scheduled{Pipeline: p.def.Name, Starts: starts}, want}
	}
	return []scheduled{
		of(workflows.StartsNightly, p.def.Schedule), of(workflows.StartsAudit, p.def.Audits.Schedule), of(workflows.StartsExpire, p.def.Retention.Schedule),
	}
}

var scheduleStarts = openapi.Text("starts", "which one: what it starts; nightly without it").OneOf(workflows.StartsNightly, workflows.StartsAudit, workflows.StartsExpire)

// scheduleOf returns the schedule that a request names, else that of the nights.
func scheduleOf(r *http.Request, p *pipeline) scheduled {
	starts, all := cmp.Or(scheduleStarts.Of(r), workflows.StartsNightly), p.schedules()
	return all[slices.IndexFunc(all, func(of scheduled) bool { return of.Starts == starts })]
}

func (s *Server) listSchedules(r *http.Request) (api.Schedules, error) {
	out := api.Schedules{Schedules: []api.Schedule{}}
	for _, name := range s.names() {
		p, err := s.pipeline(name)
		if err != nil {
			continue // it changes or ended just now
		}
		for _, of := range p.schedules() {
			if of.want.Cron == "" && of.Starts != workflows.StartsNightly {
				continue // nobody misses it
			}
			d, err := s.describeSchedule(r.Context(), of)
			if err != nil {
				return out, err
			}
			out.Schedules = append(out.Schedules, d)
		}
	}
	return out, nil
}

// steerSchedule does what is asked and answers with what came of it.
func (s *Server) steerSchedule(do func(context.Context, client.Client, scheduled, api.SteerSchedule) error) func(*http.Request, api.SteerSchedule) (api.Schedule, error) {
	return toldOf(s, func(r *http.Request, p *pipeline, in api.SteerSchedule) (out api.Schedule, err error) {
		if strings.TrimSpace(in.Reason) == "" {
			return out, fault.New(fault.Invalid, "no reason is given: it is kept with the schedule for whoever looks next")
		}
		of := scheduleOf(r, p)
		c, err := s.temporal()
		if err != nil {
			return out, err
		}
		if err := do(r.Context(), c, of, in); err != nil {
			return out, err
		}
		return s.describeSchedule(r.Context(), of)
	})
}

// describeSchedule tells what the definition wants and what Temporal knows.
func (s *Server) describeSchedule(ctx context.Context, of scheduled) (api.Schedule, error) {
	want := of.want
	out := api.Schedule{Pipeline: of.Pipeline, Starts: of.Starts, State: "none"}
	if want.Cron == "" {
		return out, nil
	}
	out.Cron, out.Timezone, out.Overlap, out.CatchUp, out.PauseOnFailure = want.Cron, want.Timezone, want.Overlap, short(want.CatchUp), want.PauseOnFailure
	c, err := s.temporal()
	if err != nil {
		return out, err
	}
	d, err := workflows.DescribeSchedule(ctx, c, of.Scheduled)
	if fault.Is(err, fault.NotFound) {
		return out, fault.New(fault.Transient, "the %s schedule of %s is not made yet: a process with the role worker makes it, ask again in a moment", of.Starts, of.Pipeline)
	}
	if err != nil {
		return out, err
	}
	out.State = "active"
	if state := d.Schedule.State; state != nil {
		out.Note = state.Note
		if state.Paused {
			out.State = "paused"
		}
	}
	if out.State == "active" {
		out.Next = d.Info.NextActionTimes
	}
	out.Missed, out.Skipped = d.Info.NumActionsMissedCatchupWindow, d.Info.NumActionsSkippedOverlap
	for _, w := range d.Info.RunningWorkflows {
		out.Running = append(out.Running, w.WorkflowID)
	}
	for _, a := range d.Info.RecentActions {
		run := api.ScheduledRun{Due: a.ScheduleTime, Started: a.ActualTime}
		if a.StartWorkflowResult != nil {
			run.Run = a.StartWorkflowResult.WorkflowID
		}
		if of.Starts == workflows.StartsNightly {
			run.DataDate, _ = want.DataDate(a.ScheduleTime) // the zone was looked up when the definition was read
		}
		out.Recent = append(out.Recent, run)
	}
	if s.runs.ui != "" {
		out.UI = strings.TrimRight(s.runs.ui, "/") + "/namespaces/" + url.PathEscape(namespace) + "/schedules/" + url.PathEscape(of.ID())
	}
	return out, nil
}

// short leaves out the zeros at the end of a time: 12h, not 12h0m0s.
func short(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}
