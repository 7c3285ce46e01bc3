package pipetest

import (
	"fmt"
	"math"
	"math/big"
	"slices"
	"strconv"
	"strings"

	"anabranch/schemas"
	"anabranch/serving/httpapi"
)

// cell is a value of an answer, as text.
type cell struct {
	text string
	null bool
}

func cellOf(columnType string, v any) cell {
	return cell{httpapi.Text(columnType, v), v == nil}
}

func (c cell) String() string {
	switch {
	case c.null:
		return "null"
	case c.text == "" || strings.ContainsAny(c.text, ",:{}\"'"):
		return strconv.Quote(c.text)
	}
	return c.text
}

// table is rows under the columns of an expectation.
type table struct {
	types []string
	rows  [][]cell
}

// maxShown bounds the lines of one difference.
const maxShown = 10

// compare returns a line for every expected row that is not there and every
// row that nobody expected. A row of either side is used once; order is free.
func compare(file string, want schemas.ExpectedRows, got table) []string {
	used := make([]bool, len(got.rows))
	var missing []schemas.ExpectedRow
	for _, row := range want.Rows {
		i := 0
		for i < len(got.rows) && (used[i] || !matches(row.Cells, got.rows[i], got.types)) {
			i++
		}
		if i == len(got.rows) {
			missing = append(missing, row)
			continue
		}
		used[i] = true
	}
	var left [][]cell
	for i, row := range got.rows {
		if !used[i] {
			left = append(left, row)
		}
	}
	var out []string
	for i, row := range missing {
		if i == maxShown {
			out = append(out, fmt.Sprintf("%s:%d: %s: %d more rows are missing", file, want.Line, want.View, len(missing)-i))
			break
		}
		out = append(out, fmt.Sprintf("%s:%d: %s: want %s", file, row.Line, want.View, wanted(want.Columns, row)))
		if n := nearest(row.Cells, left, got.types); n >= 0 {
			out = append(out, fmt.Sprintf("%s got  %s", strings.Repeat(" ", len(fmt.Sprintf("%s:%d: %s:", file, row.Line, want.View))), shown(want.Columns, left[n])))
			left = slices.Delete(left, n, n+1)
		}
	}
	line := want.Line
	for i, row := range left {
		place := file
		if line > 0 {
			place += ":" + strconv.Itoa(line)
		}
		if i == maxShown {
			out = append(out, fmt.Sprintf("%s: %s: %d more rows that are not expected", place, want.View, len(left)-i))
			break
		}
		out = append(out, fmt.Sprintf("%s: %s: not expected: %s", place, want.View, shown(want.Columns, row)))
	}
	return out
}

// nearest returns the row that has the most cells of want and at least one,
// or the only one left, or -1.
func nearest(want []schemas.ExpectedCell, rows [][]cell, types []string) int {
	best, most := -1, 0
	for i, row := range rows {
		n := 0
		for c := range want {
			if equal(want[c], row[c], types[c]) {
				n++
			}
		}
		if n > most {
			best, most = i, n
		}
	}
	if best < 0 && len(rows) == 1 {
		return 0
	}
	return best
}

func matches(want []schemas.ExpectedCell, got []cell, types []string) bool {
	for i := range want {
		if !equal(want[i], got[i], types[i]) {
			return false
		}
	}
	return true
}

// equal compares by the column's type: exact numbers by value, a DOUBLE to the
// digits that were written, anything else as text.
func equal(want schemas.ExpectedCell, got cell, columnType string) bool {
	if want.Null || got.null {
		return want.Null == got.null
	}
	if want.Text == got.text {
		return true
	}
	switch {
	case columnType == "DOUBLE" || columnType == "FLOAT":
		w, err := strconv.ParseFloat(want.Text, 64)
		g, gotErr := strconv.ParseFloat(got.text, 64)
		if err != nil || gotErr != nil {
			return false
		}
		if w == g {
			return true
		}
		_, digits, _ := strings.Cut(want.Text, ".")
		if strings.ContainsAny(want.Text, "eE") || math.IsInf(w-g, 0) || math.IsNaN(w-g) {
			return false
		}
		half := math.Pow10(-len(digits)) / 2 * (1 + 1e-9) // a value half way is either
		return math.Abs(w-g) <= half
	case strings.HasSuffix(columnType, "INT"), columnType == "INTEGER", strings.HasPrefix(columnType, "DECIMAL"):
		w, ok := new(big.Rat).SetString(want.Text)
		g, okGot := new(big.Rat).SetString(got.text)
		return ok && okGot && w.Cmp(g) == 0
	case strings.HasPrefix(columnType, "TIMESTAMP"):
		return strings.Replace(want.Text, "T", " ", 1) == got.text
	}
	return false
}

func wanted(columns []string, row schemas.ExpectedRow) string {
	cells := make([]cell, len(row.Cells))
	for i, c := range row.Cells {
		cells[i] = cell{c.Text, c.Null}
	}
	return shown(columns, cells)
}

func shown(columns []string, row []cell) string {
	parts := make([]string, len(row))
	for i, c := range row {
		parts[i] = columns[i] + ": " + c.String()
	}
	return "{" + strings.Join(parts, ", ") + "}"
}
