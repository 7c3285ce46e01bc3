package schemas

import (
	"bytes"
	"encoding/binary"
	"io"
	"slices"

	"github.com/parquet-go/parquet-go"

	"anabranch/event"
)

// columnReader reads one column of one row group, some rows at a time,
// whatever the size of its pages.
type columnReader struct {
	pages parquet.Pages
	field event.Field

	page   parquet.Page
	levels []byte // definition levels of the page; empty when nothing is null
	row    int    // rows of the page that are read
	value  int    // values of the page that are read: rows without nulls
	rows   int    // rows of the page

	source   parquet.Dictionary // of the page; nil for a page of plain values
	dict     *event.Dict        // the same values; shared by all batches
	interner interner
	asked    int // how many values the interner's dictionary was asked for
	recoder  recoder
}

func (r *columnReader) close() {
	r.drop()
	if r.pages != nil {
		r.pages.Close()
	}
}

func (r *columnReader) drop() {
	if r.page != nil {
		parquet.Release(r.page)
		r.page = nil
	}
}

// read makes c the next n rows. Memory that c has is used again.
func (r *columnReader) read(c *event.Column, n int) (err error) {
	defer recoverCorrupt(&err)
	*c = event.Column{Type: r.field.Type, Ints: c.Ints[:0], Floats: c.Floats[:0], Wide: c.Wide[:0], Codes: c.Codes[:0]}
	r.grow(c, n)
	own := false // the batch has a dictionary of its own
	for have := 0; have < n; {
		if r.page == nil || r.row == r.rows {
			if err := r.nextPage(); err != nil {
				return err
			}
		}
		if c.Type.Storage() == event.InCodes {
			own = r.startDict(c, own)
		}
		k := min(n-have, r.rows-r.row)
		if len(r.levels) == 0 {
			r.take(c, k)
			if c.Valid != nil {
				for i := have; i < have+k; i++ {
					c.Valid.Set(i)
				}
			}
		} else {
			r.takeNullable(c, have, k, n)
		}
		have += k
		r.row += k
	}
	return nil
}

func (r *columnReader) grow(c *event.Column, n int) {
	switch c.Type.Storage() {
	case event.InInts:
		c.Ints = slices.Grow(c.Ints, n)
	case event.InFloats:
		c.Floats = slices.Grow(c.Floats, n)
	case event.InWide:
		c.Wide = slices.Grow(c.Wide, n)
	case event.InCodes:
		c.Codes = slices.Grow(c.Codes, n)
	}
}

func (r *columnReader) nextPage() error {
	r.drop()
	page, err := r.pages.ReadPage()
	if err == io.EOF {
		return corruptFile("column %s has fewer rows than its row group", r.field.Name)
	}
	if err != nil {
		return foreign(err)
	}
	r.page, r.levels = page, page.DefinitionLevels()
	r.row, r.value, r.rows = 0, 0, int(page.NumRows())
	r.source = page.Dictionary()
	if r.source == nil || r.dict != nil || r.field.Type.Storage() != event.InCodes {
		return nil
	}
	// The page's memory is taken back by the Parquet reader, ours stays.
	values := r.source.Page().Data()
	data, offsets := values.ByteArray()
	r.dict = &event.Dict{Offsets: append([]uint32(nil), offsets...), Data: append([]byte(nil), data...)}
	return nil
}

// startDict gives c the dictionary that the page's values go into. As long as
// a batch sees pages with codes only, it shares the column's dictionary; a
// page of plain values makes it one of its own.
func (r *columnReader) startDict(c *event.Column, own bool) bool {
	switch {
	case own && r.source != nil:
		r.recoder.reset(r.dict)
	case own:
	case r.source != nil:
		c.Dict = r.dict
	default:
		shared := c.Dict
		r.interner.next(r.asked, false)
		r.asked = 0
		c.Dict = r.interner.dict
		if len(c.Codes) > 0 {
			r.recoder.reset(shared)
			for i, code := range c.Codes {
				if c.Valid.Get(i) {
					c.Codes[i] = r.recoder.code(&r.interner, shared, code)
				}
			}
		}
		return true
	}
	return own
}

// take appends the next k values of the page.
func (r *columnReader) take(c *event.Column, k int) {
	from := r.value
	r.value += k
	data := r.page.Data()
	switch {
	case c.Type.Kind == event.Bool:
		bits := data.Boolean()
		for i := from; i < from+k; i++ {
			c.Ints = append(c.Ints, int64(bits[i>>3]>>(i&7)&1))
		}
	case inInt32(c.Type):
		for _, v := range data.Int32()[from : from+k] {
			c.Ints = append(c.Ints, int64(v))
		}
	case c.Type.Kind == event.Float64:
		c.Floats = append(c.Floats, data.Double()[from:from+k]...)
	case c.Type.Storage() == event.InCodes:
		r.takeCodes(c, from, k)
	default:
		if c.Type.Storage() == event.InInts {
			c.Ints = append(c.Ints, data.Int64()[from:from+k]...)
			return
		}
		b, _ := data.FixedLenByteArray()
		for i := from; i < from+k; i++ {
			c.Wide = append(c.Wide, event.Int128{Hi: int64(binary.BigEndian.Uint64(b[16*i:])), Lo: binary.BigEndian.Uint64(b[16*i+8:])})
		}
	}
}

func (r *columnReader) takeCodes(c *event.Column, from, k int) {
	data := r.page.Data()
	if r.source == nil {
		b, offsets := data.ByteArray()
		r.asked += k
		if r.interner.distinct > 0 {
			first := r.interner.dict.AppendAll(b, offsets[from:from+k+1])
			for i := range uint32(k) {
				c.Codes = append(c.Codes, first+i)
			}
			return
		}
		for i := from; i < from+k; i++ {
			c.Codes = append(c.Codes, r.interner.code(b[offsets[i]:offsets[i+1]]))
		}
		return
	}
	codes, n := data.Uint32()[from:from+k], uint32(r.dict.Len())
	for _, code := range codes {
		if code >= n {
			panic("a code is outside its dictionary")
		}
	}
	if c.Dict == r.dict {
		c.Codes = append(c.Codes, codes...)
		return
	}
	for _, code := range codes {
		c.Codes = append(c.Codes, r.recoder.code(&r.interner, r.dict, code))
	}
}

// takeNullable appends k rows of which some may be null; the batch has n rows
// and have of them are there.
func (r *columnReader) takeNullable(c *event.Column, have, k, n int) {
	levels := r.levels[r.row : r.row+k]
	if c.Valid == nil {
		if bytes.IndexByte(levels, 0) < 0 {
			r.take(c, k) // no bitmap says that too
			return
		}
		c.Valid = event.NewBitmap(n)
		for i := range have {
			c.Valid.Set(i)
		}
	}
	for i := 0; i < k; {
		run := i
		for run < k && levels[run] != 0 {
			c.Valid.Set(have + run)
			run++
		}
		if run > i {
			r.take(c, run-i)
		}
		for i = run; i < k && levels[i] == 0; i++ {
			r.null(c)
		}
	}
}

func (r *columnReader) null(c *event.Column) {
	switch c.Type.Storage() {
	case event.InInts:
		c.Ints = append(c.Ints, 0)
	case event.InFloats:
		c.Floats = append(c.Floats, 0)
	case event.InWide:
		c.Wide = append(c.Wide, event.Int128{})
	case event.InCodes:
		c.Codes = append(c.Codes, 0)
	}
}
