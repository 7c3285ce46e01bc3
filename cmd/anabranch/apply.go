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
)

func newApply() *cobra.Command {
	var t target
	var output string
	c := &cobra.Command{
		Use:   "apply FOLDER",
		Short: "Make or change a pipeline from its folder of definitions",
		Long: `Apply reads pipeline.yaml, the schema and views/*.sql of a folder, checks all of
it, and puts it in force. When anything is wrong every mistake is printed as
file:line:column, and nothing is applied. Applying the same folder again does
nothing.`,
		Example: "  anabranch apply examples/retail",
		Args:    exactly(1, "a folder"),
		RunE: func(c *cobra.Command, args []string) error {
			p, err := newPrinter(c.OutOrStdout(), output)
			if err != nil {
				return err
			}
			cl, err := t.client()
			if err != nil {
				return err
			}
			a, err := applyFolder(c.Context(), cl, args[0])
			if err != nil {
				return err
			}
			if len(a.Rebuild) > 0 {
				fmt.Fprintf(c.ErrOrStderr(), "views that answer after the next batch: %s (anabranch batch %s)\n", strings.Join(a.Rebuild, ", "), a.Pipeline)
			}
			return p.value(a, []string{"pipeline", "version", "schema", "partitions", "views", "changed"},
				[][]string{{a.Pipeline, a.Version, strconv.Itoa(int(a.Schema)), strconv.Itoa(a.Partitions), strings.Join(a.Views, " "), strconv.FormatBool(a.Changed)}})
		},
	}
	t.flags(c)
	c.Flags().StringVarP(&output, "output", "o", "table", "table, json or csv")
	return c
}

func applyFolder(ctx context.Context, cl *client.Client, folder string) (api.Applied, error) {
	var a api.Applied
	files, err := readFolder(folder)
	if err != nil {
		return a, err
	}
	if err := cl.JSON(ctx, http.MethodPost, "/v1/pipelines", api.Apply{Files: files}, &a); err != nil {
		return a, fmt.Errorf("apply %s: %w", folder, err)
	}
	return a, nil
}

// maxDefinition bounds one file of a definition: a folder that holds data by
// mistake must not be sent.
const maxDefinition = 1 << 20

// readFolder reads the files that define a pipeline: those of the folder
// itself, of views/ and of tests/.
func readFolder(folder string) (map[string]string, error) {
	files := map[string]string{}
	root := os.DirFS(folder)
	for _, pattern := range []string{"*.yaml", "*.yml", "*.avsc", "views/*.sql", "tests/*.yaml"} {
		names, err := fs.Glob(root, pattern)
		if err != nil {
			return nil, fault.Wrap(fault.Bug, err)
		}
		for _, name := range names {
			text, err := fs.ReadFile(root, name)
			if err != nil {
				return nil, fault.Wrap(fault.Invalid, err)
			}
			if len(text) > maxDefinition {
				return nil, fault.New(fault.Invalid, "%s is over %d bytes: is it data?", path.Join(folder, name), maxDefinition)
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
