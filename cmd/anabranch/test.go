package main

import (
	"fmt"
	"io"
	"os"
	"path"
	"time"

	"github.com/spf13/cobra"

	"anabranch/cmd/anabranch/pipetest"
	"anabranch/fault"
	"anabranch/schemas"
)

func newTest() *cobra.Command {
	return &cobra.Command{
		Use:   "test FOLDER",
		Short: "Run the tests of a pipeline's folder, without a server",
		Long: `Test runs tests/*.yaml of a pipeline's folder: each gives events to the pipeline
and says which rows the views must then have and which events must be dead
letters. All parts run in this process with storage in memory; "batch: between"
and "batch: after" run a batch on the way, and the outcome must be the same.
It exits 1 when an expectation does not hold, 2 on a mistake in a file.`,
		Example: "  anabranch test examples/retail",
		Args:    exactly(1, "a folder"),
		RunE: func(c *cobra.Command, args []string) error {
			folder := args[0]
			files, err := readFolder(folder)
			if err != nil {
				return err
			}
			fsys := os.DirFS(folder)
			def, err := schemas.ReadDefinition(fsys)
			if err != nil {
				return err
			}
			tests, err := schemas.ReadTests(fsys, def)
			if err != nil {
				return err
			}
			if len(tests) == 0 {
				return fault.New(fault.Invalid, "%s has no tests: write %s", folder, path.Join(folder, "tests", "first.yaml"))
			}
			failed := 0
			for _, t := range tests {
				began := time.Now()
				out, err := pipetest.Run(c.Context(), fsys, files, t)
				if err != nil {
					return err
				}
				printOutcome(c.OutOrStdout(), out, time.Since(began))
				if len(out.Diff) > 0 {
					failed++
				}
			}
			if failed > 0 {
				fmt.Fprintf(c.OutOrStdout(), "%d of %d tests failed\n", failed, len(tests))
				return errDiffers
			}
			return nil
		},
	}
}

func printOutcome(w io.Writer, out pipetest.Outcome, took time.Duration) {
	state := "ok    "
	if len(out.Diff) > 0 {
		state = "FAILED"
	}
	fmt.Fprintf(w, "%s  %s: %s (%.1f s)\n", state, path.Base(out.Test.File), out.Test.Name, took.Seconds())
	for _, line := range out.Diff {
		fmt.Fprintf(w, "  %s\n", line)
	}
}
