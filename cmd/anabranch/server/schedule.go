package server

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"time"

	"go.temporal.io/sdk/client"

	"anabranch/cmd/anabranch/api"
	"anabranch/fault"
	"anabranch/workflows"
)

func (s *Server) scheduleRoutes(mux *http.ServeMux) {
	const at = "/v1/pipelines/{name}/schedule"
	mux.HandleFunc("GET /v1/schedules", answer(s.listSchedules))
	mux.HandleFunc("GET "+at, s.withPipeline(func(r *http.Request, p *pipeline) (any, error) { return s.describeSchedule(r.Context(), p) }))
	mux.HandleFunc("POST "+at+"/pause", s.steerSchedule(func(ctx context.Context, c client.Client, p *pipeline, in api.SteerSchedule) error {
		return workflows.PauseSchedule(ctx, c, p.def.Name, in.Reason, in.By)
	}))
	mux.HandleFunc("POST "+at+"/resume", s.steerSchedule(func(ctx context.Context, c client.Client, p *pipeline, in api.SteerSchedule) error {
		return workflows.ResumeSchedule(ctx, c, p.def.Name, in.Reason, in.By)
	}))
	mux.HandleFunc("POST "+at+"/trigger", s.steerSchedule(func(ctx context.Context, c client.Client, p *pipeline, in api.SteerSchedule) error {
		return workflows.TriggerSchedule(ctx, c, p.def.Name, in.Reason, in.By)
	}))
	mux.HandleFunc("POST "+at+"/backfill", s.steerSchedule(func(ctx context.Context, c client.Client, p *pipeline, in api.SteerSchedule) error {
		return workflows.BackfillSchedule(ctx, c, p.def.Name, p.def.Schedule, in.From, in.To, in.Reason, in.By)
	}))
}

func (s *Server) listSchedules(r *http.Request) (any, error) {
	out := api.Schedules{Schedules: []api.Schedule{}}
	for _, name := range s.names() {
		p, err := s.pipeline(name)
		if err != nil {
			continue // it changes or ended just now
		}
		d, err := s.describeSchedule(r.Context(), p)
		if err != nil {
			return nil, err
		}
		out.Schedules = append(out.Schedules, d)
	}
	return out, nil
}

// steerSchedule does what is asked and answers with what came of it.
func (s *Server) steerSchedule(do func(context.Context, client.Client, *pipeline, api.SteerSchedule) error) http.HandlerFunc {
	return s.withPipeline(func(r *http.Request, p *pipeline) (any, error) {
		var in api.SteerSchedule
		if err := readJSON(r, 1<<20, &in); err != nil {
			return nil, err
		}
		if strings.TrimSpace(in.Reason) == "" {
			return nil, fault.New(fault.Invalid, "no reason is given: it is kept with the schedule for whoever looks next")
		}
		c, err := s.temporal()
		if err != nil {
			return nil, err
		}
		if err := do(r.Context(), c, p, in); err != nil {
			return nil, err
		}
		return s.describeSchedule(r.Context(), p)
	})
}

// describeSchedule tells what the definition wants and what Temporal knows.
func (s *Server) describeSchedule(ctx context.Context, p *pipeline) (api.Schedule, error) {
	want := p.def.Schedule
	out := api.Schedule{Pipeline: p.def.Name, State: "none"}
	if want.Cron == "" {
		return out, nil
	}
	out.Cron, out.Timezone, out.Overlap, out.CatchUp, out.PauseOnFailure = want.Cron, want.Timezone, want.Overlap, short(want.CatchUp), want.PauseOnFailure
	c, err := s.temporal()
	if err != nil {
		return out, err
	}
	d, err := workflows.DescribeSchedule(ctx, c, p.def.Name)
	if fault.Is(err, fault.NotFound) {
		return out, fault.New(fault.Transient, "the schedule of %s is not made yet: a process with the role worker makes it, ask again in a moment", p.def.Name)
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
		run.DataDate, _ = want.DataDate(a.ScheduleTime) // the zone was looked up when the definition was read
		out.Recent = append(out.Recent, run)
	}
	if s.runs.ui != "" {
		out.UI = strings.TrimRight(s.runs.ui, "/") + "/namespaces/" + url.PathEscape(namespace) + "/schedules/" + url.PathEscape(workflows.ScheduleID(p.def.Name))
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
