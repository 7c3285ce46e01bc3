package sql

/*
#include <stdlib.h>

#include "overlay.h"

extern void overlay_scan_bind(void *info);
extern void overlay_scan_init(void *info);
extern void overlay_scan_thread(void *info);
extern void overlay_scan(void *info, void *out);

static void *scan_bind_function(void) { return overlay_scan_bind; }
static void *scan_init_function(void) { return overlay_scan_init; }
static void *scan_thread_function(void) { return overlay_scan_thread; }
static void *scan_function(void) { return overlay_scan; }
*/
import "C"

import (
	"unsafe"

	bindings "github.com/duckdb/duckdb-go-bindings"

	"anabranch/event"
	"anabranch/fault"
)

// scanned is the engine's table function that reads an overlay, whose slot
// it takes. Readers cannot write its name, see native.go.
const scanned = "the engine's overlay"

// ownScan makes it known to the engine.
func ownScan(c bindings.Connection) error {
	f := bindings.CreateTableFunction()
	defer bindings.DestroyTableFunction(&f)
	bindings.TableFunctionSetName(f, scanned)
	address := logicalType(event.Type{Kind: event.Int64})
	bindings.TableFunctionAddParameter(f, address)
	bindings.DestroyLogicalType(&address)
	bindings.TableFunctionSetBind(f, C.scan_bind_function())
	bindings.TableFunctionSetInit(f, C.scan_init_function())
	bindings.TableFunctionSetLocalInit(f, C.scan_thread_function())
	bindings.TableFunctionSetFunction(f, C.scan_function())
	bindings.TableFunctionSupportsProjectionPushdown(f, true)
	if bindings.RegisterTableFunction(c, f) == bindings.StateError {
		return fault.New(fault.Bug, "DuckDB does not take the table function %s", scanned)
	}
	return nil
}

// pageRows is from how many rows on a page is split.
const pageRows = C.page_rows

// cell is where the values of a column lie in a page, in C memory.
type cell struct {
	data []byte
	null []byte // a byte for each row
}

// block is a page in C memory, laid out for scan.
type block struct{ p *C.page }

// zeroed returns C memory. Where there is none the process ends, as it does for
// want of Go's.
func zeroed(n int) unsafe.Pointer {
	p := C.malloc(C.size_t(n))
	clear(unsafe.Slice((*byte)(p), n))
	return p
}

// newBlock makes room for so many rows of columns of some widths, and for
// texts.
func newBlock(widths []int, rows, heap int) block {
	head := int(unsafe.Sizeof(C.page{})) + len(widths)*int(unsafe.Sizeof(C.cells{}))
	size := (head + 15) &^ 15
	slots := make([]int, len(widths))
	for i, w := range widths {
		slots[i] = size
		size += (rows*w + 15) &^ 15
	}
	nulls := size
	size += rows * len(widths)
	p := (*C.page)(zeroed(size + heap))
	p.rows = C.uint64_t(rows)
	p.heap = (*C.char)(unsafe.Add(unsafe.Pointer(p), size))
	m := block{p}
	for i := range widths {
		at := m.column(i)
		at.data = (*C.uint8_t)(unsafe.Add(unsafe.Pointer(p), slots[i]))
		at.null = (*C.uint8_t)(unsafe.Add(unsafe.Pointer(p), nulls+i*rows))
	}
	return m
}

func (m block) column(i int) *C.cells {
	return (*C.cells)(unsafe.Add(unsafe.Pointer(m.p), int(unsafe.Sizeof(C.page{}))+i*int(unsafe.Sizeof(C.cells{}))))
}

// cell returns where a column is written, before it is sealed.
func (m block) cell(i, width int) cell {
	c, rows := m.column(i), int(m.p.rows)
	return cell{unsafe.Slice((*byte)(c.data), rows*width), unsafe.Slice((*byte)(c.null), rows)}
}

// heap returns n bytes of the texts.
func (m block) heap(n int) []byte { return unsafe.Slice((*byte)(unsafe.Pointer(m.p.heap)), n) }

// isNull reports whether a value is null.
func (m block) isNull(column, row int) bool {
	null := m.column(column).null
	return null != nil && *(*byte)(unsafe.Add(unsafe.Pointer(null), row)) != 0
}

// at returns where a value lies.
func (m block) at(column, row, width int) unsafe.Pointer {
	return unsafe.Add(unsafe.Pointer(m.column(column).data), row*width)
}

// noNulls says that no row of a column is null.
func (m block) noNulls(column int) { m.column(column).null = nil }

func (m block) free() { C.free(unsafe.Pointer(m.p)) }

// bound finds the smallest and the largest value of a column, when it is written.
func (m block) bound(column, width int, t event.Type) {
	C.overlay_bound_column(m.p, C.uint64_t(column), C.uint8_t(width), C.uint8_t(holds(t)))
}

// holds is how values of a type are compared in C.
func holds(t event.Type) C.enum_holds {
	switch {
	case t.Storage() == event.InCodes:
		return C.texts
	case t.Storage() == event.InInts:
		return C.numbers
	}
	return C.neither
}

// sheet is what scan takes: pages in C memory.
type sheet struct{ o *C.overlay }

func newSheet(fields []event.Field, widths []int, pages []*page, rows int) sheet {
	o := (*C.overlay)(zeroed(int(unsafe.Sizeof(C.overlay{})) + len(fields)*int(unsafe.Sizeof(C.column_of{}))))
	o.rows, o.pages, o.columns = C.uint64_t(rows), C.uint64_t(len(pages)), C.uint64_t(len(fields))
	o.page = (**C.page)(C.malloc(C.size_t(max(1, len(pages)) * int(unsafe.Sizeof(uintptr(0))))))
	for i, p := range pages {
		*(**C.page)(unsafe.Add(unsafe.Pointer(o.page), i*int(unsafe.Sizeof(uintptr(0))))) = p.block.p
	}
	C.overlay_new(o)
	s := sheet{o}
	for i, f := range fields {
		c := s.column(i)
		c.name, c.width = C.CString(f.Name), C.uint8_t(widths[i])
		switch {
		case f.Type.Kind == event.Decimal:
			c.precision, c.scale = C.uint8_t(f.Type.Precision), C.uint8_t(f.Type.Scale)
		default:
			c._type = C.int32_t(types[f.Type.Kind])
		}
		c.holds = C.uint8_t(holds(f.Type))
	}
	return s
}

func (s sheet) column(i int) *C.column_of {
	return (*C.column_of)(unsafe.Add(unsafe.Pointer(s.o), int(unsafe.Sizeof(C.overlay{}))+i*int(unsafe.Sizeof(C.column_of{}))))
}

func (s sheet) free() {
	for i := range int(s.o.columns) {
		C.free(unsafe.Pointer(s.column(i).name))
	}
	C.overlay_old(s.o)
	C.free(unsafe.Pointer(s.o.page))
	C.free(unsafe.Pointer(s.o))
}
