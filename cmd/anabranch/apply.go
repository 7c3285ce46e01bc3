package main

import (
	"context"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"anabranch/cmd/anabranch/api"
	"anabranch/cmd/anabranch/client"
	"anabranch/fault"
	"anabranch/schemas"
)

func newApply() *cobra.Command {
	var a asking
	var ways waysFlags
	var detach bool
	c := &cobra.Command{
		Use:   "apply FOLDER",
		Short: "Make or change a pipeline from its folder of definitions",
		Long: `Apply reads pipeline.yaml, the schema, views/*.sql and references/ of a folder,
checks all of it, and puts it in force. When anything is wrong every mistake is printed as
file:line:column, and nothing is applied. Applying the same folder again does
nothing.

A view that changes answers as before until a batch has computed it. What takes
something from readers (a view or a column that goes away, a view that cannot
answer before it is computed again) is refused, with the command that says so:
anabranch plan FOLDER shows it beforehand.

With --canary a changed view is computed beside the one that answers, answers a
share of the queries, and is compared all the while; batch.canary in
pipeline.yaml says when it is promoted and what has it rolled back.`,
		Example: `  anabranch apply examples/retail
  anabranch apply examples/retail --canary 10 --reason "net of returns"
  anabranch apply examples/retail --backfill --reason "the column net is gone"`,
		Args: exactly(1, "a folder"),
		RunE: a.run(func(c *cobra.Command, args []string, cl *client.Client, p *printer) error {
			done, err := applyFolder(c.Context(), cl, args[0], ways.ways(c))
			if err != nil {
				return err
			}
			if len(done.Rebuild) > 0 && done.Run == nil {
				fmt.Fprintf(c.ErrOrStderr(), "new or changed views, which the next batch computes (anabranch batch %[2]s): %[1]s. A new one answers after it, a changed one as before until then\n", strings.Join(done.Rebuild, ", "), done.Pipeline)
			}
			if len(done.References) > 0 {
				fmt.Fprintln(c.ErrOrStderr(), "reference tables:", strings.Join(done.References, ", "))
			}
			if err := p.value(done, []string{"pipeline", "version", "schema", "partitions", "views", "changed"}, [][]string{{
				done.Pipeline, done.Version, strconv.Itoa(int(done.Schema)), strconv.Itoa(done.Partitions), strings.Join(done.Views, " "), strconv.FormatBool(done.Changed),
			}}); err != nil || done.Run == nil {
				return err
			}
			return followApplied(c, cl, *done.Run, detach || done.Run.Kind == "canary")
		}),
	}
	a.flags(c)
	ways.flags(c)
	c.Flags().StringVar(&ways.Reason, "reason", "", "why, kept with what it computes")
	c.Flags().BoolVar(&detach, "detach", false, "do not wait for the backfill; a canary is never waited for")
	return c
}

// followApplied follows the run that computes what was applied.
func followApplied(c *cobra.Command, cl *client.Client, r api.Run, detach bool) error {
	out := c.ErrOrStderr()
	fmt.Fprintf(out, "%s computes it; see `anabranch %s show %[1]s`\n", r.ID, r.Kind)
	if r.UI != "" {
		fmt.Fprintln(out, "follow it in the Temporal UI:", r.UI)
	}
	if detach {
		return nil
	}
	r, err := waiting{wait: true}.follow(c.Context(), cl, r, out)
	if err != nil {
		return err
	}
	if p := r.Progress; p != nil && p.Note != "" {
		fmt.Fprintln(out, p.Note)
	}
	if r.State != "completed" {
		fmt.Fprintf(out, "anabranch: %s %s: %s\n", r.ID, r.State, r.Error)
		return errDiffers
	}
	return nil
}

func applyFolder(ctx context.Context, cl *client.Client, folder string, ways api.Ways) (api.Applied, error) {
	var a api.Applied
	files, err := readFolder(folder)
	if err != nil {
		return a, err
	}
	if err := upload(ctx, cl, files); err != nil {
		return a, fmt.Errorf("apply %s: %w", folder, err)
	}
	if err := cl.JSON(ctx, http.MethodPost, "/v1/pipelines", api.Apply{Files: files, Ways: ways}, &a); err != nil {
		return a, fmt.Errorf("apply %s: %w", folder, err)
	}
	return a, nil
}

// maxDefinition bounds one file of a definition: a folder that holds data by
// mistake must not be sent.
const maxDefinition = 1 << 20

// readFolder reads the files that define a pipeline: those of the folder
// itself, of views/, of references/ and of tests/.
func readFolder(folder string) (map[string]string, error) {
	files := map[string]string{}
	root := os.DirFS(folder)
	for _, pattern := range []string{"*.yaml", "*.yml", "*.avsc", "views/*.sql", "tests/*.yaml", "references/*.csv", "references/*.parquet"} {
		names, err := fs.Glob(root, pattern)
		if err != nil {
			return nil, fault.Wrap(fault.Bug, err)
		}
		for _, name := range names {
			most := maxDefinition
			if schemas.IsReferenceFile(name) {
				most = schemas.MaxReference
			}
			if info, err := fs.Stat(root, name); err == nil && info.Size() > int64(most) {
				return nil, fault.New(fault.Invalid, "%s is over %d bytes: is it data?", path.Join(folder, name), most)
			}
			text, err := fs.ReadFile(root, name)
			if err != nil {
				return nil, fault.Wrap(fault.Invalid, err)
			}
			files[name] = string(text)
		}
	}
	if _, ok := files["pipeline.yaml"]; !ok {
		if _, err := os.Stat(folder); err != nil {
			return nil, fault.Wrap(fault.Invalid, fmt.Errorf("read the folder: %w", err))
		}
		return nil, fault.New(fault.Invalid, "%s has no pipeline.yaml: name the folder of a pipeline, such as examples/retail", folder)
	}
	return files, nil
}
