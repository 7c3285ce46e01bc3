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

func newCompact() *cobra.Command {
	var a asking
	var req api.StartCompact
	var detach bool
	c := &cobra.Command{
		Use:   "compact PIPELINE [--dry-run]",
		Short: "Put the pipeline's small files together, or say which they are",
		Long: `Compact puts small day files of a partition, and small files of states of a view,
together into large ones, as a Temporal workflow: nothing is computed, what was
made is read again and compared with what it was made of, and one conditional
put publishes a version that answers as the one before. Every nightly adds
files, so that a day with late events is read from many; a compaction now and
then, such as once a month, keeps their number small.

Files that are large enough stay, and so do those whose raw events have expired.
A nightly or a backfill that is under way meanwhile plans again when it finds
the new version: start it when none runs. A rollback goes back across it.`,
		Example: `  anabranch compact retail --dry-run
  anabranch compact retail --reason "a year of nightlies"`,
		Args: exactly(1, "a pipeline"),
		RunE: a.run(func(c *cobra.Command, args []string, cl *client.Client, p *printer) error {
			req.By = me()
			return waiting{wait: true, detach: detach, row: compactRow}.startRun(c, cl, p, "/v1/pipelines/"+url.PathEscape(args[0])+"/compactions", req)
		}),
	}
	a.flags(c)
	c.Flags().BoolVar(&req.DryRun, "dry-run", false, "say which files are small, and change nothing")
	c.Flags().IntVar(&req.Parallel, "parallel", 0, "how many units may run at once")
	startFlags(c, &req.Reason, &req.Key, &detach)
	return c
}

// compactRow is what was put together, in a row; the kinds of it are told.
func compactRow(r api.Run, out io.Writer) (columns, row []string) {
	columns, row = []string{"run", "state", "version", "files", "became"}, []string{r.ID, r.State, "", "", ""}
	if r.Compacted == nil {
		return columns, row
	}
	for _, k := range r.Compacted.Kinds {
		fmt.Fprintf(out, "%s: %d of %d are small, %d bytes, and become %d\n", k.Kind, k.Files, k.Of, k.Bytes, k.Into)
	}
	if r.Manifest > 0 {
		row[2] = strconv.FormatUint(r.Manifest, 10)
	}
	files, into := r.Compacted.Files()
	row[3], row[4] = strconv.Itoa(files), strconv.Itoa(into)
	return columns, row
}
