package main

import (
	"fmt"

	"github.com/spf13/cobra"
)

func newExplain() *cobra.Command {
	var t target
	c := &cobra.Command{
		Use:     "explain SQL",
		Short:   "Say where the rows of a query come from: versions, files, bytes, and what speed adds",
		Example: `  anabranch explain "SELECT * FROM retail.country_day WHERE country = 'France'"`,
		Args:    exactly(1, "one SQL text"),
		RunE: func(c *cobra.Command, args []string) error {
			cl, err := t.client()
			if err != nil {
				return err
			}
			q := querying{client: cl, out: c.OutOrStdout(), err: c.ErrOrStderr(), format: "table"}
			if err = q.run(c.Context(), "EXPLAIN "+args[0]); err != nil && c.Context().Err() == nil {
				fmt.Fprint(q.err, marked("EXPLAIN "+args[0], err))
			}
			return err
		},
	}
	t.flags(c)
	return c
}
