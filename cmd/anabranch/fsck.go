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
letters, snapshots, cached copies and the files of the log of a stopped server,
and prints a line for each thing that is wrong: what it means for answers, and
what to do. With --bucket alone it looks at an object store, with --dir beside
it also at the log of the server that used that store. Without --repair nothing
is changed. No program may be using the folder or the store meanwhile.

It exits 0 when all is well or was repaired (files of runs that did not finish
are no fault), 1 when something is left, and otherwise when it could not look.`,
		Example: "  anabranch fsck --dir .anabranch\n  anabranch fsck --dir .anabranch --repair\n  anabranch fsck --bucket s3://events --dir /var/lib/anabranch",
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			p, err := newPrinter(c.OutOrStdout(), output)
			if err != nil {
				return err
			}
			if bucket != "" && !c.Flags().Changed("dir") {
				dir = ""
			}
			found, err := server.Fsck(c.Context(), server.FsckOptions{
				Dir: dir, Bucket: bucket, Repair: repair,
				Progress: func(what string) { fmt.Fprintln(c.ErrOrStderr(), what) },
			})
			if err != nil {
				return err
			}
			rows := [][]string{}
			for _, f := range found.Findings {
				todo := f.Todo
				if f.Repaired {
					todo = "repaired"
				}
				rows = append(rows, []string{f.Kind, f.File, f.Problem, f.Meaning, todo})
			}
			if len(rows) == 0 && output == "table" {
				fmt.Fprintln(c.ErrOrStderr(), "every file is whole")
				return nil
			}
			if err := p.value(found, []string{"kind", "file", "problem", "meaning", "what to do"}, rows); err != nil {
				return err
			}
			if slices.ContainsFunc(found.Findings, func(f api.Finding) bool { return !f.Repaired && f.Kind != "orphan" }) {
				return errDiffers
			}
			return nil
		},
	}
	c.Flags().StringVar(&dir, "dir", ".anabranch", "state folder of a stopped server")
	c.Flags().StringVar(&bucket, "bucket", "", "URL of the object store, when it is not in --dir")
	c.Flags().BoolVar(&repair, "repair", false, "repair what can be repaired from another copy")
	c.Flags().StringVarP(&output, "output", "o", "table", "table, json or csv")
	return c
}
