package sql

import (
	"bytes"
	"encoding/binary"
	"sort"
	"sync/atomic"
	"unsafe"

	"anabranch/event"
)

// An overlay's rows lie sorted by key in pages that never change. The overlay
// of the next cut has new pages where groups changed and shares the others, so
// that making it costs what changed, and the rows come in an order that tells
// nothing of how it was made.

// form is what the rows of an overlay look like.
type form struct {
	fields []event.Field
	widths []int // bytes that DuckDB has for a value
	texts  []int // the columns that are text or bytes
}

func newForm(fields []event.Field) *form {
	f := &form{fields: fields, widths: make([]int, len(fields))}
	for i, field := range fields {
		switch field.Type.Storage() {
		case event.InFloats:
			f.widths[i] = 8
		case event.InWide:
			f.widths[i] = 16
		case event.InCodes:
			f.widths[i] = 16
			f.texts = append(f.texts, i)
		default:
			f.widths[i] = intWidth(field.Type)
		}
	}
	return f
}

// page is some rows that follow each other. Their keys are rendered so that
// bytes are in their order.
type page struct {
	block block
	keys  []byte
	ends  []uint32 // of the keys
	users atomic.Int32
}

func (p *page) key(i int) []byte {
	from := uint32(0)
	if i > 0 {
		from = p.ends[i-1]
	}
	return p.keys[from:p.ends[i]]
}

func (p *page) rows() int { return len(p.ends) }

func (p *page) release() {
	if p.users.Add(-1) == 0 {
		p.block.free()
	}
}

// row is where a row lies.
type row struct {
	page *page
	at   int
}

// encode makes a page of all rows of a batch, which has the columns of f and
// whose keys are given, sorted.
func (f *form) encode(b *event.Batch, keys [][]byte) *page {
	heap := 0
	for _, c := range f.texts {
		for i := range b.N {
			if v := b.Columns[c].Bytes(i); len(v) > inlined {
				heap += len(v)
			}
		}
	}
	p := &page{block: newBlock(f.widths, b.N, heap)}
	p.users.Store(1)
	for _, k := range keys {
		p.keys = append(p.keys, k...)
		p.ends = append(p.ends, uint32(len(p.keys)))
	}
	texts := p.block.heap(heap)[:0]
	le := binary.LittleEndian
	for i := range f.fields {
		c, to, w := &b.Columns[i], p.block.cell(i, f.widths[i]), f.widths[i]
		nulls := 0
		if c.Valid != nil {
			for r := range b.N {
				if !c.Valid.Get(r) {
					to.null[r] = 1
					nulls++
				}
			}
		}
		switch c.Type.Storage() {
		case event.InFloats:
			copy(of[float64](to.data), c.Floats[:b.N])
		case event.InWide:
			out := of[wide128](to.data)
			for r := range out {
				out[r] = wide128{c.Wide[r].Lo, c.Wide[r].Hi}
			}
		case event.InCodes:
			for r := range b.N {
				v, at := c.Bytes(r), to.data[16*r:16*r+16]
				le.PutUint32(at, uint32(len(v)))
				if len(v) <= inlined {
					copy(at[4:], v)
					continue
				}
				copy(at[4:8], v)
				le.PutUint64(at[8:], uint64(len(texts)))
				texts = append(texts, v...)
			}
		default:
			for r, v := range c.Ints[:b.N] {
				switch w {
				case 1:
					to.data[r] = byte(v)
				case 2:
					le.PutUint16(to.data[2*r:], uint16(v))
				case 4:
					le.PutUint32(to.data[4*r:], uint32(v))
				default:
					le.PutUint64(to.data[8*r:], uint64(v))
				}
			}
		}
		if nulls == 0 {
			p.block.noNulls(i)
		}
	}
	return p
}

// inlined is how long a text may be that DuckDB keeps in place of its address.
const inlined = 12

// of is a column's memory as values; it is aligned for all of them.
func of[T any](data []byte) []T {
	var t T
	return unsafe.Slice((*T)(unsafe.Pointer(unsafe.SliceData(data))), len(data)/int(unsafe.Sizeof(t)))
}

// gather makes a page of rows of others.
func (f *form) gather(rows []row) *page {
	heap := 0
	for _, c := range f.texts {
		for _, r := range rows {
			if n := textLen(r, c); n > inlined {
				heap += n
			}
		}
	}
	p := &page{block: newBlock(f.widths, len(rows), heap), ends: make([]uint32, 0, len(rows))}
	p.users.Store(1)
	for _, r := range rows {
		p.keys = append(p.keys, r.page.key(r.at)...)
		p.ends = append(p.ends, uint32(len(p.keys)))
	}
	texts := p.block.heap(heap)[:0]
	for i, w := range f.widths {
		to := p.block.cell(i, w)
		text := f.fields[i].Type.Storage() == event.InCodes
		nulls := 0
		for n, r := range rows {
			at := to.data[n*w : n*w+w]
			copy(at, unsafe.Slice((*byte)(r.page.block.at(i, r.at, w)), w))
			if r.page.block.isNull(i, r.at) {
				to.null[n] = 1
				nulls++
			}
			if !text {
				continue
			}
			if size := binary.LittleEndian.Uint32(at); size > inlined {
				from := binary.LittleEndian.Uint64(at[8:])
				binary.LittleEndian.PutUint64(at[8:], uint64(len(texts)))
				texts = append(texts, r.page.block.heap(int(from) + int(size))[from:]...)
			}
		}
		if nulls == 0 {
			p.block.noNulls(i)
		}
		p.block.bound(i, w, f.fields[i].Type)
	}
	return p
}

func textLen(r row, column int) int {
	return int(*(*uint32)(r.page.block.at(column, r.at, 16)))
}

// laid is the overlay of one cut: its rows, and which rows of the batch files
// are read without them.
type laid struct {
	form  *form
	pages []*page
	rows  int
	sheet sheet
	marks [][]byte // by batch file: a bit for each row, up to the last that is marked
	users atomic.Int32
}

// newLaid makes an overlay of pages, each of which is the caller's gift.
func newLaid(f *form, pages []*page, marks [][]byte) *laid {
	l := &laid{form: f, pages: pages, marks: marks}
	l.users.Store(1)
	for _, p := range pages {
		l.rows += p.rows()
	}
	l.sheet = newSheet(f.fields, f.widths, pages, l.rows)
	return l
}

// take makes one more user, who releases it.
func (l *laid) take() *laid {
	l.users.Add(1)
	return l
}

func (l *laid) release() {
	if l == nil || l.users.Add(-1) > 0 {
		return
	}
	l.sheet.free()
	for _, p := range l.pages {
		p.release()
	}
}

// patch returns the pages of an overlay with the rows of b in place of those
// with the same keys, or beside the others. Both are sorted.
func (l *laid) patch(b *event.Batch, keys [][]byte) []*page {
	fresh := l.form.encode(b, keys)
	defer fresh.release()
	pages := make([]*page, 0, len(l.pages)+b.N/pageRows+1)
	at := 0 // of the rows of b
	for n, p := range l.pages {
		upTo := b.N
		if n+1 < len(l.pages) {
			next := l.pages[n+1].key(0)
			if at < b.N && bytes.Compare(keys[at], next) >= 0 {
				upTo = at // the usual case: nothing of this page changed
			} else {
				upTo = at + sort.Search(b.N-at, func(i int) bool { return bytes.Compare(keys[at+i], next) >= 0 })
			}
		}
		if upTo == at {
			p.users.Add(1)
			pages = append(pages, p)
			continue
		}
		pages = append(pages, l.form.split(merged(p, fresh, at, upTo))...)
		at = upTo
	}
	if at < b.N { // there was no page
		pages = append(pages, l.form.split(merged(&page{}, fresh, at, b.N))...)
	}
	return pages
}

// merged returns the rows of p and of fresh, from one of its rows up to another,
// in order; of two with one key that of fresh.
func merged(p, fresh *page, from, to int) []row {
	rows := make([]row, 0, p.rows()+to-from)
	i := 0
	for ; from < to; from++ {
		k := fresh.key(from)
		for i < p.rows() && bytes.Compare(p.key(i), k) < 0 {
			rows = append(rows, row{p, i})
			i++
		}
		if i < p.rows() && bytes.Equal(p.key(i), k) {
			i++
		}
		rows = append(rows, row{fresh, from})
	}
	for ; i < p.rows(); i++ {
		rows = append(rows, row{p, i})
	}
	return rows
}

// split makes pages of rows, none of them too large, all of nearly one size.
func (f *form) split(rows []row) []*page {
	n := (len(rows) + pageRows - 1) / pageRows
	if len(rows) > pageRows {
		n = (len(rows) + pageRows*3/4 - 1) / (pageRows * 3 / 4) // with room for more
	}
	pages := make([]*page, 0, n)
	for i := range n {
		pages = append(pages, f.gather(rows[len(rows)*i/n:len(rows)*(i+1)/n]))
	}
	return pages
}
