package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"anabranch/cmd/anabranch/api"
	"anabranch/cmd/anabranch/client"
	"anabranch/schemas"
)

func newReferences() *cobra.Command {
	var a asking
	c := &cobra.Command{
		Use:   "references PIPELINE",
		Short: "List the reference tables of a pipeline, those in force and those of before",
		Long: `References lists the tables that the definition of a pipeline brings along, with
their versions: those in force, and those of before that answers as of a receipt
can still have. Add or change one in the folder, and apply it.`,
		Args: exactly(1, "a pipeline"),
		RunE: a.run(func(c *cobra.Command, args []string, cl *client.Client, p *printer) error {
			var out api.References
			if err := cl.JSON(c.Context(), http.MethodGet, "/v1/pipelines/"+url.PathEscape(args[0])+"/references", nil, &out); err != nil {
				return err
			}
			var rows [][]string
			for _, r := range out.References {
				state := "before"
				if r.InForce {
					state = "in force"
				}
				rows = append(rows, []string{r.Name, r.Version, state, strconv.FormatInt(r.Rows, 10), strconv.FormatInt(r.Bytes, 10), r.Applied.Local().Format("2006-01-02 15:04:05"), r.Comment})
			}
			return p.value(out, []string{"name", "version", "state", "rows", "bytes", "applied", "comment"}, rows)
		}),
	}
	a.flags(c)
	return c
}

// maxInline is the largest file of a reference table that travels with its
// definition.
const maxInline = 256 << 10

// upload sends the files that cannot travel with a definition, and puts what
// points at them in their place.
func upload(ctx context.Context, cl *client.Client, files map[string]string) error {
	for name, text := range files {
		if !schemas.IsReferenceFile(name) || len(text) <= maxInline && utf8.ValidString(text) {
			continue
		}
		resp, err := cl.Do(ctx, http.MethodPost, "/v1/references", http.Header{"Content-Type": {"application/octet-stream"}}, []byte(text))
		if err != nil {
			return fmt.Errorf("upload %s: %w", name, err)
		}
		var out api.Uploaded
		err = json.NewDecoder(resp.Body).Decode(&out)
		resp.Body.Close()
		if err != nil {
			return fmt.Errorf("upload %s: read the answer: %w", name, err)
		}
		files[name] = out.Pointer
	}
	return nil
}
