package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"anabranch/cmd/anabranch/client"
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

func newQuery() *cobra.Command {
	var a asking
	var atLeast string
	var receipt bool
	c := &cobra.Command{
		Use:   "query SQL",
		Short: "Ask the merged views in SQL (DuckDB's dialect); - reads the SQL from standard input",
		Example: `  anabranch query 'SELECT * FROM retail.day ORDER BY day DESC LIMIT 5'
  anabranch query -o csv 'SELECT country, sum(net_milli) FROM retail.country_day GROUP BY ALL'`,
		Args: exactly(1, "one SQL text"),
		RunE: a.run(func(c *cobra.Command, args []string, cl *client.Client, p *printer) error {
			sql := args[0]
			if sql == "-" {
				text, err := io.ReadAll(c.InOrStdin())
				if err != nil {
					return err
				}
				sql = string(text)
			}
			accept := "application/json"
			if a.output == "csv" {
				accept = "text/csv"
			}
			body, err := json.Marshal(map[string]string{"sql": sql, "at_least": atLeast})
			if err != nil {
				return err
			}
			began := time.Now()
			resp, err := cl.Do(c.Context(), http.MethodPost, "/v1/query", http.Header{"Accept": {accept}, "Content-Type": {"application/json"}}, body)
			if err != nil {
				return err
			}
			defer resp.Body.Close()
			if a.output != "table" {
				if _, err := io.Copy(c.OutOrStdout(), resp.Body); err != nil {
					return fmt.Errorf("read the answer: %w", err)
				}
				if receipt {
					fmt.Fprintln(c.ErrOrStderr(), resp.Header.Get("Anabranch-Receipt"))
				}
				return nil
			}
			var answer queryAnswer
			if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil {
				return fmt.Errorf("read the answer: %w", err)
			}
			if err := p.rows(columnNames(answer), cells(answer)); err != nil {
				return err
			}
			fmt.Fprintf(c.ErrOrStderr(), "%d rows, %s\n", len(answer.Rows), time.Since(began).Round(time.Millisecond))
			if receipt {
				fmt.Fprintf(c.ErrOrStderr(), "%s\n", answer.Receipt)
			}
			return nil
		}),
	}
	a.flags(c)
	c.Flags().BoolVar(&receipt, "receipt", false, "print the receipt: versions, cut and position of the answer")
	c.Flags().StringVar(&atLeast, "at-least", "", "wait until the answer includes this receipt of a send (JSON)")
	return c
}

func columnNames(a queryAnswer) []string {
	names := make([]string, len(a.Columns))
	for i, c := range a.Columns {
		names[i] = c.Name
	}
	return names
}

// cells turns JSON values into text: strings without quotes, null as empty.
func cells(a queryAnswer) [][]string {
	rows := make([][]string, len(a.Rows))
	for i, r := range a.Rows {
		rows[i] = make([]string, len(r))
		for j, v := range r {
			var s string
			if text := string(v); strings.HasPrefix(text, `"`) && json.Unmarshal(v, &s) == nil {
				rows[i][j] = s
			} else if text != "null" {
				rows[i][j] = text
			}
		}
	}
	return rows
}
