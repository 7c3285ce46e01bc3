package main

import (
	"fmt"
	"io"
	"net/http"

	"github.com/spf13/cobra"

	"anabranch/cmd/anabranch/api"
	"anabranch/cmd/anabranch/client"
	"anabranch/fault"
)

func newDeadLettersRelease() *cobra.Command {
	var a asking
	var req api.StartRelease
	var all, preview, detach bool
	var limit int
	c := &cobra.Command{
		Use:   "release PIPELINE [ID...]",
		Short: "Send dead letters back, changed or as they are, each once",
		Long: `Release checks dead letters by the rules of today and sends those that pass back
to where events come in, as a Temporal workflow. --set changes a field on the
way; its SQL expression sees every field as VARCHAR, and the whole event as a
JSON object named raw. Whatever would be refused again stays a dead letter.

An event counts once, however often its letter is sent; one of a day that a
batch has published long ago counts at once, and is in the next batch.
--preview shows what would become of the first letters and sends nothing.`,
		Example: `  anabranch deadletters release retail --code zero_price --set "price=0.01" --preview
  anabranch deadletters release retail --code zero_price --set "price=0.01" --reason "samples have a price now"
  anabranch deadletters release retail --all --reason "the rule was wrong"`,
		Args: func(c *cobra.Command, args []string) error {
			switch {
			case len(args) == 0:
				return exactly(1, "a pipeline")(c, args)
			case len(args) == 1 && len(req.Codes) == 0 && !all:
				return fault.New(fault.Invalid, "which letters? give their ids, --code, or --all")
			case len(args) > 1 && (len(req.Codes) > 0 || all):
				return fault.New(fault.Invalid, "ids, --code and --all exclude each other: ids name the letters")
			}
			return nil
		},
		RunE: a.run(func(c *cobra.Command, args []string, cl *client.Client, p *printer) error {
			req.IDs, req.By = args[1:], me()
			path := "/v1/pipelines/" + args[0] + "/deadletters/"
			if !preview {
				return waiting{wait: true, detach: detach, row: releaseRow}.startRun(c, cl, p, path+"releases", req)
			}
			var out api.ReleasePreview
			ask := api.PreviewRelease{Codes: req.Codes, IDs: req.IDs, Since: req.Since, Set: req.Set, Limit: limit}
			if err := cl.JSON(c.Context(), http.MethodPost, path+"preview", ask, &out); err != nil {
				return err
			}
			rows := make([][]string, len(out.Letters))
			for i, l := range out.Letters {
				verdict := "counts"
				if l.Code != "" {
					verdict = l.Code + ": " + l.Message
				}
				rows[i] = []string{l.ID, l.Was, l.Before, l.After, verdict}
			}
			if err := p.value(out, []string{"id", "was", "before", "after", "would be"}, rows); err != nil {
				return err
			}
			if out.Next != "" {
				fmt.Fprintf(c.ErrOrStderr(), "the first %d; --limit shows more\n", len(out.Letters))
			}
			return nil
		}),
	}
	a.flags(c)
	c.Flags().StringSliceVar(&req.Codes, "code", nil, "letters with this code; may be repeated")
	c.Flags().BoolVar(&all, "all", false, "letters of every code but conflict")
	c.Flags().StringVar(&req.Since, "since", "", "only letters received on this day (UTC) or later, as 2011-03-01")
	c.Flags().StringArrayVar(&req.Set, "set", nil, "field=expression: change a field on the way; may be repeated")
	startFlags(c, &req.Reason, &req.Key, &detach)
	c.Flags().BoolVar(&preview, "preview", false, "show what would become of the letters, send nothing")
	c.Flags().IntVar(&limit, "limit", 20, "letters to preview")
	return c
}

// releaseRow is what a release came to, in a row; letters that stay are told.
func releaseRow(r api.Run, out io.Writer) (columns, row []string) {
	columns, row = []string{"run", "state", "released", "skipped", "refused"}, []string{r.ID, r.State, "", "", ""}
	if d := r.Released; d != nil {
		row = []string{r.ID, r.State, fmt.Sprint(d.Released), fmt.Sprint(d.Skipped), fmt.Sprint(d.Refused)}
		for _, f := range d.FirstRefused {
			fmt.Fprintf(out, "stays: %s: %s: %s\n", f.ID, f.Code, f.Message)
		}
	}
	return columns, row
}
