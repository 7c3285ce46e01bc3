package main

import (
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"anabranch/cmd/anabranch/api"
	"anabranch/cmd/anabranch/client"
	"anabranch/fault"
)

func newTrace() *cobra.Command {
	var a asking
	var where string
	c := &cobra.Command{
		Use:   "trace PIPELINE EVENT | trace PIPELINE --where CONDITION",
		Short: "What became of an event: where it stands, whether it counts, and in which cells of which views",
		Long: `Follow an event: its copies in the log, the segment and day file that hold them,
which copy counts and why the others do not, and the group of every view it
went into. EVENT is the text of the id, where a pipeline's id is one field; or a
position as receipts have it (partition/offset/row), an identity (32 hexadecimal
digits), or the id of a dead letter. A condition is SQL over the event's fields
and follows the first ten that fit. All raw events are read.`,
		Example: `  anabranch trace retail 2/118/7
  anabranch trace retail --where "InvoiceNo = '536365' AND StockCode = '71053'"`,
		Args: cobra.RangeArgs(1, 2),
		RunE: a.run(func(c *cobra.Command, args []string, cl *client.Client, p *printer) error {
			if (len(args) == 2) == (where != "") {
				return fault.New(fault.Invalid, "name one event, or give --where a condition")
			}
			q := url.Values{}
			if where != "" {
				q.Set("where", where)
			} else {
				q.Set("event", args[1])
			}
			var t api.Trace
			if err := cl.JSON(c.Context(), http.MethodGet, "/v1/pipelines/"+url.PathEscape(args[0])+"/trace?"+q.Encode(), nil, &t); err != nil {
				return err
			}
			if p.format == "table" {
				printTrace(c.OutOrStdout(), t)
				return nil
			}
			var rows [][]string
			for _, e := range t.Events {
				for _, at := range e.Copies {
					rows = append(rows, []string{e.ID, at.Position, at.Verdict, at.Because, at.Layer, at.Segment, at.DayFile, at.Letter})
				}
			}
			return p.value(t, []string{"id", "position", "verdict", "because", "layer", "segment", "day_file", "letter"}, rows)
		}),
	}
	a.flags(c)
	c.Flags().StringVar(&where, "where", "", "a condition in SQL over the event's fields")
	return c
}

// printTrace tells it for a person.
func printTrace(w io.Writer, t api.Trace) {
	if l := t.Letter; l != nil {
		fmt.Fprintf(w, "dead letter %s, %s: %s: %s\n", l.ID, l.Received.Local().Format("2006-01-02 15:04:05"), l.Code, l.Message)
		switch {
		case t.Released != nil:
			fmt.Fprintf(w, "  sent back by %s, %s %s\n", t.Released.By, t.Released.At.Local().Format("2006-01-02 15:04:05"), t.Released.Into)
		case len(t.Events) == 0:
			fmt.Fprintln(w, "  refused at the door, and not sent back")
		}
	}
	for _, e := range t.Events {
		fmt.Fprintf(w, "event %s\n  %s\n", e.ID, pairs(e.Fields))
		for _, c := range e.Copies {
			fmt.Fprintf(w, "  %s: %s", c.Position, c.Verdict)
			if c.Because != "" {
				fmt.Fprintf(w, " %s", c.Because)
			}
			if c.Segment == "" {
				fmt.Fprint(w, "; only in the log yet")
			}
			fmt.Fprintln(w)
			for _, line := range [][2]string{{"segment", c.Segment}, {"day file", c.DayFile}, {"dead letter", c.Letter}, {"sent back", c.Released}} {
				if line[1] != "" {
					fmt.Fprintf(w, "    %s %s\n", line[0], line[1])
				}
			}
		}
		for _, c := range e.Cells {
			version := c.Version[:min(8, len(c.Version))]
			if !c.Answers {
				version += ", which does not answer"
			}
			if c.Out {
				fmt.Fprintf(w, "  not in %s (version %s): its WHERE leaves the event out\n", c.View, version)
				continue
			}
			fmt.Fprintf(w, "  in %s (version %s): %s\n", c.View, version, pairs(c.Key))
			if c.States != "" {
				fmt.Fprintf(w, "    states %s\n", c.States)
			}
		}
	}
	if t.More {
		fmt.Fprintf(w, "there are more than these %d: narrow the condition\n", len(t.Events))
	}
}

func pairs(m map[string]string) string {
	var out []string
	for _, k := range slices.Sorted(maps.Keys(m)) {
		out = append(out, k+"="+m[k])
	}
	return strings.Join(out, ", ")
}
