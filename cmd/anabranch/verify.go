package main

import (
	"fmt"
	"io"
	"net/http"
	"strconv"

	"github.com/spf13/cobra"

	"anabranch/cmd/anabranch/api"
	"anabranch/cmd/anabranch/client"
)

func newVerify() *cobra.Command {
	var a asking
	c := &cobra.Command{
		Use:   "verify PIPELINE",
		Short: "Compare every view with its own SELECT over the raw events, exactly",
		Long: `Verify runs every view's own SELECT in DuckDB over the raw events, deduplicated
by the rule, and compares the outcome with the merged answer at one cut:
integers, decimals, min, max and exact distinct must be equal; sketches and sums
of floats must be within their stated error. It exits 1 and prints differing
rows on any difference.`,
		Example: "  anabranch verify retail",
		Args:    exactly(1, "a pipeline"),
		RunE: a.run(func(c *cobra.Command, args []string, cl *client.Client, p *printer) error {
			var v api.Verification
			if err := cl.JSON(c.Context(), http.MethodPost, "/v1/pipelines/"+args[0]+"/verify", struct{}{}, &v); err != nil {
				return err
			}
			rows := make([][]string, len(v.Views))
			for i, r := range v.Views {
				state := "equal"
				if r.Differ > 0 {
					state = strconv.FormatInt(r.Differ, 10) + " rows differ"
				}
				rows[i] = []string{r.View, strconv.FormatInt(r.Rows, 10), state, r.Note}
			}
			if err := p.value(v, []string{"view", "rows", "outcome", "note"}, rows); err != nil {
				return err
			}
			if a.output == "table" {
				fmt.Fprintf(c.ErrOrStderr(), "%d raw events, %d distinct, at %s, in %.1f s\n", v.Events, v.Distinct, v.At, v.Seconds)
			}
			if v.Equal {
				return nil
			}
			printDifferences(c.ErrOrStderr(), v)
			return errDiffers
		}),
	}
	a.flags(c)
	return c
}

func printDifferences(out io.Writer, v api.Verification) {
	for _, r := range v.Views {
		if r.Differ == 0 {
			continue
		}
		fmt.Fprintf(out, "%s.%s %v\n", v.Pipeline, r.View, r.Columns)
		for _, row := range r.Merged {
			fmt.Fprintf(out, "  merged: %v\n", row)
		}
		for _, row := range r.Raw {
			fmt.Fprintf(out, "  raw:    %v\n", row)
		}
	}
}
