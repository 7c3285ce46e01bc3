package main

import (
	"fmt"
	"net/http"
	"strconv"

	"github.com/spf13/cobra"

	"anabranch/batch"
	"anabranch/cmd/anabranch/api"
	"anabranch/cmd/anabranch/client"
	"anabranch/workflows"
)

func newCanary() *cobra.Command {
	c := &cobra.Command{
		Use:   "canary",
		Short: "Changed views that are judged beside the ones that answer: show, promote, roll back",
		Long: `A canary is started by anabranch apply FOLDER --canary PERCENT. It ends by
itself: beyond the bound of batch.canary the new version is rolled back, and
within it for the time and the number of comparisons there it is promoted.`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(newShowCanary(),
		newTellCanary(workflows.PromoteUpdate, "Have the new version answer now, whatever the comparison says"),
		newTellCanary(workflows.RollBackUpdate, "End it: the version of before goes on answering"))
	return c
}

func newShowCanary() *cobra.Command {
	var a asking
	c := &cobra.Command{
		Use:   "show RUN",
		Short: "Show how each view of a canary stands, and how it compares. The exit code is 1 when one was rolled back",
		Args:  exactly(1, "a run, such as canary-retail-apply-2-1f8be302"),
		RunE: a.run(func(c *cobra.Command, args []string, cl *client.Client, p *printer) error {
			var r api.Run
			if err := cl.JSON(c.Context(), http.MethodGet, runPath(args[0]), nil, &r); err != nil {
				return err
			}
			return showCanary(c, p, r)
		}),
	}
	a.flags(c)
	return c
}

func newTellCanary(instruction, short string) *cobra.Command {
	var a asking
	var in workflows.Instruction
	c := &cobra.Command{
		Use: instruction + " RUN --reason TEXT", Short: short, Args: exactly(1, "a run"),
		RunE: a.run(func(c *cobra.Command, args []string, cl *client.Client, p *printer) error {
			in.By = me()
			var r api.Run
			if err := cl.JSON(c.Context(), http.MethodPost, runPath(args[0], instruction), in, &r); err != nil {
				return err
			}
			return p.value(r, []string{"run", "answer"}, [][]string{{r.ID, r.Answer}})
		}),
	}
	a.flags(c)
	c.Flags().StringVar(&in.View, "view", "", "one view; all that are not decided when not given")
	c.Flags().StringVar(&in.Reason, "reason", "", "why, kept in the run's history")
	_ = c.MarkFlagRequired("reason")
	return c
}

// showCanary shows a canary to a person.
func showCanary(c *cobra.Command, p *printer, r api.Run) error {
	var views []workflows.CanaryState
	if r.Progress != nil {
		views = r.Progress.Canary
	}
	var over error
	if r.Canary != nil {
		if len(views) == 0 {
			views = r.Canary.Views
		}
		if len(r.Canary.RolledBack) > 0 {
			over = errDiffers
		}
	}
	var rows [][]string
	for _, v := range views {
		groups, differ := "", ""
		if j := v.Last; j != nil && j.State == batch.Held {
			groups, differ = strconv.FormatInt(j.Groups, 10), strconv.FormatInt(j.Changed+j.Added+j.Removed, 10)
		}
		rows = append(rows, []string{v.View, v.Version, v.State, fmt.Sprintf("%g %%", v.Share), strconv.Itoa(v.Within), groups, differ, v.Note})
	}
	if err := p.value(r, []string{"view", "version", "state", "queries", "within", "groups", "differ", "why"}, rows); err != nil {
		return err
	}
	if p.format != "table" {
		return over
	}
	out := c.OutOrStdout()
	for _, v := range views {
		if j := v.Last; j != nil && j.Markdown != "" {
			fmt.Fprintf(out, "\n%s, in version %d", v.View, j.Manifest)
			if j.At != "" {
				fmt.Fprintf(out, " and the log up to %s", j.At)
			}
			fmt.Fprintf(out, "\n\n%s%s\n", j.Markdown, j.Note)
		}
	}
	if r.Progress != nil {
		for _, act := range r.Progress.Acts {
			fmt.Fprintf(out, "%s  %s\n", act.At.Local().Format("2006-01-02 15:04:05"), act)
		}
	}
	fmt.Fprintf(out, "\n%s: %s", r.ID, r.State)
	if r.Error != "" {
		fmt.Fprintf(out, ": %s", r.Error)
	}
	fmt.Fprintln(out)
	if r.UI != "" {
		fmt.Fprintln(out, r.UI)
	}
	return over
}
