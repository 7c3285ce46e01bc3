package main

import (
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"anabranch/cmd/anabranch/api"
	"anabranch/cmd/anabranch/client"
	"anabranch/worker"
)

func newDeployment() *cobra.Command {
	c := &cobra.Command{
		Use:   "deployment",
		Short: "A new build of the workers: a share of the runs, all of them, or none",
		Long: `Workers started with --deployment NAME --build ID are of a build. Temporal gives
new runs to the current build, or a share of them to one that is being ramped
up; a run that has begun ends on its build, so its workers must stay until that
is drained. The first build of a deployment gets nothing until it is promoted.`,
		Example: `  anabranch run --role worker --deployment anabranch --build 1.4.0 ...
  anabranch deployment ramp anabranch 1.4.0 --percent 10
  anabranch deployment promote anabranch 1.4.0
  anabranch deployment rollback anabranch`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(
		steerDeployment("ls", "NAME", 1, "List the builds of a deployment and what they get"),
		steerDeployment("ramp", "NAME BUILD --percent N", 2, "Give a share of the new runs to a build"),
		steerDeployment("promote", "NAME BUILD", 2, "Give all new runs to a build; an earlier one takes a promotion back"),
		steerDeployment("rollback", "NAME", 1, "Give nothing more to the build that is being ramped up"),
	)
	return c
}

func steerDeployment(do, use string, wants int, short string) *cobra.Command {
	var a asking
	var in api.SteerDeployment
	c := &cobra.Command{
		Use: do + " " + use, Short: short, Args: exactly(wants, map[int]string{1: "a deployment", 2: "a deployment and a build"}[wants]),
		RunE: a.run(func(c *cobra.Command, args []string, cl *client.Client, p *printer) error {
			path, method := "/v1/deployments/"+url.PathEscape(args[0]), http.MethodGet
			var body any
			if do != "ls" {
				if wants == 2 {
					in.Build = args[1]
				}
				path, method, body = path+"/"+do, http.MethodPost, in
			}
			var out worker.Builds
			if err := cl.JSON(c.Context(), method, path, body, &out); err != nil {
				return err
			}
			var rows [][]string
			for _, b := range out.Builds {
				share := ""
				if b.Share > 0 {
					share = strconv.FormatFloat(float64(b.Share), 'f', -1, 32) + " %"
				}
				rows = append(rows, []string{b.ID, b.State, share, b.Since.Local().Format(time.DateTime)})
			}
			return p.value(out, []string{"build", "state", "share", "since"}, rows)
		}),
	}
	a.flags(c)
	if do == "ramp" {
		c.Flags().Float32Var(&in.Percent, "percent", 0, "of the new runs")
		_ = c.MarkFlagRequired("percent")
	}
	return c
}
