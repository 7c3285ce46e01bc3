package main

import (
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"anabranch/batch"
	"anabranch/cmd/anabranch/api"
	"anabranch/cmd/anabranch/client"
	"anabranch/fault"
	"anabranch/workflows"
)

func newBackfill() *cobra.Command {
	var a asking
	var req api.StartBackfill
	var detach bool
	c := &cobra.Command{
		Use:   "backfill PIPELINE --from DAY --to DAY --reason TEXT",
		Short: "Compute event days again, under the published cut, and swap them in at once",
		Long: `Compute the event days from --from to --to (both included) again from the
archive, as a Temporal workflow, and publish the result with one conditional
put. Until then readers keep the version they have.

While it runs it takes instructions, from here, over HTTP, or as an Update from
the Temporal UI: pause, resume, cancel, parallel, retry. What fails for good
waits for a retry.

Before it publishes it compares, cell by cell, and where the pipeline's policy
wants it, waits for approve or reject.`,
		Example: `  anabranch backfill retail --from 2011-03-01 --to 2011-03-31 --reason "price list corrected"
  anabranch backfill retail --view customer --from 2011-03-01 --to 2011-03-31 --reason "audit"
  anabranch backfill plan retail --from 2011-03-01 --to 2011-03-31
  anabranch backfill retail --from 2011-03-01 --to 2011-03-31 --reason "a try" --dry-run --sample 5
  anabranch backfill pause backfill-retail-all-2011-03-01-2011-03-31-x --reason "month-end load"`,
		Args: exactly(1, "a pipeline"),
		RunE: a.run(func(c *cobra.Command, args []string, cl *client.Client, p *printer) error {
			req.By = me()
			return startRun(c, cl, p, detach, "/v1/pipelines/"+url.PathEscape(args[0])+"/backfills", req)
		}),
	}
	a.flags(c)
	c.Flags().StringVar(&req.View, "view", "", "only this view; all when not given")
	c.Flags().StringVar(&req.From, "from", "", "first event day, YYYY-MM-DD")
	c.Flags().StringVar(&req.To, "to", "", "last event day, YYYY-MM-DD")
	c.Flags().StringVar(&req.Reason, "reason", "", "why, kept with the version it publishes")
	c.Flags().StringVar(&req.Key, "key", "", "name of this run, for schedulers: one key, one run")
	c.Flags().IntVar(&req.Parallel, "parallel", 0, "units that may run at once; 0: the server's default")
	c.Flags().StringVar(&req.OnFailure, "on-failure", "wait", "when a unit fails for good: wait for a retry, or fail")
	c.Flags().BoolVar(&req.Approve, "approval", false, "compare and wait for an approval, also where the pipeline's policy would publish")
	c.Flags().BoolVar(&req.DryRun, "dry-run", false, "compute and compare, and publish nothing")
	c.Flags().IntVar(&req.Sample, "sample", 0, "of a dry run: only so many of the days, spread evenly")
	c.Flags().BoolVar(&detach, "detach", false, "start it and do not wait")
	for _, f := range []string{"from", "to", "reason"} {
		_ = c.MarkFlagRequired(f)
	}
	c.AddCommand(newPlanBackfill(), newShowRun(),
		newTell(workflows.PauseUpdate, "Give out nothing more; units that run may end"),
		newTell(workflows.ResumeUpdate, "Go on after a pause"),
		newTell(workflows.CancelUpdate, "End a run when its units have stopped; nothing is published"),
		newTell(workflows.ParallelUpdate, "Change how many units may run at once"),
		newTell(workflows.RetryUpdate, "Take up again what failed, and only that"),
		newTell(workflows.ApproveUpdate, "Publish what the comparison shows"),
		newTell(workflows.RejectUpdate, "End a run without publishing what its comparison shows"),
	)
	return c
}

// newTell makes a command that gives an instruction to a run.
func newTell(instruction, short string) *cobra.Command {
	var a asking
	in := workflows.Instruction{}
	use, wants, what := instruction+" RUN --reason TEXT", 1, "a run"
	if instruction == workflows.ParallelUpdate {
		use, wants, what = instruction+" RUN UNITS --reason TEXT", 2, "a run and a number of units"
	}
	c := &cobra.Command{
		Use: use, Short: short, Args: exactly(wants, what),
		RunE: a.run(func(c *cobra.Command, args []string, cl *client.Client, p *printer) error {
			in.By = me()
			if wants == 2 {
				n, err := strconv.Atoi(args[1])
				if err != nil {
					return fault.New(fault.Invalid, "%q is no number of units", args[1])
				}
				in.Parallel = n
			}
			var r api.Run
			if err := cl.JSON(c.Context(), http.MethodPost, runPath(args[0], instruction), in, &r); err != nil {
				return err
			}
			return p.value(r, []string{"run", "state", "phase", "done", "total"},
				[][]string{{r.ID, r.Answer, r.Phase, strconv.Itoa(r.Done), strconv.Itoa(r.Total)}})
		}),
	}
	a.flags(c)
	c.Flags().StringVar(&in.Reason, "reason", "", "why, kept in the run's history")
	if instruction == workflows.ApproveUpdate {
		c.Flags().StringVar(&in.Digest, "digest", "", "of the comparison that was read, or its first 8 digits; `anabranch backfill show` tells it")
		_ = c.MarkFlagRequired("digest")
	}
	_ = c.MarkFlagRequired("reason")
	return c
}

func runPath(id string, more ...string) string {
	path := "/v1/runs/" + url.PathEscape(id)
	for _, m := range more {
		path += "/" + url.PathEscape(m)
	}
	return path
}

func newPlanBackfill() *cobra.Command {
	var a asking
	q := url.Values{}
	var view, from, to string
	c := &cobra.Command{
		Use:   "plan PIPELINE [--from DAY] [--to DAY] [--view VIEW]",
		Short: "Say what a backfill would read and compute, and about how long that takes",
		Long: `Say what a backfill would read and compute, and do nothing. The time is what
earlier runs took for as much; when none was measured,
anabranch backfill --dry-run --sample 5 measures.`,
		Args: exactly(1, "a pipeline"),
		RunE: a.run(func(c *cobra.Command, args []string, cl *client.Client, p *printer) error {
			for name, value := range map[string]string{"view": view, "from": from, "to": to} {
				if value != "" {
					q.Set(name, value)
				}
			}
			var e batch.Estimate
			if err := cl.JSON(c.Context(), http.MethodGet, "/v1/pipelines/"+url.PathEscape(args[0])+"/backfills/plan?"+q.Encode(), nil, &e); err != nil {
				return err
			}
			for _, w := range e.Warnings {
				fmt.Fprintln(c.ErrOrStderr(), "beware:", w)
			}
			about := "not known"
			if e.Runs > 0 {
				about = batch.About(e.Seconds).String()
			}
			n := func(n int) string { return strconv.Itoa(n) }
			return p.value(e, []string{"from", "to", "days", "events", "bytes", "files", "units", "results", "views", "takes_about", "events_a_second"}, [][]string{{
				e.From, e.To, n(e.Days), strconv.FormatInt(e.Rows, 10), strconv.FormatInt(e.Bytes, 10), n(e.Files), n(e.Units), n(e.Results),
				strings.Join(e.Views, " "), about, strconv.FormatFloat(e.Rate, 'f', 0, 64),
			}})
		}),
	}
	a.flags(c)
	c.Flags().StringVar(&view, "view", "", "only this view; all when not given")
	c.Flags().StringVar(&from, "from", "", "first event day, YYYY-MM-DD; the first there is when not given")
	c.Flags().StringVar(&to, "to", "", "last event day, YYYY-MM-DD; the last there is when not given")
	return c
}

func newShowRun() *cobra.Command {
	var a asking
	c := &cobra.Command{
		Use:   "show RUN",
		Short: "Show how a run stands, what failed in it, and what it was told",
		Args:  exactly(1, "a run"),
		RunE: a.run(func(c *cobra.Command, args []string, cl *client.Client, p *printer) error {
			var r api.Run
			if err := cl.JSON(c.Context(), http.MethodGet, runPath(args[0]), nil, &r); err != nil {
				return err
			}
			if p.format != "table" {
				return p.value(r, []string{"run", "kind", "state", "phase", "done", "total", "rows"}, [][]string{
					{r.ID, r.Kind, r.State, r.Phase, strconv.Itoa(r.Done), strconv.Itoa(r.Total), strconv.FormatInt(r.Rows, 10)}})
			}
			fmt.Fprint(c.OutOrStdout(), describe(r), advice(r))
			return nil
		}),
	}
	a.flags(c)
	return c
}

// describe says how a run stands.
func describe(r api.Run) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %s", r.ID, r.State)
	p := r.Progress
	if p == nil {
		fmt.Fprintf(&b, ", and no worker says more\n")
		return b.String()
	}
	if r.State == "running" && p.State != "running" {
		fmt.Fprintf(&b, ", %s", p.State)
	}
	if r.Error != "" {
		fmt.Fprintf(&b, ": %s", r.Error)
	} else if p.Note != "" {
		fmt.Fprintf(&b, ": %s", p.Note)
	}
	fmt.Fprintf(&b, "\n%s, %d of %d units, %d rows", p.Phase, p.Done, p.Total, p.Rows)
	if p.Rate > 0 {
		fmt.Fprintf(&b, ", %.0f a second", p.Rate)
	}
	if p.Remaining > 0 {
		fmt.Fprintf(&b, ", %s more to read", (time.Duration(p.Remaining) * time.Second).String())
	}
	if r.State == "running" {
		fmt.Fprintf(&b, "; %d running, at most %d at once", p.Running, p.Parallel)
		if p.Share > 0 {
			fmt.Fprintf(&b, ", slowed to %.0f %% of the time, as events come first", 100*p.Share)
		}
	}
	b.WriteByte('\n')
	for _, f := range p.Failed {
		fmt.Fprintf(&b, "failed (%s): %s %s: %s\n", f.Kind, f.Phase, f.Label, f.Error)
	}
	if e := p.Estimate; e != nil {
		fmt.Fprintf(&b, "all there is: %s\n", e.Text())
		for _, w := range e.Warnings {
			fmt.Fprintf(&b, "beware: %s\n", w)
		}
	}
	if p.Review != nil {
		fmt.Fprintf(&b, "\ncompared with version %d, digest %s, policy %s\n\n%s\n", p.Review.Old, p.Review.Digest, p.Review.Policy, p.Review.Markdown)
	}
	for _, act := range p.Acts {
		fmt.Fprintf(&b, "%s  %s\n", act.At.Local().Format("2006-01-02 15:04:05"), act)
	}
	if r.UI != "" {
		fmt.Fprintln(&b, r.UI)
	}
	return b.String()
}

// advice says what a run waits for, and how to give it that.
func advice(r api.Run) string {
	if r.Progress == nil || r.Progress.Waits == "" {
		return ""
	}
	p := r.Progress
	if p.Waits == workflows.ApproveUpdate && p.Review != nil {
		return fmt.Sprintf("it wants an approval: %s\nread `anabranch backfill show %s`, then: anabranch backfill approve %[2]s --digest %.8s --reason TEXT, or reject\n", p.Ask, r.ID, p.Review.Digest)
	}
	return fmt.Sprintf("it goes on after: anabranch backfill %s %s --reason TEXT\n", p.Waits, r.ID)
}
