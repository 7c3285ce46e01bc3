package schemas

import (
	"encoding/binary"
	"fmt"
	"strings"

	"github.com/zeebo/xxh3"

	"anabranch/event"
)

// keys finds rows of a reference table whose key is that of a row before, or
// has no value.
type keys struct {
	names   []string
	columns []int
	lines   map[event.ID]int // where each key was first
	text    []byte
}

func newKeys(shape *event.Shape, names []string) *keys {
	k := &keys{lines: map[event.ID]int{}}
	for i, f := range shape.Fields {
		for _, n := range names {
			if strings.EqualFold(n, f.Name) {
				k.names, k.columns = append(k.names, f.Name), append(k.columns, i)
			}
		}
	}
	return k
}

// add takes rows in, and tells wrong about those that may not be.
func (k *keys) add(rows *Rows, wrong func(Problem)) {
	for row := range rows.Batch.N {
		k.text = k.text[:0]
		whole := true
		for i, c := range k.columns {
			column := &rows.Batch.Columns[c]
			if !column.Valid.Get(row) {
				wrong(Problem{Line: rows.Lines[row], Column: 1, Field: k.names[i], Message: "it is part of the key and has no value"})
				whole = false
				break
			}
			begin := len(k.text)
			k.text = column.AppendText(k.text, row)
			k.text = binary.LittleEndian.AppendUint64(k.text, uint64(len(k.text)-begin)) // "a", "bc" is not "ab", "c"
		}
		if !whole {
			continue
		}
		h := xxh3.Hash128(k.text)
		id := event.ID{Hi: h.Hi, Lo: h.Lo}
		if first, again := k.lines[id]; again {
			wrong(Problem{Line: rows.Lines[row], Column: 1, Message: fmt.Sprintf("the key (%s) is that of line %d", strings.Join(k.names, ", "), first), Hint: "a join would take the row twice"})
			continue
		}
		k.lines[id] = rows.Lines[row]
	}
}
