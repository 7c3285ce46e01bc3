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
	var a asking
	c := &cobra.Command{
		Use:   "apply FOLDER",
		Short: "Make or change a pipeline from its folder of definitions",
		Long: `Apply reads pipeline.yaml, the schema and views/*.sql of a folder, checks all of
it, and puts it in force. When anything is wrong every mistake is printed as
file:line:column, and nothing is applied. Applying the same folder again does
nothing.`,
		Example: "  anabranch apply examples/retail",
		Args:    exactly(1, "a folder"),
		RunE: a.run(func(c *cobra.Command, args []string, cl *client.Client, p *printer) error {
			done, err := applyFolder(c.Context(), cl, args[0])
			if err != nil {
				return err
			}
			if len(done.Rebuild) > 0 {
				fmt.Fprintf(c.ErrOrStderr(), "new or changed views, which the next batch computes (anabranch batch %[2]s): %[1]s. A new one answers after it, a changed one as before until then\n", strings.Join(done.Rebuild, ", "), done.Pipeline)
			}
			return p.value(done, []string{"pipeline", "version", "schema", "partitions", "views", "changed"}, [][]string{{
				done.Pipeline, done.Version, strconv.Itoa(int(done.Schema)), strconv.Itoa(done.Partitions), strings.Join(done.Views, " "), strconv.FormatBool(done.Changed),
			}})
		}),
	}
	a.flags(c)
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
