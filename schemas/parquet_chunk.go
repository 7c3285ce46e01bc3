package schemas

import (
	"encoding/binary"
	"math"
	"runtime"
	"slices"

	"github.com/parquet-go/parquet-go/encoding/thrift"
	"github.com/parquet-go/parquet-go/format"

	"anabranch/event"
)

// columnWriter gathers one column of the open row group, page by page.
type columnWriter struct {
	field    event.Field
	physical format.Type
	pages    *pageEncoder

	open  page
	nulls int // in the open page

	// Texts have codes until there are too many different ones.
	interner interner
	recoder  recoder
	dict     *event.Dict // that recoder knows
	known    int         // and how many of its values
	plain    bool        // the dictionary is given up
	prefixed bool        // texts begin as the one before does
	coded    bool        // there are pages of codes

	made         []byte // finished pages
	encodings    []format.Encoding
	untried      int // pages that are stored as they are, without a try to compress them
	misses       int // how many tries in a row were in vain, up to mostMisses
	uncompressed int64
	values       int64
	allNulls     int64
	bounds       bounds
	present      []int32 // rows of a piece that are not null
}

// mostMisses bounds how many pages of a column are stored as they are, after
// some that compression made no smaller, until the next is tried: 6.
const mostMisses = 3

// physicalType returns what values of type t are in a file.
func physicalType(t event.Type) format.Type {
	switch {
	case t.Kind == event.Bool:
		return format.Boolean
	case inInt32(t):
		return format.Int32
	}
	switch t.Storage() {
	case event.InFloats:
		return format.Double
	case event.InWide:
		return format.FixedLenByteArray
	case event.InCodes:
		return format.ByteArray
	}
	return format.Int64
}

// add appends n rows.
func (w *columnWriter) add(c *event.Column, n int) error {
	if w.values == 0 && w.open.rows == 0 {
		w.interner.reset()
		w.dict, w.plain, w.prefixed, w.coded = nil, false, false, false
		w.bounds = bounds{}
	}
	if w.physical == format.ByteArray && !w.plain && (c.Dict != w.dict || c.Dict.Len() != w.known) {
		w.recoder.reset(c.Dict)
		w.dict, w.known = c.Dict, c.Dict.Len()
	}
	for from := 0; from < n; from += pieceRows {
		to := min(from+pieceRows, n)
		if w.levels(c, from, to) {
			w.append(c, from, to)
		} else {
			w.gather(c)
		}
		w.open.rows += to - from
		if w.physical == format.ByteArray && !w.plain && !w.coded && len(w.open.codes) >= pieceRows {
			w.judge()
		}
		if w.open.size() >= pageBytes {
			if err := w.endPage(); err != nil {
				return err
			}
		}
	}
	return nil
}

// levels notes which rows of a piece are there, and reports whether all are.
func (w *columnWriter) levels(c *event.Column, from, to int) (all bool) {
	if !w.field.Nullable {
		return true
	}
	w.present = w.present[:0]
	for i := from; i < to; i++ {
		if c.Valid.Get(i) {
			w.open.levels = append(w.open.levels, 1)
			w.present = append(w.present, int32(i))
		} else {
			w.open.levels = append(w.open.levels, 0)
		}
	}
	w.nulls += to - from - len(w.present)
	return len(w.present) == to-from
}

// append adds the values of a piece without nulls.
func (w *columnWriter) append(c *event.Column, from, to int) {
	p := &w.open
	switch w.physical {
	case format.Boolean:
		for _, v := range c.Ints[from:to] {
			w.addBit(v)
		}
	case format.Int32:
		for _, v := range c.Ints[from:to] {
			p.short = append(p.short, int32(v))
		}
		w.bounds.ints(c.Ints[from:to])
	case format.Int64:
		p.ints = append(p.ints, c.Ints[from:to]...)
		w.bounds.ints(c.Ints[from:to])
	case format.Double:
		for _, v := range c.Floats[from:to] {
			w.addFloat(v)
		}
	case format.FixedLenByteArray:
		for _, v := range c.Wide[from:to] {
			w.addWide(v)
		}
	case format.ByteArray:
		w.texts(c.Dict, c.Codes[from:to])
	}
}

// texts adds texts, none of them null.
func (w *columnWriter) texts(d *event.Dict, codes []uint32) {
	if w.plain {
		w.addPlain(d, codes)
		return
	}
	known := w.recoder.codes
	for _, code := range codes {
		if c := known[code]; c != 0 {
			w.open.codes = append(w.open.codes, int32(c-1))
		} else {
			w.open.codes = append(w.open.codes, int32(w.recoder.code(&w.interner, d, code)))
		}
	}
}

// addPlain adds texts to a page without a dictionary.
func (w *columnWriter) addPlain(d *event.Dict, codes []uint32) {
	w.open.addTexts(d, codes)
	for _, code := range codes {
		w.bounds.text(d.Value(code))
	}
}

// gather adds the values of a piece that are there.
func (w *columnWriter) gather(c *event.Column) {
	for _, i := range w.present {
		switch w.physical {
		case format.Boolean:
			w.addBit(c.Ints[i])
		case format.Int32:
			w.open.short = append(w.open.short, int32(c.Ints[i]))
			w.bounds.ints(c.Ints[i : i+1])
		case format.Int64:
			w.open.ints = append(w.open.ints, c.Ints[i])
			w.bounds.ints(c.Ints[i : i+1])
		case format.Double:
			w.addFloat(c.Floats[i])
		case format.FixedLenByteArray:
			w.addWide(c.Wide[i])
		default:
			w.texts(c.Dict, c.Codes[i:i+1])
		}
	}
}

func (w *columnWriter) addBit(v int64) {
	p := &w.open
	if p.flags&7 == 0 {
		p.bits = append(p.bits, 0)
	}
	p.bits[p.flags>>3] |= byte(v&1) << (p.flags & 7)
	p.flags++
}

func (w *columnWriter) addFloat(v float64) {
	w.open.plain = binary.LittleEndian.AppendUint64(w.open.plain, math.Float64bits(v))
	w.bounds.float(v)
}

func (w *columnWriter) addWide(v event.Int128) {
	w.open.plain = appendWide(w.open.plain, v)
	w.bounds.wide(v)
}

// judge gives the dictionary up, at the first piece of a row group already,
// when hardly a text comes twice: ids.
func (w *columnWriter) judge() {
	if 16*w.interner.dict.Len() < 15*len(w.open.codes) {
		return
	}
	codes := make([]uint32, len(w.open.codes))
	for i, code := range w.open.codes {
		codes[i] = uint32(code)
	}
	w.addPlain(w.interner.dict, codes)
	w.open.codes = w.open.codes[:0]
	w.plain, w.prefixed = true, sharePrefixes(&w.open)
}

// endPage encodes the open page.
func (w *columnWriter) endPage() error {
	if w.open.rows == 0 {
		return nil
	}
	try := w.untried == 0
	made, page, err := w.pages.appendPage(w.made, &w.open, w.encoding(), w.nulls, try)
	if err != nil {
		return err
	}
	switch {
	case !try:
		w.untried--
	case page.stored:
		w.misses = min(w.misses+1, mostMisses)
		w.untried = 1<<w.misses - 2
	default:
		w.misses = 0
	}
	w.made = made
	w.uncompressed += int64(page.size)
	if !slices.Contains(w.encodings, page.encoding) {
		w.encodings = append(w.encodings, page.encoding)
	}
	w.values += int64(w.open.rows)
	w.allNulls += int64(w.nulls)
	w.nulls = 0
	w.open.reset()
	if page.encoding == format.RLEDictionary {
		w.coded = true
		w.plain = len(w.interner.dict.Data) > maxDictionary
	}
	// Whoever writes files is in no hurry, and may hold a processor for 10 ms
	// before Go takes it away: those who answer would wait as long, at each
	// step of what they do.
	runtime.Gosched()
	return nil
}

func (w *columnWriter) encoding() format.Encoding {
	switch w.physical {
	case format.Int32, format.Int64:
		return format.DeltaBinaryPacked
	case format.ByteArray:
		switch {
		case !w.plain:
			return format.RLEDictionary
		case len(w.open.lengths) == 0: // nulls alone
			return format.Plain
		case w.prefixed:
			return format.DeltaByteArray
		}
		return format.DeltaLengthByteArray
	}
	return format.Plain
}

// end writes the column of the row group, which begins at an offset of the
// file, and tells about it.
func (w *columnWriter) end(at int64, write func([]byte) error) (m format.ColumnMetaData, err error) {
	if err := w.endPage(); err != nil {
		return m, err
	}
	m = format.ColumnMetaData{
		Type: w.physical, PathInSchema: thrift.Slice[string]{w.field.Name}, Codec: format.Zstd, NumValues: w.values, DataPageOffset: at,
	}
	if w.field.Nullable {
		m.Encoding = append(m.Encoding, format.RLE)
	}
	if w.coded {
		dictionary, size, err := w.pages.appendDictionary(nil, w.interner.dict)
		if err != nil {
			return m, err
		}
		if err := write(dictionary); err != nil {
			return m, err
		}
		w.uncompressed += int64(size)
		m.DictionaryPageOffset, m.DataPageOffset = at, at+int64(len(dictionary))
		m.Encoding = append(m.Encoding, format.Plain) // the dictionary
		for code := range uint32(w.interner.dict.Len()) {
			w.bounds.text(w.interner.dict.Value(code))
		}
	}
	for _, e := range w.encodings {
		if !slices.Contains(m.Encoding, e) {
			m.Encoding = append(m.Encoding, e)
		}
	}
	if err := write(w.made); err != nil {
		return m, err
	}
	m.TotalCompressedSize = m.DataPageOffset - at + int64(len(w.made))
	m.TotalUncompressedSize = w.uncompressed
	m.Statistics = w.bounds.statistics(w.physical)
	m.Statistics.NullCount = w.allNulls
	w.made, w.encodings, w.dict = w.made[:0], w.encodings[:0], nil
	w.uncompressed, w.values, w.allNulls = 0, 0, 0
	return m, nil
}
