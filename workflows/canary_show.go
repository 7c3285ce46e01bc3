package workflows

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"go.temporal.io/sdk/workflow"

	"anabranch/batch"
)

func (c *canary) enter(ctx workflow.Context, phase string) {
	c.phase = phase
	c.show(ctx)
}

func (c *canary) show(ctx workflow.Context) { workflow.SetCurrentDetails(ctx, c.table()) }

func (c *canary) progress() Progress {
	p := Progress{
		Pipeline: c.Pipeline, Kind: "canary", View: c.names(), Phase: c.phase, Started: c.s.Started, Attempt: 1, Note: c.note, State: "running",
		Total: len(c.s.Views), Acts: c.s.Acts, Canary: slices.Clone(c.s.Views),
	}
	for _, v := range c.s.Views {
		if v.decided() {
			p.Done++
		}
	}
	return p
}

// table shows how it stands, as Markdown.
func (c *canary) table() string {
	var b strings.Builder
	fmt.Fprintf(&b, "### Canary of %s\n\n**%s**", cell(c.Pipeline), c.phase)
	if c.note != "" {
		fmt.Fprintf(&b, ": %s", cell(c.note))
	}
	fmt.Fprintf(&b, "\n\n%g %% of the queries; rolled back beyond %g %%; promoted after %s and %d comparisons within it, every %s and after each publication.\n\n", c.Share, c.Within*100, c.stay, c.Compare, c.every)
	b.WriteString("| view | version | stands | queries | within, in a row | groups | differ | why |\n|---|---|---|---:|---:|---:|---:|---|\n")
	for _, v := range c.s.Views {
		groups, differ := "", ""
		if j := v.Last; j != nil && j.State == batch.Held {
			groups, differ = fmt.Sprint(j.Groups), fmt.Sprint(j.Changed+j.Added+j.Removed)
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %g %% | %d | %s | %s | %s |\n", cell(v.View), v.Version, v.State, v.Share, v.Within, groups, differ, cell(v.Note))
	}
	fmt.Fprintf(&b, "\nAsked for by %s: %s\n", orElse(cell(c.By), "?"), orElse(cell(c.Reason), "not said"))
	for _, a := range c.s.Acts {
		fmt.Fprintf(&b, "\n- %s %s", a.At.UTC().Format(time.RFC3339), cell(a.String()))
	}
	if c.undecided() {
		b.WriteString("\nSend the update `promote` or `rollback` with `{\"by\":\"\",\"reason\":\"\",\"view\":\"\"}` to decide by hand.\n")
	}
	for _, v := range c.s.Views {
		if j := v.Last; j != nil && j.Markdown != "" {
			fmt.Fprintf(&b, "\n#### %s, in version %d", cell(v.View), j.Manifest)
			if j.At != "" {
				fmt.Fprintf(&b, " and the log up to %s", cell(j.At))
			}
			fmt.Fprintf(&b, "\n\n%s", j.Markdown)
			if j.Note != "" {
				fmt.Fprintf(&b, "\n%s\n", cell(j.Note))
			}
		}
	}
	return b.String()
}
