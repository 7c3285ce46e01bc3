package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"anabranch/cmd/anabranch/client"
	"anabranch/fault"
)

// queryAnswer is the part of the server's JSON answer that a table needs.
type queryAnswer struct {
	Columns []struct {
		Name string `json:"name"`
		Type string `json:"type"`
	} `json:"columns"`
	Rows    [][]json.RawMessage `json:"rows"`
	Receipt json.RawMessage     `json:"receipt"`
}

// querying is one way to ask and to show.
type querying struct {
	client   *client.Client
	out, err io.Writer
	format   string // one of formats
	file     string // to write to instead of out
	atLeast  string
	receipt  bool // show it
	timing   bool // show it of every format
	last     json.RawMessage
}

// formats are the media types of answers by the name of -o.
var formats = map[string]string{
	"table": "application/json", "json": "application/json", "ndjson": "application/x-ndjson", "csv": "text/csv",
	"arrow": "application/vnd.apache.arrow.stream", "parquet": "application/vnd.apache.parquet",
}

func formatOf(name string) error {
	if formats[name] == "" {
		return fault.New(fault.Invalid, "-o %q: want table, json, ndjson, csv, arrow or parquet", name)
	}
	return nil
}

func newQuery() *cobra.Command {
	var t target
	q := querying{}
	var every time.Duration
	c := &cobra.Command{
		Use:   "query SQL",
		Short: "Ask the merged views in SQL (DuckDB's dialect); - reads the SQL from standard input",
		Example: `  anabranch query 'SELECT * FROM retail.day ORDER BY day DESC LIMIT 5'
  anabranch query --watch 2s 'SELECT * FROM retail.day ORDER BY day DESC LIMIT 5'
  anabranch query -o csv 'SELECT country, sum(net_milli) FROM retail.country_day GROUP BY ALL'
  anabranch query -o parquet --file day.parquet 'SELECT * FROM retail.day'`,
		Args: exactly(1, "one SQL text"),
		RunE: func(c *cobra.Command, args []string) error {
			q.out, q.err = c.OutOrStdout(), c.ErrOrStderr()
			if err := formatOf(q.format); err != nil {
				return err
			}
			if q.file != "" && q.format == "table" {
				return fault.New(fault.Invalid, "--file takes -o json, ndjson, csv, arrow or parquet")
			}
			if every > 0 && q.format != "table" {
				return fault.New(fault.Invalid, "--watch shows a table: leave -o out")
			}
			sql := args[0]
			if sql == "-" {
				text, err := io.ReadAll(c.InOrStdin())
				if err != nil {
					return err
				}
				sql = string(text)
			}
			var err error
			if q.client, err = t.client(); err != nil {
				return err
			}
			if every > 0 {
				return q.watch(c.Context(), sql, every)
			}
			if err = q.run(c.Context(), sql); err != nil && c.Context().Err() == nil {
				fmt.Fprint(q.err, marked(sql, err))
			}
			return err
		},
	}
	t.flags(c)
	c.Flags().StringVarP(&q.format, "output", "o", "table", "table, json, ndjson, csv, arrow (a stream) or parquet")
	c.Flags().StringVar(&q.file, "file", "", "write the answer there, not to standard output; not of a table")
	c.Flags().BoolVar(&q.receipt, "receipt", false, "print the receipt: versions, cut and position of the answer")
	c.Flags().BoolVar(&q.timing, "timing", false, "print how long it took, with every -o")
	c.Flags().StringVar(&q.atLeast, "at-least", "", "wait until the answer includes this receipt of a send (JSON)")
	c.Flags().DurationVar(&every, "watch", 0, "ask again and again, this long apart, until interrupted")
	return c
}

// run asks once and shows the answer.
func (q *querying) run(ctx context.Context, sql string) error {
	if f, ok := q.out.(*os.File); ok && q.file == "" && (q.format == "arrow" || q.format == "parquet") && term.IsTerminal(int(f.Fd())) {
		return fault.New(fault.Invalid, "the answer would be bytes, not text: name a file with --file, or send them on with |")
	}
	body, err := json.Marshal(map[string]string{"sql": sql, "at_least": q.atLeast})
	if err != nil {
		return err
	}
	began := time.Now()
	resp, err := q.client.Do(ctx, http.MethodPost, "/v1/query", http.Header{"Accept": {formats[q.format]}, "Content-Type": {"application/json"}}, body)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	q.last = json.RawMessage(resp.Header.Get("Anabranch-Receipt"))
	if q.format != "table" {
		if err := save(q.out, q.file, resp.Body); err != nil {
			return fmt.Errorf("read the answer: %w", err)
		}
		if q.timing {
			fmt.Fprintf(q.err, "%s\n", time.Since(began).Round(time.Millisecond/10))
		}
	} else {
		var answer queryAnswer
		if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil {
			return fmt.Errorf("read the answer: %w", err)
		}
		took := time.Since(began)
		if err := answer.table().write(q.out, widthOf(q.out)); err != nil {
			return err
		}
		rows := "rows"
		if len(answer.Rows) == 1 {
			rows = "row"
		}
		fmt.Fprintf(q.err, "%d %s, %s\n", len(answer.Rows), rows, took.Round(time.Millisecond/10))
	}
	if q.receipt {
		fmt.Fprintf(q.err, "%s\n", q.last)
	}
	return nil
}

// watch asks until it is interrupted. On a terminal each answer replaces the
// one before.
func (q *querying) watch(ctx context.Context, sql string, every time.Duration) error {
	tick := time.NewTicker(every)
	defer tick.Stop()
	screen, out := widthOf(q.out) > 0, q.out
	for {
		var b strings.Builder
		page := *q
		if screen {
			page.out, page.err = &sized{&b, widthOf(out)}, &b
		}
		err := page.run(ctx, sql)
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil && fault.KindOf(err).Retryable():
			fmt.Fprintf(&b, "%v\n", err)
		case err != nil:
			return err
		}
		if screen {
			fmt.Fprintf(out, "\x1b[H\x1b[2J%s  every %s: %s\n\n%s", time.Now().Format(time.TimeOnly), every, strings.Join(strings.Fields(sql), " "), b.String())
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
	}
}

// sized is text that will be shown in a terminal of some width.
type sized struct {
	io.Writer
	width int
}

// widthOf is the width of a terminal; 0: out is none.
func widthOf(out io.Writer) int {
	switch o := out.(type) {
	case *sized:
		return o.width
	case *os.File:
		if w, _, err := term.GetSize(int(o.Fd())); err == nil {
			return w
		}
	}
	return 0
}

// save copies an answer to a file, which is there whole or not at all, or to
// out when it has no name.
func save(out io.Writer, file string, answer io.Reader) error {
	if file == "" {
		_, err := io.Copy(out, answer)
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(file), filepath.Base(file)+".*.part")
	if err != nil {
		return fault.Wrap(fault.Invalid, err)
	}
	defer os.Remove(f.Name()) // in vain when it has its name
	_, err = io.Copy(f, answer)
	if err = errors.Join(err, f.Chmod(0o644), f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), file)
}

// table turns JSON values into text: strings without quotes, null as empty.
func (a *queryAnswer) table() *table {
	t := &table{}
	for _, c := range a.Columns {
		t.columns = append(t.columns, c.Name)
		t.numbers = append(t.numbers, isNumber(c.Type))
	}
	for _, r := range a.Rows {
		row := make([]string, len(r))
		for j, v := range r {
			var s string
			if text := string(v); strings.HasPrefix(text, `"`) && json.Unmarshal(v, &s) == nil {
				row[j] = s
			} else if text != "null" {
				row[j] = text
			}
		}
		t.rows = append(t.rows, row)
	}
	return t
}

var placed = regexp.MustCompile(`\(line (\d+), column (\d+)\)`)

// marked shows the line of a text that an error is about, with the place
// marked; "" when the error has none.
func marked(sql string, err error) string {
	m := placed.FindStringSubmatch(err.Error())
	if m == nil {
		return ""
	}
	line, _ := strconv.Atoi(m[1])
	column, _ := strconv.Atoi(m[2])
	lines := strings.Split(sql, "\n")
	if line < 1 || line > len(lines) || column < 1 || column > len(lines[line-1])+1 {
		return ""
	}
	text := lines[line-1]
	from := max(0, column-1-50)
	end := min(len(text), from+76)
	return "  " + strings.ToValidUTF8(text[from:end], "") + "\n  " + strings.Repeat(" ", column-1-from) + "^\n"
}
