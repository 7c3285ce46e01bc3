package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"anabranch/cmd/anabranch/bench"
	"anabranch/fault"
)

func newBench() *cobra.Command {
	o := bench.Options{}
	var out, against, page string
	c := &cobra.Command{
		Use:   "bench [SUITE...]",
		Short: "Measure this program beside what one would pick instead, on this machine",
		Long: `Bench makes events from a seed, measures the program and its peers in turns,
each in a process of its own, and compares every answer. Suites: ` + strings.Join(bench.Suites(), ", ") + `;
without a name all of them.

With --out it keeps a result file for each suite and makes the tables of --page
of them. With --against it compares with kept results and exits 1 when something
became worse beyond noise.`,
		Example: "  anabranch bench batch --events 2000000 --rounds 3",
		RunE: func(c *cobra.Command, suites []string) error {
			self, err := os.Executable()
			if err != nil {
				return fault.Wrap(fault.Bug, err)
			}
			o.Self = []string{self, "bench", "side"}
			o.Say = func(format string, args ...any) { fmt.Fprintf(c.ErrOrStderr(), format+"\n", args...) }
			o.Commit = headCommit(c)
			return runBench(c, o, suites, out, against, page)
		},
	}
	f := c.Flags()
	f.StringVar(&o.Dir, "dir", ".anabranch/bench", "folder for the data, which are kept and used again")
	f.IntVar(&o.Events, "events", 6_000_000, "payments to measure on")
	f.Uint64Var(&o.Seed, "seed", 1, "of the payments")
	f.IntVar(&o.Rounds, "rounds", 7, "how often each side has its turn; the median counts")
	f.StringSliceVar(&o.Only, "only", nil, "names of rows, instead of a whole suite")
	f.StringVar(&o.Example, "example", "examples/retail", "folder of the retail pipeline with its data")
	f.StringVar(&o.Sonic, "sonic", "bin/peers", "program of tools/peers; `make bench` builds it")
	f.StringVar(&o.Profile, "profiles", "", "folder to write profiles of processor time to (go tool pprof)")
	f.StringVar(&out, "out", "", "folder to keep the results in, a file for each suite")
	f.StringVar(&page, "page", "", "page whose tables to make of the results in --out")
	f.StringVar(&against, "against", "", "folder of results to compare with")
	c.AddCommand(&cobra.Command{
		Use: "side TASK", Hidden: true, Short: "One side of a comparison, steered by its input", Args: exactly(1, "a task"),
		RunE: func(c *cobra.Command, args []string) error {
			return bench.Side(c.Context(), args[0], c.InOrStdin(), c.OutOrStdout())
		},
	})
	return c
}

func runBench(c *cobra.Command, o bench.Options, suites []string, out, against, page string) error {
	if o.Events < 1000 || o.Rounds < 1 {
		return fault.New(fault.Invalid, "bench wants at least 1000 events and one round")
	}
	var err error
	if o.Dir, err = filepath.Abs(o.Dir); err != nil {
		return fault.Wrap(fault.Invalid, err)
	}
	if _, err := os.Stat(o.Sonic); err != nil {
		o.Sonic = ""
	} else if o.Sonic, err = filepath.Abs(o.Sonic); err != nil {
		return fault.Wrap(fault.Invalid, err)
	}
	if len(suites) == 0 {
		suites = bench.Suites()
	}
	before, err := bench.ReadResults(against)
	if err != nil {
		return err
	}
	var now []*bench.Result
	for _, s := range suites {
		r, err := bench.Run(c.Context(), s, o)
		if err != nil {
			return err
		}
		now = append(now, r)
		if out != "" {
			if err := r.Write(out); err != nil {
				return err
			}
		}
	}
	if page != "" {
		if err := makePage(page, out); err != nil {
			return err
		}
	}
	if against == "" {
		return nil
	}
	worse, notes := bench.Regressions(before, now)
	for _, n := range notes {
		fmt.Fprintln(c.OutOrStdout(), n)
	}
	for _, w := range worse {
		fmt.Fprintln(c.OutOrStdout(), "WORSE", w)
	}
	if len(worse) > 0 {
		return errDiffers
	}
	return nil
}

func makePage(page, results string) error {
	all, err := bench.ReadResults(results)
	if err != nil {
		return err
	}
	text, err := os.ReadFile(page)
	if err != nil {
		return fault.Wrap(fault.Invalid, err)
	}
	made, err := bench.Page(string(text), all)
	if err != nil {
		return fmt.Errorf("make %s: %w", page, err)
	}
	return os.WriteFile(page, []byte(made), 0o644)
}

// headCommit returns the commit that the folder at hand is at, with a + when
// its code differs.
func headCommit(c *cobra.Command) string {
	out, err := exec.CommandContext(c.Context(), "git", "describe", "--always", "--dirty=+").Output()
	if err != nil {
		return "unknown"
	}
	return strings.TrimSpace(string(out))
}
