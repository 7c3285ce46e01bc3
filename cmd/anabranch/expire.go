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

func newExpire() *cobra.Command {
	var a asking
	var req api.StartExpire
	var detach bool
	c := &cobra.Command{
		Use:   "expire PIPELINE [--dry-run]",
		Short: "Forget what the pipeline's retention no longer wants, or say what that would be",
		Long: `Expire forgets what batch.retention in pipeline.yaml no longer wants, as a Temporal
workflow: raw events (segments and the day files made of them), old versions,
differing cells of comparisons, and pages of releases. --dry-run says what would
go, how much, and why, and changes nothing.

What views have of expired events stays, and late events are still added to
their days; a backfill that asks for such days is refused. Id runs stay for
ever: a copy of an expired event is still known as one. Nothing goes that a
version needs which a rollback may go back to.`,
		Example: `  anabranch expire retail --dry-run
  anabranch expire retail --reason "the quarter is closed"`,
		Args: exactly(1, "a pipeline"),
		RunE: a.run(func(c *cobra.Command, args []string, cl *client.Client, p *printer) error {
			req.By = me()
			return waiting{wait: true, detach: detach, row: expireRow}.startRun(c, cl, p, "/v1/pipelines/"+url.PathEscape(args[0])+"/expiries", req)
		}),
	}
	a.flags(c)
	c.Flags().BoolVar(&req.DryRun, "dry-run", false, "say what would go, and change nothing")
	startFlags(c, &req.Reason, &req.Key, &detach)
	return c
}

// expireRow is what went, in a row; the kinds of it are told.
func expireRow(r api.Run, out io.Writer) (columns, row []string) {
	columns, row = []string{"run", "state", "version", "objects", "bytes"}, []string{r.ID, r.State, "", "", ""}
	e := r.Expired
	if e == nil {
		return columns, row
	}
	what := "gone"
	if e.Dry {
		what = "would go"
	}
	for _, k := range e.Kinds {
		fmt.Fprintf(out, "%s: %d %s, %d bytes: %s\n", what, k.Objects, k.Kind, k.Bytes, k.Why)
		for _, name := range k.Names {
			fmt.Fprintf(out, "  %s\n", name)
		}
		if more := k.Objects - len(k.Names); more > 0 {
			fmt.Fprintf(out, "  and %d more\n", more)
		}
	}
	for _, why := range e.Kept {
		fmt.Fprintf(out, "kept though it is old: %s\n", why)
	}
	return columns, []string{r.ID, r.State, strconv.FormatUint(e.Version, 10), strconv.Itoa(e.Objects), strconv.FormatInt(e.Bytes, 10)}
}
