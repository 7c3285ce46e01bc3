package main

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"anabranch/cmd/anabranch/api"
	"anabranch/cmd/anabranch/client"
	"anabranch/internal/clock"
)

func newLedger() *cobra.Command {
	var a asking
	var bisect bool
	c := &cobra.Command{
		Use:   "ledger PIPELINE",
		Short: "Where every event is: received = counted + duplicate + filtered + dead-lettered + held + in flight",
		Long: `Ledger adds up where every event of a pipeline is. With --bisect it also walks
log, segments and manifests of each partition and names the first offset at
which the rows in the log and what became of them part. It exits 1 when
something does not add up.`,
		Example: "  anabranch ledger retail\n  anabranch ledger retail --bisect",
		Args:    exactly(1, "a pipeline"),
		RunE: a.run(func(c *cobra.Command, args []string, cl *client.Client, p *printer) error {
			query := ""
			if bisect {
				query = "?bisect=true"
			}
			l, err := ledgerOf(c.Context(), cl, args[0], query)
			if err != nil {
				return err
			}
			if err := p.value(l, []string{"account", "events"}, append(ledgerRows(l), partingRows(l.Bisected)...)); err != nil {
				return err
			}
			if !l.Balanced || slices.ContainsFunc(l.Bisected, func(p api.Parting) bool { return !p.Equal }) {
				return errDiffers
			}
			return nil
		}),
	}
	a.flags(c)
	c.Flags().BoolVar(&bisect, "bisect", false, "find where log and counts part, partition by partition")
	return c
}

// ledgerOf asks for the ledger; query is empty or begins with a question mark.
func ledgerOf(ctx context.Context, cl *client.Client, pipeline, query string) (api.Ledger, error) {
	var l api.Ledger
	err := cl.JSON(ctx, http.MethodGet, "/v1/pipelines/"+pipeline+"/ledger"+query, nil, &l)
	return l, err
}

func partingRows(all []api.Parting) [][]string {
	var rows [][]string
	for _, p := range all {
		where := "partition " + strconv.Itoa(p.Partition)
		if p.Partition < 0 {
			where = "all partitions"
		}
		if p.Equal {
			rows = append(rows, []string{where, "equal"})
			continue
		}
		rows = append(rows, []string{where, fmt.Sprintf("PARTS at offset %d (below %d): %d rows, %d accounted for; %s: %s", p.Offset, p.Below, p.Rows, p.Accounted, p.Where, p.Reason)})
	}
	return rows
}

// settledLedger asks until nothing is in flight any more, ten seconds at most.
func settledLedger(ctx context.Context, cl *client.Client, pipeline string) (api.Ledger, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	for {
		l, err := ledgerOf(ctx, cl, pipeline, "")
		if err != nil || l.InFlight == 0 {
			return l, err
		}
		select {
		case <-ctx.Done():
			return l, nil
		case <-clock.Wall.After(50 * time.Millisecond):
		}
	}
}

func ledgerRows(l api.Ledger) [][]string {
	n := func(v int64) string { return strconv.FormatInt(v, 10) }
	rows := [][]string{{"received", n(l.Received)}, {"counted", n(l.Counted)}, {"duplicate", n(l.Duplicate)}}
	for _, code := range slices.Sorted(maps.Keys(l.Filtered)) {
		rows = append(rows, []string{"filtered: " + code, n(l.Filtered[code])})
	}
	for _, code := range slices.Sorted(maps.Keys(l.DeadLettered)) {
		rows = append(rows, []string{"dead-lettered: " + code, n(l.DeadLettered[code])})
	}
	state := "balanced"
	if !l.Balanced {
		state = "OUT OF BALANCE"
	}
	return append(rows, []string{"held", n(l.Held)}, []string{"in flight", n(l.InFlight)}, []string{state, n(l.Imbalance)})
}
