package httpapi

import (
	"context"
	"encoding/json"
	"fmt"
	"io"

	"anabranch/serving"
	"anabranch/serving/sql"
)

// answer is an open answer, by rows or by columns.
type answer struct {
	rows    *sql.Answer
	records *sql.Records
}

// ask has the engine answer in the way that a format is written.
func ask(ctx context.Context, engine *sql.Engine, r sql.Request, f format) (a answer, err error) {
	if f.columnar() {
		a.records, err = engine.Records(ctx, r)
	} else {
		a.rows, err = engine.Query(ctx, r)
	}
	return a, err
}

func (a answer) close() {
	if a.records != nil {
		_ = a.records.Close()
	} else {
		_ = a.rows.Close()
	}
}

// receipt is what the answer covers.
func (a answer) receipt() serving.Receipt {
	if a.records != nil {
		return a.records.Receipt
	}
	return a.rows.Receipt
}

// write writes the answer in a format, and returns how many rows it has.
func (a answer) write(w io.Writer, f format, receipt []byte) (rows int64, err error) {
	switch f {
	case asArrow:
		return writeArrow(w, a.records)
	case asParquet:
		return writeParquet(w, a.records)
	}
	return writeRows(w, f, rowset{a.rows.Columns, a.rows.Row}, receipt)
}

// writeRows writes rows in one of the formats that are written by rows.
func writeRows(w io.Writer, f format, a rowset, receipt []byte) (rows int64, err error) {
	counted := rowset{a.columns, func() ([]sql.Datum, error) {
		row, err := a.next()
		if row != nil {
			rows++
		}
		return row, err
	}}
	switch f {
	case asCSV:
		err = writeCSV(w, counted)
	case asNDJSON:
		err = writeNDJSON(w, counted)
	default:
		err = writeJSON(w, counted, receipt)
	}
	return rows, err
}

// writeJSON writes {"columns": [...], "rows": [[...]], "receipt": {...}}.
// Numbers keep every digit: decimals and 128-bit integers are JSON numbers
// with as many digits as they have.
func writeJSON(out io.Writer, a rowset, receipt []byte) error {
	columns, err := json.Marshal(a.columns)
	if err != nil {
		return err
	}
	types := typesOf(a)
	fmt.Fprintf(out, `{"columns":%s,"rows":[`, columns)
	line := make([]byte, 0, 256)
	for n := 0; ; n++ {
		row, err := a.next()
		if err != nil {
			return err
		}
		if row == nil {
			break
		}
		line = line[:0]
		if n > 0 {
			line = append(line, ',')
		}
		line = append(line, "\n["...)
		for i := range row {
			if i > 0 {
				line = append(line, ',')
			}
			line = appendJSON(line, types[i], &row[i])
		}
		if _, err := out.Write(append(line, ']')); err != nil {
			return err
		}
	}
	_, err = fmt.Fprintf(out, "],\n\"receipt\":%s}\n", receipt)
	return err
}

// writeNDJSON writes one object a row, in which each name is there once.
func writeNDJSON(out io.Writer, a rowset) error {
	names, types := make([][]byte, len(a.columns)), typesOf(a)
	for i, name := range onceNamed(len(a.columns), func(i int) string { return a.columns[i].Name }) {
		names[i], _ = json.Marshal(name)
	}
	line := make([]byte, 0, 256)
	for {
		row, err := a.next()
		if err != nil || row == nil {
			return err
		}
		line = append(line[:0], '{')
		for i := range row {
			if i > 0 {
				line = append(line, ',')
			}
			line = append(append(line, names[i]...), ':')
			line = appendJSON(line, types[i], &row[i])
		}
		if _, err := out.Write(append(line, "}\n"...)); err != nil {
			return err
		}
	}
}

// writeCSV writes a header and the rows; null is an empty field.
func writeCSV(out io.Writer, a rowset) error {
	line, types := make([]byte, 0, 256), typesOf(a)
	for i, c := range a.columns {
		if i > 0 {
			line = append(line, ',')
		}
		line = fieldFrom(append(line, c.Name...), len(line))
	}
	for {
		if _, err := out.Write(append(line, '\n')); err != nil {
			return err
		}
		row, err := a.next()
		if err != nil || row == nil {
			return err
		}
		line = line[:0]
		for i := range row {
			if i > 0 {
				line = append(line, ',')
			}
			line = appendField(line, types[i], &row[i])
		}
	}
}
