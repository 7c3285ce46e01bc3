package main

import (
	"fmt"
	"io"
	"net/url"
	"strconv"

	"github.com/spf13/cobra"

	"anabranch/cmd/anabranch/api"
	"anabranch/cmd/anabranch/client"
)

func newRestore() *cobra.Command {
	var a asking
	var req api.StartRestore
	var detach bool
	c := &cobra.Command{
		Use:   "restore PIPELINE --as-of RECEIPT|TIME|VERSION --into NAME",
		Short: "Put a pipeline as of a receipt, a time or a version into a pipeline of its own",
		Long: `Restore makes a pipeline of another name, with the definition that is in force, and
puts the events into it that PIPELINE had then, as a Temporal workflow; then a
batch publishes its first version. Its views answer what those of PIPELINE would
have answered. PIPELINE stays as it is: nothing that came later is deleted.

--as-of is a time (those events that gateways had taken by then), a version such
as v12 (what it covers), a cut such as 10,20,30,40 (the next offset of each
partition), or the receipt of a query, as JSON.`,
		Example: `  anabranch restore retail --as-of 2011-09-01T00:00:00Z --into retail_then --reason "what did we know"
  anabranch restore retail --as-of v12 --into retail_v12`,
		Args: exactly(1, "a pipeline"),
		RunE: a.run(func(c *cobra.Command, args []string, cl *client.Client, p *printer) error {
			req.By = me()
			return waiting{wait: true, detach: detach, row: restoredRow}.startRun(c, cl, p, "/v1/pipelines/"+url.PathEscape(args[0])+"/restores", req)
		}),
	}
	a.flags(c)
	c.Flags().StringVar(&req.AsOf, "as-of", "", "a time, a version, a cut, or the receipt of a query")
	c.Flags().StringVar(&req.Into, "into", "", "name of the pipeline to make")
	startFlags(c, &req.Reason, &req.Key, &detach)
	for _, f := range []string{"as-of", "into"} {
		_ = c.MarkFlagRequired(f)
	}
	return c
}

// restoredRow is what was put back, in a row.
func restoredRow(r api.Run, out io.Writer) (columns, row []string) {
	columns, row = []string{"run", "state", "into", "events", "version"}, []string{r.ID, r.State, "", "", ""}
	if d := r.Restored; d != nil {
		fmt.Fprintf(out, "%s has what %s had below %s\n", d.Into, d.Pipeline, d.Cut)
		row = []string{r.ID, r.State, d.Into, strconv.FormatInt(d.Events, 10), strconv.FormatUint(d.Version, 10)}
	}
	return columns, row
}
