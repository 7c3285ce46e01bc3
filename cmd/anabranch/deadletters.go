package main

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"anabranch/cmd/anabranch/api"
	"anabranch/cmd/anabranch/client"
	"anabranch/fault"
)

func newDeadLetters() *cobra.Command {
	c := &cobra.Command{
		Use:     "deadletters",
		Aliases: []string{"dl"},
		Short:   "Events that could not be accepted: their bytes and the reason",
	}
	c.AddCommand(newDeadLettersLs(), newDeadLettersShow(), newDeadLettersRelease())
	return c
}

func newDeadLettersLs() *cobra.Command {
	var a asking
	var code, after string
	var limit int
	c := &cobra.Command{
		Use:     "ls PIPELINE",
		Short:   "List dead letters, the oldest first",
		Example: "  anabranch deadletters ls retail --code zero_price --limit 5",
		Args:    exactly(1, "a pipeline"),
		RunE: a.run(func(c *cobra.Command, args []string, cl *client.Client, p *printer) error {
			q := url.Values{"limit": {strconv.Itoa(limit)}, "code": {code}, "after": {after}}
			var page api.Letters
			if err := cl.JSON(c.Context(), http.MethodGet, "/v1/pipelines/"+args[0]+"/deadletters?"+q.Encode(), nil, &page); err != nil {
				return err
			}
			rows := make([][]string, len(page.Letters))
			for i, l := range page.Letters {
				rows[i] = []string{l.ID, l.Code, l.Source, place(l), l.Message}
			}
			if err := p.value(page, []string{"id", "code", "source", "line", "message"}, rows); err != nil {
				return err
			}
			if page.Next != "" && a.output == "table" {
				fmt.Fprintf(c.ErrOrStderr(), "more: --after %s\n", page.Next)
			}
			return nil
		}),
	}
	a.flags(c)
	c.Flags().StringVar(&code, "code", "", "only letters with this code")
	c.Flags().StringVar(&after, "after", "", "go on behind this letter")
	c.Flags().IntVar(&limit, "limit", 50, "letters to list")
	return c
}

func newDeadLettersShow() *cobra.Command {
	var a asking
	var rawOnly bool
	c := &cobra.Command{
		Use:     "show PIPELINE ID",
		Short:   "Show one dead letter with its bytes",
		Example: "  anabranch deadletters show retail ID --raw",
		Args:    exactly(2, "a pipeline and a letter's id"),
		RunE: a.run(func(c *cobra.Command, args []string, cl *client.Client, p *printer) error {
			var l api.Letter
			if err := cl.JSON(c.Context(), http.MethodGet, "/v1/pipelines/"+args[0]+"/deadletters/"+url.PathEscape(args[1]), nil, &l); err != nil {
				return err
			}
			if rawOnly {
				raw, err := []byte(l.Raw), error(nil)
				if l.Base64 {
					if raw, err = base64.StdEncoding.DecodeString(l.Raw); err != nil {
						return fault.Wrap(fault.Corrupt, err)
					}
				}
				_, err = c.OutOrStdout().Write(raw)
				return err
			}
			return p.value(l, []string{"what", "value"}, [][]string{
				{"id", l.ID}, {"code", l.Code}, {"message", l.Message}, {"field", l.Field}, {"source", l.Source},
				{"line", place(l)}, {"received", l.Received.Format(time.RFC3339)}, {"raw", l.Raw},
			})
		}),
	}
	a.flags(c)
	c.Flags().BoolVar(&rawOnly, "raw", false, "only the event's bytes, as they came")
	return c
}

// place is where a letter stood in what was sent.
func place(l api.Letter) string {
	switch {
	case l.Line == 0:
		return ""
	case l.Column == 0:
		return strconv.Itoa(l.Line)
	}
	return fmt.Sprintf("%d:%d", l.Line, l.Column)
}
