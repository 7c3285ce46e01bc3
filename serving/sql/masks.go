package sql

import (
	"fmt"
	"strings"
	"unsafe"

	"anabranch/event"
)

// maxMasks is up to how many files of a view are read each by itself, without
// the rows that speed has touched. Beyond that planning would cost more than
// looking every group up.
const maxMasks = 64

// masks mark rows of batch files, by path: a bit for each row, up to the last
// one that is marked.
type masks map[string][]byte

// mark marks the rows that files and rows, two columns of one batch, tell.
func (m masks) mark(files, rows *event.Column) {
	var file string // most rows are of the file of the row before
	var bits []byte
	for i, row := range rows.Ints {
		if f := files.Bytes(i); string(f) != file {
			m[file] = bits
			file = string(f)
			bits = m[file]
		}
		if more := int(row/8) + 1 - len(bits); more > 0 {
			bits = append(bits, make([]byte, more)...)
		}
		bits[row/8] |= 1 << (row % 8)
	}
	m[file] = bits
	delete(m, "")
}

// of returns the marks by file.
func (m masks) of(paths []string) [][]byte {
	marks := make([][]byte, len(paths))
	for i, path := range paths {
		marks[i] = m[path]
	}
	return marks
}

// rowColumn has the numbers of rows in their file. No view has it.
const rowColumn = "the engine's row"

// masked returns the queries that read the files without what is marked, as
// parts of a UNION ALL. The marks live as long as the epoch.
//
// Marks are asked above the SELECT that makes the view's columns, where columns
// lie whole: below it our functions would be handed a copy of what is left of
// each. DuckDB brings conditions below a SELECT, readers' too, but none that may
// fail, as a cast to BOOLEAN may in its eyes.
func (b *builder) masked(marks [][]byte, paths []string, of string) (parts []string) {
	var whole []string
	for i, path := range paths {
		if marks[i] == nil {
			whole = append(whole, text(path))
			continue
		}
		marked, err := newMark(marks[i])
		if err != nil {
			b.err = err
			return nil
		}
		b.ep.marks = append(b.ep.marks, marked)
		parts = append(parts, fmt.Sprintf("SELECT * EXCLUDE (%[1]s) FROM (SELECT %[2]s, file_row_number AS %[1]s FROM read_parquet(%[3]s, file_row_number=true)) WHERE CAST(%[4]s(%[5]d::BIGINT, %[1]s) AS BOOLEAN)",
			name(rowColumn), of, text(path), name(unmarked), b.slot(unsafe.Pointer(marked.p))))
	}
	if len(whole) > 0 {
		parts = append(parts, "SELECT "+of+" FROM read_parquet(["+strings.Join(whole, ",")+"])")
	}
	return parts
}

// masksOf counts the files that have marks.
func masksOf(marks [][]byte) (n int) {
	for _, m := range marks {
		if m != nil {
			n++
		}
	}
	return n
}

// more returns marks with some rows besides; marks stay as they are.
func more(marks [][]byte, files []int, rows []int64) [][]byte {
	out := make([][]byte, len(marks))
	copy(out, marks)
	mine := make([]bool, len(marks))
	for i, f := range files {
		size := int(rows[i]/8) + 1
		switch {
		case !mine[f]:
			bits := make([]byte, max(size, len(out[f])))
			copy(bits, out[f])
			out[f], mine[f] = bits, true
		case size > len(out[f]):
			out[f] = append(out[f], make([]byte, size-len(out[f]))...)
		}
		out[f][rows[i]/8] |= 1 << (rows[i] % 8)
	}
	return out
}
