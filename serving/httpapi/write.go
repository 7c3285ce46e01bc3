package httpapi

import (
	"bufio"
	"encoding/base64"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"math/big"
	"net/http"
	"strconv"
	"time"

	"github.com/duckdb/duckdb-go/v2"

	"anabranch/serving/sql"
)

// write sends the answer in the asked format, row by row.
func write(w http.ResponseWriter, a *sql.Answer, f format) error {
	receipt, err := json.Marshal(a.Receipt)
	if err != nil {
		return err
	}
	h := w.Header()
	h.Set("Content-Type", string(f))
	h.Set("Anabranch-Receipt", string(receipt))
	h.Set("Cache-Control", "no-store")
	out := bufio.NewWriterSize(w, 64<<10)
	switch f {
	case asCSV:
		err = writeCSV(out, a)
	case asNDJSON:
		err = writeNDJSON(out, a)
	default:
		err = writeJSON(out, a, receipt)
	}
	if err != nil {
		return err
	}
	return out.Flush()
}

// writeJSON writes {"columns": [...], "rows": [[...]], "receipt": {...}}.
// Numbers keep every digit: decimals and 128-bit integers are JSON numbers
// with as many digits as they have.
func writeJSON(out *bufio.Writer, a *sql.Answer, receipt []byte) error {
	columns, err := json.Marshal(a.Columns)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, `{"columns":%s,"rows":[`, columns)
	line := make([]byte, 0, 256)
	for n := 0; ; n++ {
		row, err := a.Next()
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
		for i, v := range row {
			if i > 0 {
				line = append(line, ',')
			}
			line = appendJSON(line, a.Columns[i].Type, v)
		}
		if _, err := out.Write(append(line, ']')); err != nil {
			return err
		}
	}
	_, err = fmt.Fprintf(out, "],\n\"receipt\":%s}\n", receipt)
	return err
}

// writeNDJSON writes one object a row.
func writeNDJSON(out io.Writer, a *sql.Answer) error {
	names := make([][]byte, len(a.Columns))
	for i, c := range a.Columns {
		names[i], _ = json.Marshal(c.Name)
	}
	line := make([]byte, 0, 256)
	for {
		row, err := a.Next()
		if err != nil || row == nil {
			return err
		}
		line = append(line[:0], '{')
		for i, v := range row {
			if i > 0 {
				line = append(line, ',')
			}
			line = append(append(line, names[i]...), ':')
			line = appendJSON(line, a.Columns[i].Type, v)
		}
		if _, err := out.Write(append(line, "}\n"...)); err != nil {
			return err
		}
	}
}

// writeCSV writes a header and the rows; null is an empty field.
func writeCSV(out io.Writer, a *sql.Answer) error {
	w := csv.NewWriter(out)
	cells := make([]string, len(a.Columns))
	for i, c := range a.Columns {
		cells[i] = c.Name
	}
	if err := w.Write(cells); err != nil {
		return err
	}
	for {
		row, err := a.Next()
		if err != nil {
			return err
		}
		if row == nil {
			w.Flush()
			return w.Error()
		}
		for i, v := range row {
			cells[i] = Text(a.Columns[i].Type, v)
		}
		if err := w.Write(cells); err != nil {
			return err
		}
	}
}

// Text renders a value as DuckDB's shell would; null is empty.
func Text(columnType string, v any) string {
	switch x := v.(type) {
	case nil:
		return ""
	case string:
		return x
	case bool:
		return strconv.FormatBool(x)
	case int64:
		return strconv.FormatInt(x, 10)
	case float64:
		return strconv.FormatFloat(x, 'g', -1, 64)
	case *big.Int:
		return x.String()
	case duckdb.Decimal:
		return x.String()
	case time.Time:
		return timeText(columnType, x)
	case []byte:
		if columnType == "UUID" && len(x) == 16 {
			return fmt.Sprintf("%x-%x-%x-%x-%x", x[:4], x[4:6], x[6:8], x[8:10], x[10:])
		}
		return base64.StdEncoding.EncodeToString(x)
	case duckdb.Interval:
		return fmt.Sprintf("%d months %d days %d us", x.Months, x.Days, x.Micros)
	}
	if text, err := json.Marshal(v); err == nil {
		return string(text)
	}
	return fmt.Sprint(v)
}

func timeText(columnType string, t time.Time) string {
	switch columnType {
	case "DATE":
		return t.Format(time.DateOnly)
	case "TIME":
		return t.Format("15:04:05.999999")
	case "TIMESTAMPTZ", "TIMESTAMP WITH TIME ZONE":
		return t.Format("2006-01-02 15:04:05.999999-07")
	}
	return t.Format("2006-01-02 15:04:05.999999")
}

func appendJSON(dst []byte, columnType string, v any) []byte {
	switch x := v.(type) {
	case nil:
		return append(dst, "null"...)
	case bool, int64, int32, int16, int8, uint64, uint32, uint16, uint8, *big.Int, duckdb.Decimal:
		return append(dst, fmt.Sprint(plain(x))...)
	case float64:
		if math.IsNaN(x) || math.IsInf(x, 0) {
			return append(dst, "null"...) // JSON has no word for it
		}
	case float32:
		return strconv.AppendFloat(dst, float64(x), 'g', -1, 32)
	case []any, map[string]any:
	default:
		text, err := json.Marshal(Text(columnType, v))
		if err != nil {
			return append(dst, "null"...)
		}
		return append(dst, text...)
	}
	text, err := json.Marshal(v)
	if err != nil {
		return append(dst, "null"...)
	}
	return append(dst, text...)
}

// plain makes numbers print all their digits.
func plain(v any) any {
	if d, ok := v.(duckdb.Decimal); ok {
		return d.String()
	}
	return v
}
