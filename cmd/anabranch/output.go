package main

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"anabranch/fault"
)

// printer writes rows the way -o asks for.
type printer struct {
	out    io.Writer
	format string
}

func newPrinter(out io.Writer, format string) (*printer, error) {
	switch format {
	case "table", "json", "csv":
		return &printer{out, format}, nil
	}
	return nil, fault.New(fault.Invalid, "-o %q: want table, json or csv", format)
}

// value prints whole as JSON, or else columns and rows.
func (p *printer) value(whole any, columns []string, rows [][]string) error {
	if p.format == "json" {
		e := json.NewEncoder(p.out)
		e.SetIndent("", "  ")
		return e.Encode(whole)
	}
	return p.rows(columns, rows)
}

// rows prints text cells as a table or as CSV.
func (p *printer) rows(columns []string, rows [][]string) error {
	if p.format == "csv" {
		w := csv.NewWriter(p.out)
		if err := w.Write(columns); err != nil {
			return err
		}
		return w.WriteAll(rows)
	}
	w := tabwriter.NewWriter(p.out, 0, 0, 2, ' ', 0)
	line := func(cells []string) {
		fmt.Fprintln(w, strings.Join(clean(cells), "\t"))
	}
	line(columns)
	rule := make([]string, len(columns))
	for i, c := range columns {
		rule[i] = strings.Repeat("-", max(len(c), 1))
	}
	line(rule)
	for _, r := range rows {
		line(r)
	}
	return w.Flush()
}

// clean keeps a cell on its line and in its column, and from the terminal what
// would be a command to it: what is in a cell may come from anybody.
func clean(cells []string) []string {
	out := make([]string, len(cells))
	for i, c := range cells {
		out[i] = strings.Map(shown, strings.NewReplacer("\t", " ", "\r\n", "⏎", "\n", "⏎", "\r", "").Replace(c))
	}
	return out
}

// shown is a character as a table has it: those that move the cursor, start a
// command to the terminal or turn the direction of what follows have pictures.
func shown(r rune) rune {
	switch {
	case r < ' ':
		return '␀' + r
	case r == 0x7f:
		return '␡'
	case r < 0xa0 && r > 0x7f, r >= 0x202a && r <= 0x202e, r >= 0x2066 && r <= 0x2069:
		return '�'
	}
	return r
}
