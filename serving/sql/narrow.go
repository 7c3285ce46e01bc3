package sql

import (
	"context"
	"database/sql"
	"regexp"
	"strconv"
	"strings"

	"anabranch/event"
)

// DuckDB 1.5 hands the texts of an IN list to a scan as a hint alone: it skips
// row groups by the first eight bytes of their bounds, and leaves the rows to a
// filter behind the scan, which then has read all columns of all rows. It does
// better with a range. So next to
//
//	merchant IN ('merchant_00002', 'merchant_00001')
//
// stands that merchant lies between the smallest and the largest of these, which
// is true or null wherever the list is.

// among is a condition that a plain column is one of some texts.
type among struct {
	use         // of the column; at is where it is written
	written     string
	least, most string
}

// plainColumn is a column as it is written right before IN.
var plainColumn = regexp.MustCompile(`^` + aWrittenColumn + `\s+$`)

// narrow notes the lists that a WHERE requires a column to be in: those that are
// not below OR or NOT.
func (w *walker) narrow(where any) {
	v, _ := where.(map[string]any)
	children, _ := v["children"].([]any)
	switch v["type"] {
	case "CONJUNCTION_AND":
		for _, c := range children {
			w.narrow(c)
		}
		return
	case "COMPARE_IN":
	default:
		return
	}
	if len(children) < 3 { // one value is an equality to DuckDB
		return
	}
	column, _ := children[0].(map[string]any)
	a := among{use: use{column: textsOf(column["column_names"]), from: w.from, at: offset(column)}}
	in := offset(v)
	if column["class"] != "COLUMN_REF" || a.at < 0 || in <= a.at || in > len(w.text) || !plainColumn.MatchString(w.text[a.at:in]) {
		return
	}
	for i, c := range children[1:] {
		text, ok := w.textOf(c)
		if !ok {
			return
		}
		if i == 0 || text < a.least {
			a.least = text
		}
		if i == 0 || text > a.most {
			a.most = text
		}
	}
	a.written = strings.TrimSpace(w.text[a.at:in])
	w.amongst = append(w.amongst, a)
}

// textOf returns a text that is written, or that a parameter has.
func (w *walker) textOf(n any) (text string, ok bool) {
	v, _ := n.(map[string]any)
	switch v["class"] {
	case "CONSTANT":
		value, _ := v["value"].(map[string]any)
		kind, _ := value["type"].(map[string]any)
		text, ok = value["value"].(string)
		return text, ok && kind["id"] == "VARCHAR"
	case "PARAMETER":
		number, _ := v["identifier"].(string)
		if i, err := strconv.Atoi(number); err == nil && i >= 1 && i <= len(w.args) {
			text, ok = w.args[i-1].(string)
		}
	}
	return text, ok
}

// narrowed turns the lists of texts into edits.
func (e *Engine) narrowed(all []among) (edits []edit) {
	for _, a := range all {
		src, asked, i, _, ok := e.column(a.use)
		if !ok {
			continue
		}
		column := src.Shown(asked).Output().Fields[i].Name
		more := a.written + " >= " + text(a.least) + " AND " + a.written + " <= " + text(a.most) + " AND "
		edits = append(edits, edit{a.at, a.at, func(_ context.Context, _ *sql.Conn, ep *epoch) (string, error) {
			// Texts in a list are of the type of the column, and only texts
			// themselves lie as they are written.
			if v := ep.views[src.Name][asked]; v == nil || !textual(v.Output(), column) {
				return "", nil
			}
			return more, nil
		}})
	}
	return edits
}

func textual(shape *event.Shape, column string) bool {
	i := shape.Index(column)
	return i >= 0 && shape.Fields[i].Type.Kind == event.String
}
