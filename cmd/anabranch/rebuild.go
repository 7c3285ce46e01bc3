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

func newRebuildSpeed() *cobra.Command {
	var a asking
	var req api.StartRebuild
	var detach bool
	c := &cobra.Command{
		Use:   "rebuild-speed PIPELINE",
		Short: "Throw the speed layer's states and snapshots away and fold them again from archive and log",
		Long: `Rebuild-speed throws the states and the snapshots of the speed layer away, when
they are lost or distrusted, and folds them again as a Temporal workflow: from the
newest cut on, from the log, and where that was trimmed above the cut, from the
archive's segments. Then it compares every view with its own SELECT over the raw
events, as verify does, and exits 1 when something differs. Queries wait
meanwhile; events are taken.`,
		Example: `  anabranch rebuild-speed retail --reason "the disk was replaced"`,
		Args:    exactly(1, "a pipeline"),
		RunE: a.run(func(c *cobra.Command, args []string, cl *client.Client, p *printer) error {
			req.By = me()
			return waiting{wait: true, detach: detach, row: rebuiltRow}.startRun(c, cl, p, "/v1/pipelines/"+url.PathEscape(args[0])+"/speed/rebuilds", req)
		}),
	}
	a.flags(c)
	startFlags(c, &req.Reason, &req.Key, &detach)
	return c
}

// rebuiltRow is what a rebuild came to; how it was compared is told.
func rebuiltRow(r api.Run, out io.Writer) (columns, row []string) {
	columns, row = []string{"run", "state", "from", "to", "events", "seconds"}, []string{r.ID, r.State, "", "", "", ""}
	b := r.Rebuilt
	if b == nil {
		return columns, row
	}
	fmt.Fprintf(out, "%s, at %s\n", b.Checked, b.At)
	for view, n := range b.Views {
		if n > 0 {
			fmt.Fprintf(out, "%s: %d rows differ\n", view, n)
		}
	}
	return columns, []string{r.ID, r.State, b.From, b.To, strconv.FormatInt(b.Events, 10), strconv.FormatFloat(b.Seconds, 'f', 1, 64)}
}
