package main

import (
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"anabranch/cmd/anabranch/api"
	"anabranch/cmd/anabranch/client"
	"anabranch/fault"
	"anabranch/schemas"
)

// target is where a command finds its server.
type target struct {
	server, dir string
}

func (t *target) flags(c *cobra.Command) {
	c.Flags().StringVar(&t.dir, "dir", ".anabranch", "folder of a running `anabranch dev`, which holds addresses.json")
	c.Flags().StringVar(&t.server, "server", "", "URL of a server, instead of --dir")
}

func (t *target) client() (*client.Client, error) { return client.Find(t.server, t.dir) }

// asking is what commands share that ask a server and print what it answers.
type asking struct {
	target
	output string
}

func (a *asking) flags(c *cobra.Command) {
	a.target.flags(c)
	c.Flags().StringVarP(&a.output, "output", "o", "table", "table, json or csv")
}

// run makes a command's RunE of fn, which gets the server and the printer.
func (a *asking) run(fn func(c *cobra.Command, args []string, cl *client.Client, p *printer) error) func(*cobra.Command, []string) error {
	return func(c *cobra.Command, args []string) error {
		p, err := newPrinter(c.OutOrStdout(), a.output)
		if err != nil {
			return err
		}
		cl, err := a.client()
		if err != nil {
			return err
		}
		return fn(c, args, cl, p)
	}
}

// newRoot returns the command tree, and whether some command has begun to run:
// an error before that is one of the command line.
func newRoot() (root *cobra.Command, began *bool) {
	began = new(bool)
	root = &cobra.Command{
		Use:   "anabranch",
		Short: "Exact views over a stream: one definition, two layers, one answer",
		Long: `Anabranch keeps views (aggregates by key and time) over a stream of events.
Speed folds every event within milliseconds, batch computes the same views again
from Parquet as Temporal workflows, serving merges both exactly.

Begin with:  anabranch demo`,
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	root.SetFlagErrorFunc(func(c *cobra.Command, err error) error {
		return fault.WithHint(fault.Wrap(fault.Invalid, err), "see `%s --help`", c.CommandPath())
	})
	root.AddCommand(
		newDemo(), newDev(), newRun(),
		newPlan(), newApply(), newTest(), newSend(), newBatch(), newBackfill(), newSchedule(), newVersions(), newReferences(), newCanary(),
		newQuery(), newExplain(), newShell(), newTrace(), newLedger(), newDeadLetters(), newVerify(), newImport(), newAudit(), newCompact(), newExpire(), newRebuildSpeed(), newRestore(), newFsck(),
		newDeployment(), newUser(), newBench(), newExitCodes(), newVersion(),
	)
	watch(root, began)
	return root, began
}

// watch notes when any command below c runs.
func watch(c *cobra.Command, began *bool) {
	if run := c.RunE; run != nil {
		c.RunE = func(c *cobra.Command, args []string) error {
			*began = true
			return run(c, args)
		}
	}
	for _, child := range c.Commands() {
		watch(child, began)
	}
}

// exactly wants n arguments and says which.
func exactly(n int, what string) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		if len(args) != n {
			return fault.New(fault.Invalid, "%s wants %s, got %d arguments: see `%s --help`", c.CommandPath(), what, len(args), c.CommandPath())
		}
		return nil
	}
}

func newExitCodes() *cobra.Command {
	return &cobra.Command{
		Use:   "exit-codes",
		Short: "What the exit codes mean",
		Long: `0    done
1    it ran, and the outcome is bad: views differ, a run failed, the ledger is out of balance
2    refused: the command line, a query or a definition is wrong, or it is not allowed
3    nobody answers, or the server asks to come back later
4    no such pipeline, run or letter
5    a run still ran when the time to wait for it was over; it goes on
6    a run waits for a person, for example for an approval
130  interrupted`,
	}
}

// printError writes an error for a person: one line, or one for each place in
// a folder of definitions.
func printError(w io.Writer, err error) {
	for _, p := range places(err) {
		fmt.Fprintf(w, "%s\n", formatPlace(p))
	}
	fmt.Fprintf(w, "anabranch: %v\n", err)
}

func places(err error) []api.Place {
	var refused *client.Error
	if errors.As(err, &refused) {
		return refused.Problem.Problems
	}
	var local schemas.Problems
	if errors.As(err, &local) {
		out := make([]api.Place, len(local))
		for i, p := range local {
			out[i] = api.Place{File: p.File, Line: p.Line, Column: p.Column, Message: p.Message, Hint: p.Hint}
		}
		return out
	}
	return nil
}

func formatPlace(p api.Place) string {
	s := p.File
	if p.Line > 0 {
		s += fmt.Sprintf(":%d", p.Line)
	}
	if p.Column > 0 {
		s += fmt.Sprintf(":%d", p.Column)
	}
	s += ": " + p.Message
	if p.Hint != "" {
		s += " (" + p.Hint + ")"
	}
	return s
}
