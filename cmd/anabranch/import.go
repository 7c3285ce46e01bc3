package main

import (
	"fmt"
	"io"
	"net/url"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"anabranch/cmd/anabranch/api"
	"anabranch/cmd/anabranch/client"
	"anabranch/fault"
)

func newImport() *cobra.Command {
	var a asking
	var req api.StartImport
	var detach bool
	c := &cobra.Command{
		Use:   "import PIPELINE FROM",
		Short: "Bring files of events in: Parquet, CSV, NDJSON from a folder or a bucket",
		Long: `Import brings the files of a folder or a bucket in, as a Temporal workflow that
goes on by itself when this command is interrupted or a worker dies. The worker
must see the files: a folder is one of its machine.

Events of files are judged by the schema and the rules of today, and counted
once by their ids, like those that are sent: what was sent or imported before
is a duplicate. What is refused becomes a dead letter that names its file and
row. Files are taken in the order of their names, through the last of the
pipeline's lanes, and wait while the server has no room for them.

The format is told by names: .parquet, .csv, .ndjson and .jsonl, also with .gz
or .zst behind. One --key is one import; started again after it failed it goes
on where it stopped. Pause, resume and cancel it as a backfill:
anabranch backfill pause RUN --reason TEXT.`,
		Example: `  anabranch import retail ./history --dry-run
  anabranch import retail ./history --key history-2010
  anabranch import retail 's3://lake/retail/2010/?endpoint=http://s3:7070' --format csv`,
		Args: exactly(2, "a pipeline and a folder or URL"),
		RunE: a.run(func(c *cobra.Command, args []string, cl *client.Client, p *printer) (err error) {
			if req.From, err = fromURL(args[1]); err != nil {
				return err
			}
			req.By = me()
			return waiting{wait: true, detach: detach, row: importRow}.startRun(c, cl, p, "/v1/pipelines/"+url.PathEscape(args[0])+"/imports", req)
		}),
	}
	a.flags(c)
	c.Flags().StringVar(&req.Format, "format", "", "parquet, csv or ndjson, of all files; as their names tell when not given")
	c.Flags().BoolVar(&req.DryRun, "dry-run", false, "judge all events, take none")
	startFlags(c, &req.Reason, &req.Key, &detach)
	return c
}

// fromURL makes a URL of a folder.
func fromURL(from string) (string, error) {
	if strings.Contains(from, "://") {
		return from, nil
	}
	abs, err := filepath.Abs(from)
	if err != nil {
		return "", fault.Wrap(fault.Invalid, err)
	}
	return (&url.URL{Scheme: "file", Path: filepath.ToSlash(abs)}).String(), nil
}

// importRow is what an import came to, in a row; what was refused is told.
func importRow(r api.Run, out io.Writer) (columns, row []string) {
	columns, row = []string{"run", "state", "files", "rows", "accepted", "dead_lettered"}, []string{r.ID, r.State, "", "", "", ""}
	d := r.Imported
	if d == nil {
		return columns, row
	}
	for _, e := range d.Refused {
		fmt.Fprintln(out, formatPlace(api.Place{File: e.File, Line: e.Line, Column: e.Column, Message: e.Code + ": " + e.Message}))
	}
	for _, p := range d.Passed {
		fmt.Fprintf(out, "%s: passed over, its name does not tell a format\n", p)
	}
	n := func(n int64) string { return strconv.FormatInt(n, 10) }
	return columns, []string{r.ID, r.State, n(int64(d.Files)), n(d.Rows), n(d.Accepted), n(d.DeadLettered)}
}
