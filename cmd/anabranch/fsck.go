package main

import (
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	"anabranch/cmd/anabranch/api"
	"anabranch/cmd/anabranch/server"
)

func newFsck() *cobra.Command {
	var dir, bucket, output string
	var repair bool
	c := &cobra.Command{
		Use:   "fsck",
		Short: "Check every file of a stopped server, and repair what another copy allows",
		Long: `Fsck reads definitions, manifests, every file they mention, segments, dead
letters, snapshots, cached copies and the log of a stopped server, and prints a
line for each thing that is wrong, with what to do. With --bucket it looks at an
object store alone. It exits 0 when all is well (or was repaired), 1 on findings.`,
		Example: "  anabranch fsck --dir .anabranch\n  anabranch fsck --dir .anabranch --repair",
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			p, err := newPrinter(c.OutOrStdout(), output)
			if err != nil {
				return err
			}
			if bucket != "" {
				dir = ""
			}
			found, err := server.Fsck(c.Context(), dir, bucket, repair)
			if err != nil {
				return err
			}
			rows := [][]string{}
			for _, f := range found.Findings {
				todo := f.Todo
				if f.Repaired {
					todo = "repaired"
				}
				rows = append(rows, []string{f.Kind, f.File, f.Problem, todo})
			}
			if len(rows) == 0 && output == "table" {
				fmt.Fprintln(c.ErrOrStderr(), "every file is whole")
				return nil
			}
			if err := p.value(found, []string{"kind", "file", "problem", "what to do"}, rows); err != nil {
				return err
			}
			if slices.ContainsFunc(found.Findings, func(f api.Finding) bool { return !f.Repaired && f.Kind != "orphan" }) {
				return errDiffers
			}
			return nil
		},
	}
	c.Flags().StringVar(&dir, "dir", ".anabranch", "state folder of a stopped server")
	c.Flags().StringVar(&bucket, "bucket", "", "URL of an object store, instead of --dir")
	c.Flags().BoolVar(&repair, "repair", false, "repair what can be repaired from another copy")
	c.Flags().StringVarP(&output, "output", "o", "table", "table, json or csv")
	return c
}
