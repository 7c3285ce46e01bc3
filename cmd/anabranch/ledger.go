package main

import (
	"context"
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
	c := &cobra.Command{
		Use:     "ledger PIPELINE",
		Short:   "Where every event is: received = counted + duplicate + filtered + dead-lettered + held + in flight",
		Example: "  anabranch ledger retail",
		Args:    exactly(1, "a pipeline"),
		RunE: a.run(func(c *cobra.Command, args []string, cl *client.Client, p *printer) error {
			l, err := ledgerOf(c.Context(), cl, args[0])
			if err != nil {
				return err
			}
			if err := p.value(l, []string{"account", "events"}, ledgerRows(l)); err != nil {
				return err
			}
			if !l.Balanced {
				return errDiffers
			}
			return nil
		}),
	}
	a.flags(c)
	return c
}

func ledgerOf(ctx context.Context, cl *client.Client, pipeline string) (api.Ledger, error) {
	var l api.Ledger
	err := cl.JSON(ctx, http.MethodGet, "/v1/pipelines/"+pipeline+"/ledger", nil, &l)
	return l, err
}

// settledLedger asks until nothing is in flight any more, ten seconds at most.
func settledLedger(ctx context.Context, cl *client.Client, pipeline string) (api.Ledger, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	for {
		l, err := ledgerOf(ctx, cl, pipeline)
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
