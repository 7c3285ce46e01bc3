package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/rivo/uniseg"
)

// table is rows to show on a terminal.
type table struct {
	columns []string
	numbers []bool // by column: aligned to the right, and never cut
	rows    [][]string
}

const (
	gap      = 2  // between columns
	leastCut = 10 // no text is cut to less
)

// write shows the table in lines of at most width, 0 for any. Texts are cut
// where they are longest; where even that is not enough, each row is shown with
// a column a line.
func (t *table) write(out io.Writer, width int) error {
	for i := range t.rows {
		t.rows[i] = clean(t.rows[i])
	}
	t.columns = clean(t.columns)
	widths := make([]int, len(t.columns))
	for i, c := range t.columns {
		widths[i] = max(1, uniseg.StringWidth(c))
		for _, r := range t.rows {
			widths[i] = max(widths[i], uniseg.StringWidth(r[i]))
		}
	}
	if width > 0 && !t.fit(widths, width) {
		return t.upright(out, width)
	}
	var b strings.Builder
	line := func(cells []string) {
		var l strings.Builder
		for i, c := range cells {
			pad := widths[i] - uniseg.StringWidth(c)
			switch {
			case pad < 0:
				c, pad = shorten(c, widths[i])
			case t.numbers[i]:
				c, pad = strings.Repeat(" ", pad)+c, 0
			}
			l.WriteString(c)
			l.WriteString(strings.Repeat(" ", pad+gap))
		}
		b.WriteString(strings.TrimRight(l.String(), " ") + "\n")
	}
	line(t.columns)
	rule := make([]string, len(widths))
	for i, w := range widths {
		rule[i] = strings.Repeat("-", w)
	}
	line(rule)
	for _, r := range t.rows {
		line(r)
	}
	_, err := io.WriteString(out, b.String())
	return err
}

// fit makes the widest texts narrower until all columns fit, if they can.
func (t *table) fit(widths []int, width int) bool {
	total := gap * (len(widths) - 1)
	for _, w := range widths {
		total += w
	}
	for ; total > width; total-- {
		widest := -1
		for i, w := range widths {
			if w > leastCut && !t.numbers[i] && (widest < 0 || w > widths[widest]) {
				widest = i
			}
		}
		if widest < 0 {
			return false
		}
		widths[widest]--
	}
	return true
}

// upright shows a column a line.
func (t *table) upright(out io.Writer, width int) error {
	names := 0
	for _, c := range t.columns {
		names = max(names, uniseg.StringWidth(c))
	}
	names = min(names, max(leastCut, width/2))
	var b strings.Builder
	for n, r := range t.rows {
		title := fmt.Sprintf("-- row %d ", n+1)
		b.WriteString(title + strings.Repeat("-", max(0, min(width, 40)-len(title))) + "\n")
		for i, c := range t.columns {
			name, pad := shorten(c, names)
			value, _ := shorten(r[i], max(leastCut, width-names-gap))
			b.WriteString(strings.TrimRight(name+strings.Repeat(" ", pad+gap)+value, " ") + "\n")
		}
	}
	_, err := io.WriteString(out, b.String())
	return err
}

// shorten returns s in at most width cells, with … where something is missing, and
// the cells that are left.
func shorten(s string, width int) (string, int) {
	if w := uniseg.StringWidth(s); w <= width {
		return s, width - w
	}
	kept, state, used := 0, -1, 0
	for rest := s; rest != ""; {
		cluster, more, w, next := uniseg.FirstGraphemeClusterInString(rest, state)
		if used+w > width-1 {
			break
		}
		used += w
		kept += len(cluster)
		rest, state = more, next
	}
	return s[:kept] + "…", width - used - 1
}

// isNumber reports whether values of a type are aligned to the right.
func isNumber(columnType string) bool {
	name, _, _ := strings.Cut(columnType, "(")
	switch name {
	case "TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT", "UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT", "UHUGEINT", "FLOAT", "DOUBLE", "DECIMAL":
		return true
	}
	return false
}
