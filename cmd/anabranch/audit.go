package main

import (
	"fmt"
	"io"
	"net/url"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"anabranch/cmd/anabranch/api"
	"anabranch/cmd/anabranch/client"
	"anabranch/fault"
)

func newAudit() *cobra.Command {
	var a asking
	var req api.StartAudit
	var detach bool
	c := &cobra.Command{
		Use:   "audit PIPELINE [--days N | --from DAY --to DAY]",
		Short: "Compute event days again from the raw events and compare what is served, cell by cell",
		Long: `Audit computes event days of the newest version again, from the archive's
segments, as a Temporal workflow, and compares: how many events each day counts,
the states of each view and day, and every cell of the results these days go
into. Neither day files nor id runs take part. Days are chosen at random, or
given. It exits 1 and names the cells that differ; people are called too, where
the server has receivers of alerts.

"anabranch verify" compares everything, the speed layer too, with DuckDB; an
audit is for pipelines where that takes too long, and runs by itself where
pipeline.yaml says batch.audit.`,
		Example: `  anabranch audit retail
  anabranch audit retail --days 30 --seed 7
  anabranch audit retail --from 2011-03-01 --to 2011-03-31`,
		Args: exactly(1, "a pipeline"),
		RunE: a.run(func(c *cobra.Command, args []string, cl *client.Client, p *printer) error {
			if req.Days < 0 {
				return fault.New(fault.Invalid, "--days %d: want a number above zero", req.Days)
			}
			req.By = me()
			return waiting{wait: true, detach: detach, row: auditRow}.startRun(c, cl, p, "/v1/pipelines/"+url.PathEscape(args[0])+"/audits", req)
		}),
	}
	a.flags(c)
	c.Flags().IntVar(&req.Days, "days", 0, "so many event days, chosen at random; 3 when no day is given")
	c.Flags().StringVar(&req.From, "from", "", "first event day, YYYY-MM-DD")
	c.Flags().StringVar(&req.To, "to", "", "last event day, YYYY-MM-DD")
	c.Flags().Uint64Var(&req.Seed, "seed", 0, "chooses the days: one seed, the same days; 0: one of its own, which it tells")
	startFlags(c, &req.Reason, &req.Key, &detach)
	return c
}

// auditRow is what an audit came to; cells that differ are told.
func auditRow(r api.Run, out io.Writer) (columns, row []string) {
	columns, row = []string{"run", "state", "version", "days", "events", "groups", "differ", "seed"}, []string{r.ID, r.State, "", "", "", "", "", ""}
	d := r.Audit
	if d == nil {
		return columns, row
	}
	if d.Version == 0 {
		fmt.Fprintln(out, "nothing was published yet: there is nothing to audit")
	}
	for _, c := range d.Drifts {
		fmt.Fprintf(out, "%s: %s %s: %s: served %s, recomputed %s\n", c.Where, c.View, strings.Join(c.Group, ", "), c.Column, none(c.Served), none(c.Recomputed))
	}
	for view, why := range d.Skipped {
		fmt.Fprintf(out, "not audited: %s: %s\n", view, why)
	}
	n := func(v int64) string { return strconv.FormatInt(v, 10) }
	return columns, []string{r.ID, r.State, strconv.FormatUint(d.Version, 10), fmt.Sprintf("%d of %d", d.Days, d.Of), n(d.Counted), n(d.Groups), n(d.Drifted), strconv.FormatUint(d.Seed, 10)}
}

func none(s string) string {
	if s == "" {
		return "nothing"
	}
	return s
}
