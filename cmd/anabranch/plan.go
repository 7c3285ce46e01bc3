package main

import (
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/spf13/cobra"

	"anabranch/batch"
	"anabranch/cmd/anabranch/api"
	"anabranch/cmd/anabranch/server"
	"anabranch/fault"
	"anabranch/schemas"
)

func newPlan() *cobra.Command {
	var a asking
	var ways waysFlags
	var against string
	c := &cobra.Command{
		Use:   "plan FOLDER",
		Short: "Say what applying a folder would change, compute and break, and do nothing",
		Long: `Plan compares a folder with the definition in force: fields of the schema, views
and their columns, reference tables, rules, settings; what has to be computed again and about how
long that takes; what readers would miss; and what apply, with the same flags,
then does. With --against it compares two folders and needs no server.

The exit code is 1 when apply would refuse.`,
		Example: `  anabranch plan examples/retail
  anabranch plan examples/retail --canary 10 -o json
  anabranch plan examples/retail --against /tmp/retail-of-before`,
		Args: exactly(1, "a folder"),
		RunE: func(c *cobra.Command, args []string) error {
			p, err := newPrinter(c.OutOrStdout(), a.output)
			if err != nil {
				return err
			}
			out, err := planFolder(c, &a, args[0], against, ways.ways(c))
			if err != nil {
				return err
			}
			if p.format == "table" {
				writePlan(c.OutOrStdout(), out)
			} else if err := p.value(out, []string{"what", "name", "change", "from", "to"}, planRows(out)); err != nil {
				return err
			}
			if out.Refused != "" {
				return errDiffers
			}
			return nil
		},
	}
	a.flags(c)
	ways.flags(c)
	c.Flags().StringVar(&against, "against", "", "the folder of before, instead of what is in force on a server")
	return c
}

func planFolder(c *cobra.Command, a *asking, folder, against string, ways api.Ways) (out api.Plan, err error) {
	files, err := readFolder(folder)
	if err != nil {
		return out, err
	}
	if against != "" {
		before, err := readFolder(against)
		if err != nil {
			return out, err
		}
		return server.PlanFolders(c.Context(), before, files, ways)
	}
	cl, err := a.client()
	if err != nil {
		return out, fault.WithHint(err, "or compare two folders, without a server: --against FOLDER")
	}
	if err := upload(c.Context(), cl, files); err != nil {
		return out, err
	}
	if err := cl.JSON(c.Context(), http.MethodPost, "/v1/plan", api.Apply{Files: files, Ways: ways}, &out); err != nil {
		return out, fmt.Errorf("plan %s: %w", folder, err)
	}
	return out, nil
}

// waysFlags are the flags that plan and apply share.
type waysFlags struct {
	api.Ways
	canary float64
}

func (w *waysFlags) flags(c *cobra.Command) {
	c.Flags().BoolVar(&w.Backfill, "backfill", false, "compute new and changed views at once, in a run of its own; changes that break something need it")
	c.Flags().Float64Var(&w.canary, "canary", 0, "have changed views stand beside the ones that answer, answer this share of the queries, in percent, and be judged")
	c.Flags().StringVar(&w.Within, "within", "", "of a canary: how much may differ, such as 1%; as pipeline.yaml says when not given")
	c.Flags().StringSliceVar(&w.Drop, "drop", nil, "a view, a reference table or a column of one (table.column) that may go away; may be repeated")
}

func (w *waysFlags) ways(c *cobra.Command) api.Ways {
	if c.Flags().Changed("canary") {
		w.Canary = &w.canary
	}
	w.By = me()
	return w.Ways
}

// writePlan says a plan to a person.
func writePlan(out io.Writer, p api.Plan) {
	line := func(format string, args ...any) { fmt.Fprintf(out, format+"\n", args...) }
	switch {
	case p.New:
		line("pipeline %s is new", p.Pipeline)
	case !p.Changed:
		line("pipeline %s: the folder is in force already (definition %.8s)", p.Pipeline, p.To)
	default:
		line("pipeline %s: definition %.8s becomes %.8s", p.Pipeline, p.From, p.To)
	}
	changes := func(title string, all []schemas.Change) {
		if len(all) > 0 {
			line("\n%s", title)
		}
		for _, c := range all {
			line("  %s", changeText(c))
		}
	}
	changes("schema", p.Schema)
	title := "\nviews"
	for _, v := range p.Views {
		if v.Change == "unchanged" && !v.Rebuild && v.Until == "" {
			continue
		}
		if title != "" {
			line(title)
			title = ""
		}
		said := v.Change
		if v.Change == "inputs" {
			said = "reads other types"
		}
		if v.From != v.To && v.From != "" && v.To != "" {
			said += fmt.Sprintf(", version %.8s becomes %.8s", v.From, v.To)
		}
		line("  %s %s: %s", sign(v.Change), v.View, said)
		for _, c := range v.Columns {
			line("      column %s", changeText(c))
		}
		if v.Until != "" {
			line("      %s", v.Until)
		}
	}
	if len(p.References) > 0 {
		line("\nreference tables")
	}
	for _, r := range p.References {
		line("  %s", referenceText(r))
	}
	changes("rules", p.Rules)
	changes("settings", p.Policy)
	if len(p.Breaking) > 0 {
		line("\nit breaks")
	}
	for _, b := range p.Breaking {
		line("  ! %s: %s", b.View, b.What)
	}
	if p.Work != nil {
		line("\nto compute, from version %d", p.Work.Version)
		line("  %s", p.Work.Text())
		if p.Work.Days > 0 && p.Work.Runs == 0 {
			line("  how long that takes is not known: no run was measured yet")
		}
	}
	for _, w := range p.Warnings {
		line("\nbeware: %s", w)
	}
	if p.Refused != "" {
		line("\napply refuses it: %s\nuse: %s", p.Refused, p.Command)
		return
	}
	if len(p.Steps) > 0 {
		line("\napply")
	}
	for i, s := range p.Steps {
		line("  %d. %s", i+1, s)
	}
}

func sign(change string) string {
	switch change {
	case schemas.Added:
		return "+"
	case schemas.Removed:
		return "-"
	case "unchanged":
		return " "
	}
	return "~"
}

func changeText(c schemas.Change) string {
	said := sign(c.Change) + " " + c.Name + ": " + c.Change
	switch {
	case c.From != "" && c.To != "":
		said += ", from " + c.From + " to " + c.To
	case c.To != "":
		said += ", " + c.To
	case c.From != "":
		said += ", was " + c.From
	}
	return said
}

func referenceText(r api.ReferencePlan) string {
	switch r.Change {
	case schemas.Added:
		return fmt.Sprintf("+ %s: added, version %s, %d rows", r.Name, r.To, r.Rows)
	case schemas.Removed:
		return fmt.Sprintf("- %s: removed, was version %s, %d rows", r.Name, r.From, r.Before)
	}
	return fmt.Sprintf("~ %s: version %s becomes %s, %d rows become %d", r.Name, r.From, r.To, r.Before, r.Rows)
}

// planRows is a plan as rows, for CSV.
func planRows(p api.Plan) (rows [][]string) {
	add := func(what string, all []schemas.Change) {
		for _, c := range all {
			rows = append(rows, []string{what, c.Name, c.Change, c.From, c.To})
		}
	}
	add("field", p.Schema)
	for _, v := range p.Views {
		rows = append(rows, []string{"view", v.View, v.Change, v.From, v.To})
		for _, c := range v.Columns {
			rows = append(rows, []string{"column", v.View + "." + c.Name, c.Change, c.From, c.To})
		}
	}
	for _, r := range p.References {
		rows = append(rows, []string{"reference", r.Name, fmt.Sprintf("%s, %d rows", r.Change, r.Rows), r.From, r.To})
	}
	add("rule", p.Rules)
	add("setting", p.Policy)
	for _, b := range p.Breaking {
		rows = append(rows, []string{"breaks", b.View, b.What, "", ""})
	}
	if w := p.Work; w != nil {
		about := "not known"
		if w.Runs > 0 {
			about = batch.About(w.Seconds).String()
		}
		rows = append(rows, []string{"work", strings.Join(w.Views, " "), fmt.Sprintf("%d days, %d events, %d bytes in %d files", w.Days, w.Rows, w.Bytes, w.Files), "", about})
	}
	if p.Refused != "" {
		rows = append(rows, []string{"refused", p.Pipeline, p.Refused, "", p.Command})
	}
	return rows
}
