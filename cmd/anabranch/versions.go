package main

import (
	"fmt"
	"net/http"
	"net/url"
	"strconv"

	"github.com/spf13/cobra"

	"anabranch/batch"
	"anabranch/cmd/anabranch/api"
	"anabranch/cmd/anabranch/client"
	"anabranch/fault"
)

func newVersions() *cobra.Command {
	c := &cobra.Command{
		Use:   "versions",
		Short: "What batch has published: list, compare, promote, roll back",
		Args:  cobra.NoArgs,
		RunE:  func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(newVersionsList(), newVersionsShow(), newVersionsDiff(), newVersionsPromote(), newVersionsRollback())
	return c
}

func versionsPath(pipeline string, more ...string) string {
	path := "/v1/pipelines/" + url.PathEscape(pipeline) + "/versions"
	for _, m := range more {
		path += "/" + url.PathEscape(m)
	}
	return path
}

func newVersionsList() *cobra.Command {
	var a asking
	limit := 20
	c := &cobra.Command{
		Use: "ls PIPELINE", Aliases: []string{"list"},
		Short: "List the newest versions",
		Args:  exactly(1, "a pipeline"),
		RunE: a.run(func(c *cobra.Command, args []string, cl *client.Client, p *printer) error {
			var out api.Versions
			if err := cl.JSON(c.Context(), http.MethodGet, versionsPath(args[0])+"?limit="+strconv.Itoa(limit), nil, &out); err != nil {
				return err
			}
			var rows [][]string
			for _, v := range out.Versions {
				rows = append(rows, []string{
					strconv.FormatUint(v.Version, 10), v.Kind, strconv.FormatUint(v.Barrier, 10), v.Created.Local().Format("2006-01-02 15:04:05"),
					strconv.FormatInt(v.Counted, 10), v.By, v.Reason,
				})
			}
			return p.value(out, []string{"version", "kind", "barrier", "published", "counted", "by", "reason"}, rows)
		}),
	}
	a.flags(c)
	c.Flags().IntVar(&limit, "limit", limit, "how many")
	return c
}

func newVersionsShow() *cobra.Command {
	var a asking
	c := &cobra.Command{
		Use:   "show PIPELINE VERSION",
		Short: "Show which version of which view a version holds, and which answers",
		Args:  exactly(2, "a pipeline and a version"),
		RunE: a.run(func(c *cobra.Command, args []string, cl *client.Client, p *printer) error {
			var v api.Version
			if err := cl.JSON(c.Context(), http.MethodGet, versionsPath(args[0], args[1]), nil, &v); err != nil {
				return err
			}
			var rows [][]string
			for _, f := range v.Views {
				answers := "held"
				switch {
				case f.Answers:
					answers = "answers"
				case f.Canary > 0:
					answers = fmt.Sprintf("canary %g %%", f.Canary)
				}
				rows = append(rows, []string{f.View, f.Version, answers, strconv.FormatInt(f.Groups, 10), strconv.Itoa(f.Days), strconv.FormatInt(f.Bytes, 10)})
			}
			return p.value(v, []string{"view", "view_version", "state", "groups", "days", "bytes"}, rows)
		}),
	}
	a.flags(c)
	return c
}

func newVersionsDiff() *cobra.Command {
	var a asking
	c := &cobra.Command{
		Use:   "diff PIPELINE [FROM] TO",
		Short: "Compare two versions cell by cell; one version with the one before it",
		Long: `Compare two published versions of a pipeline's views cell by cell. The exit code
is 1 when they differ.`,
		Example: `  anabranch versions diff retail 17
  anabranch versions diff retail 12 17 -o json`,
		Args: func(c *cobra.Command, args []string) error {
			if len(args) == 3 {
				return nil
			}
			return exactly(2, "a pipeline and one or two versions")(c, args)
		},
		RunE: a.run(func(c *cobra.Command, args []string, cl *client.Client, p *printer) error {
			path := versionsPath(args[0], args[len(args)-1], "diff")
			if len(args) == 3 {
				path += "?from=" + url.QueryEscape(args[1])
			}
			var d api.Difference
			if err := cl.JSON(c.Context(), http.MethodGet, path, nil, &d); err != nil {
				return err
			}
			if p.format == "table" {
				fmt.Fprint(c.OutOrStdout(), d.Markdown)
			} else if err := p.value(d, nil, nil); err != nil {
				return err
			}
			if !d.Equal() {
				return errDiffers
			}
			return nil
		}),
	}
	a.flags(c)
	return c
}

func newVersionsPromote() *cobra.Command {
	var a asking
	var req api.PromoteVersion
	canary := -1.0
	c := &cobra.Command{
		Use:   "promote PIPELINE VIEW",
		Short: "Have the version of a view that its definition declares answer, or another one that is kept",
		Long: `Have a version of a view answer, by one conditional put: the one that the
definition in force declares, or with --version another one that is kept, which
takes a promotion back. With --canary a held version answers a share of the
queries only.`,
		Example: `  anabranch versions promote retail day --canary 10
  anabranch versions promote retail day
  anabranch versions promote retail day --version 1f8be302cc16a94d --reason "returns were missing"`,
		Args: exactly(2, "a pipeline and a view"),
		RunE: a.run(func(c *cobra.Command, args []string, cl *client.Client, p *printer) error {
			req.View, req.By = args[1], me()
			if c.Flags().Changed("canary") {
				if req.Version != "" {
					return fault.New(fault.Invalid, "--canary is about the held version, it takes no --version")
				}
				req.Canary = &canary
			}
			return publish(c, cl, p, versionsPath(args[0], "promote"), req)
		}),
	}
	a.flags(c)
	c.Flags().StringVar(&req.Version, "version", "", "the version of the view; by default the declared one")
	c.Flags().Float64Var(&canary, "canary", 0, "percent of queries that the held version answers; 0 ends it")
	c.Flags().StringVar(&req.Reason, "reason", "", "why, kept with the version it publishes")
	return c
}

func newVersionsRollback() *cobra.Command {
	var a asking
	var req api.Rollback
	c := &cobra.Command{
		Use:   "rollback PIPELINE --to VERSION --reason TEXT",
		Short: "Have the views answer as in an older version, with the events that came since",
		Long: `Have the views answer as they did in an older version, with the events that came
since. Days without new events take their files of then, so that it costs one
conditional put when there were none; the others are computed again.`,
		Example: `  anabranch versions rollback retail --to 16 --reason "wrong price list"`,
		Args:    exactly(1, "a pipeline"),
		RunE: a.run(func(c *cobra.Command, args []string, cl *client.Client, p *printer) error {
			req.By = me()
			return publish(c, cl, p, versionsPath(args[0], "rollback"), req)
		}),
	}
	a.flags(c)
	c.Flags().Uint64Var(&req.To, "to", 0, "the version to go back to")
	c.Flags().StringVar(&req.View, "view", "", "only this view; all when not given")
	c.Flags().StringVar(&req.Reason, "reason", "", "why, kept with the version it publishes")
	c.Flags().StringVar(&req.Key, "key", "", "name of this rollback: one key, one rollback")
	for _, f := range []string{"to", "reason"} {
		_ = c.MarkFlagRequired(f)
	}
	return c
}

// publish asks for a new version and shows it.
func publish(c *cobra.Command, cl *client.Client, p *printer, path string, req any) error {
	var out batch.Published
	if err := cl.JSON(c.Context(), http.MethodPost, path, req, &out); err != nil {
		return err
	}
	if out.Already {
		fmt.Fprintln(c.ErrOrStderr(), "it is so already")
	}
	return p.value(out, []string{"version", "barrier"}, [][]string{{strconv.FormatUint(out.Version, 10), strconv.FormatUint(out.K, 10)}})
}
