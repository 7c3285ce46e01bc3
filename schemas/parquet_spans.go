package schemas

import (
	"cmp"
	"slices"
)

// Span is the bytes of a file from From up to To.
type Span struct{ From, To int64 }

// Spans returns which bytes reading the given columns of a row group takes, in
// their order: who reads from afar fetches these at once. What lies between two
// of them is longer than gap.
func (f *ParquetFile) Spans(group int, columns []string, gap int64) []Span {
	var spans []Span
	for _, name := range columns {
		i := f.shape.Index(name)
		if i < 0 {
			continue
		}
		m := &f.file.Metadata().RowGroups[group].Columns[i].MetaData
		from := m.DataPageOffset
		if m.DictionaryPageOffset > 0 {
			from = min(from, m.DictionaryPageOffset)
		}
		to := from + m.TotalCompressedSize
		// Whole blocks are checked.
		from, to = from/sumBlock*sumBlock, min((to+sumBlock-1)/sumBlock*sumBlock, f.file.Size())
		if 0 <= from && from < to {
			spans = append(spans, Span{from, to})
		}
	}
	slices.SortFunc(spans, func(a, b Span) int { return cmp.Compare(a.From, b.From) })
	merged := spans[:0]
	for _, s := range spans {
		if n := len(merged); n > 0 && s.From <= merged[n-1].To+gap {
			merged[n-1].To = max(merged[n-1].To, s.To)
		} else {
			merged = append(merged, s)
		}
	}
	return merged
}
