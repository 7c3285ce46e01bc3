package main

import (
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"anabranch/cmd/anabranch/api"
	"anabranch/cmd/anabranch/client"
)

func newSchedule() *cobra.Command {
	c := &cobra.Command{
		Use:   "schedule",
		Short: "What runs by itself, and when: list, pause, resume, trigger, backfill",
		Long: `What a pipeline does by itself is declared in its pipeline.yaml: nightly batches
under batch.schedule, audits under batch.audit, expiry under batch.retention.
Schedules are made, changed or removed when the folder is applied. Here they are
looked at and steered: the one of nightly batches, unless --starts names another.
They live in Temporal, whose UI shows the same.`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(
		newScheduleList(), newScheduleShow(),
		steerSchedule("pause", "Start no run any more until resumed; one that runs goes on"),
		steerSchedule("resume", "Start runs by themselves again"),
		steerSchedule("trigger", "Start a run now, as if it were due"),
		newScheduleBackfill(),
	)
	return c
}

func schedulePath(pipeline, do, starts string) string {
	path := "/v1/pipelines/" + url.PathEscape(pipeline) + "/schedule"
	if do != "" {
		path += "/" + do
	}
	return path + "?starts=" + url.QueryEscape(starts)
}

func startsFlag(c *cobra.Command, starts *string) {
	c.Flags().StringVar(starts, "starts", "nightly", "which schedule, by what it starts: nightly, audit or expire")
}

func newScheduleList() *cobra.Command {
	var a asking
	c := &cobra.Command{
		Use: "ls", Aliases: []string{"list"},
		Short: "List the schedules of all pipelines",
		Args:  exactly(0, "nothing more"),
		RunE: a.run(func(c *cobra.Command, _ []string, cl *client.Client, p *printer) error {
			var out api.Schedules
			if err := cl.JSON(c.Context(), http.MethodGet, "/v1/schedules", nil, &out); err != nil {
				return err
			}
			var rows [][]string
			for _, s := range out.Schedules {
				rows = append(rows, []string{s.Pipeline, s.Starts, s.State, s.Cron, s.Timezone, next(s), last(s), s.Note})
			}
			return p.value(out, []string{"pipeline", "starts", "state", "cron", "timezone", "next", "last data date", "note"}, rows)
		}),
	}
	a.flags(c)
	return c
}

// next is when a schedule starts a run next, as its own time zone tells it.
func next(s api.Schedule) string {
	if len(s.Next) == 0 {
		return ""
	}
	return inZone(s.Next[0], s.Timezone)
}

func last(s api.Schedule) string {
	if len(s.Recent) == 0 {
		return ""
	}
	return s.Recent[len(s.Recent)-1].DataDate
}

func inZone(t time.Time, zone string) string {
	if z, err := time.LoadLocation(zone); err == nil {
		t = t.In(z)
	}
	return t.Format("2006-01-02 15:04:05 MST")
}

func newScheduleShow() *cobra.Command {
	var a asking
	var starts string
	c := &cobra.Command{
		Use:   "show PIPELINE",
		Short: "Show a pipeline's schedule, its next times and its last runs",
		Args:  exactly(1, "a pipeline"),
		RunE: a.run(func(c *cobra.Command, args []string, cl *client.Client, p *printer) error {
			var s api.Schedule
			if err := cl.JSON(c.Context(), http.MethodGet, schedulePath(args[0], "", starts), nil, &s); err != nil {
				return err
			}
			return printSchedule(p, s)
		}),
	}
	a.flags(c)
	startsFlag(c, &starts)
	return c
}

func printSchedule(p *printer, s api.Schedule) error {
	rows := [][]string{{"pipeline", s.Pipeline}, {"starts", s.Starts}, {"state", s.State}}
	add := func(name, value string) {
		if value != "" {
			rows = append(rows, []string{name, value})
		}
	}
	add("cron", s.Cron)
	add("timezone", s.Timezone)
	add("overlap", s.Overlap)
	add("catch-up", s.CatchUp)
	if s.PauseOnFailure {
		add("pause on failure", "yes")
	}
	add("note", s.Note)
	for _, t := range s.Next[:min(3, len(s.Next))] {
		add("next", inZone(t, s.Timezone))
	}
	add("running", strings.Join(s.Running, " "))
	for _, r := range s.Recent {
		if r.DataDate == "" {
			add("ran at "+inZone(r.Due, s.Timezone), r.Run)
			continue
		}
		add("ran for "+r.DataDate, r.Run)
	}
	add("in the Temporal UI", s.UI)
	return p.value(s, []string{"schedule", "value"}, rows)
}

// steerSchedule is a command that posts a reason.
func steerSchedule(do, short string) *cobra.Command {
	var a asking
	var in api.SteerSchedule
	var starts string
	c := &cobra.Command{
		Use:     do + " PIPELINE --reason TEXT",
		Short:   short,
		Example: "  anabranch schedule " + do + ` retail --reason "the warehouse is being moved"`,
		Args:    exactly(1, "a pipeline"),
		RunE: a.run(func(c *cobra.Command, args []string, cl *client.Client, p *printer) error {
			return postSchedule(c, cl, p, args[0], do, starts, in)
		}),
	}
	a.flags(c)
	startsFlag(c, &starts)
	c.Flags().StringVar(&in.Reason, "reason", "", "why, kept as the schedule's note")
	_ = c.MarkFlagRequired("reason")
	return c
}

func postSchedule(c *cobra.Command, cl *client.Client, p *printer, pipeline, do, starts string, in api.SteerSchedule) error {
	in.By = me()
	var s api.Schedule
	if err := cl.JSON(c.Context(), http.MethodPost, schedulePath(pipeline, do, starts), in, &s); err != nil {
		return err
	}
	return printSchedule(p, s)
}

func newScheduleBackfill() *cobra.Command {
	var a asking
	var in api.SteerSchedule
	c := &cobra.Command{
		Use:   "backfill PIPELINE --from DAY --to DAY --reason TEXT",
		Short: "Take nights of the past again, by their data dates, one after the other",
		Long: `Start the nightly batches again whose data dates are the days from --from to --to
(both included), one after the other. Each counts what has come by now, and
computes the events of its day again. To compute many days again at once, with
a plan and a comparison, use "anabranch backfill".`,
		Example: `  anabranch schedule backfill retail --from 2011-08-29 --to 2011-08-31 --reason "the server was down"`,
		Args:    exactly(1, "a pipeline"),
		RunE: a.run(func(c *cobra.Command, args []string, cl *client.Client, p *printer) error {
			return postSchedule(c, cl, p, args[0], "backfill", "nightly", in)
		}),
	}
	a.flags(c)
	c.Flags().StringVar(&in.From, "from", "", "first data date, YYYY-MM-DD")
	c.Flags().StringVar(&in.To, "to", "", "last data date, YYYY-MM-DD")
	c.Flags().StringVar(&in.Reason, "reason", "", "why, kept as the schedule's note")
	for _, f := range []string{"from", "to", "reason"} {
		_ = c.MarkFlagRequired(f)
	}
	return c
}
