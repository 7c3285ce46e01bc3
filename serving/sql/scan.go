package sql

/*
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

// What is used of DuckDB's C interface, with which the driver links.
extern void *duckdb_bind_get_parameter(void *info, uint64_t index);
extern int64_t duckdb_get_int64(void *value);
extern void duckdb_destroy_value(void **value);
extern void *duckdb_create_logical_type(int type);
extern void *duckdb_create_decimal_type(uint8_t width, uint8_t scale);
extern void duckdb_destroy_logical_type(void **type);
extern void duckdb_bind_add_result_column(void *info, const char *name, void *type);
extern void duckdb_bind_set_cardinality(void *info, uint64_t rows, bool exact);
extern void duckdb_bind_set_bind_data(void *info, void *data, void (*destroy)(void *));
extern void *duckdb_init_get_bind_data(void *info);
extern uint64_t duckdb_init_get_column_count(void *info);
extern uint64_t duckdb_init_get_column_index(void *info, uint64_t column);
extern void duckdb_init_set_init_data(void *info, void *data, void (*destroy)(void *));
extern void duckdb_init_set_max_threads(void *info, uint64_t threads);
extern void *duckdb_function_get_init_data(void *info);
extern void *duckdb_function_get_local_init_data(void *info);
extern uint64_t duckdb_vector_size(void);
extern void *duckdb_data_chunk_get_vector(void *chunk, uint64_t column);
extern void duckdb_data_chunk_set_size(void *chunk, uint64_t rows);
extern void *duckdb_vector_get_data(void *vector);
extern uint64_t *duckdb_vector_get_validity(void *vector);
extern void duckdb_vector_ensure_validity_writable(void *vector);
extern void duckdb_unsafe_vector_assign_string_element_len(void *vector, uint64_t row, const char *bytes, uint64_t n);

// cells are one column of a page, as DuckDB lays its values out; a text of more
// than twelve bytes has its place in the heap where DuckDB has an address.
typedef struct {
	uint8_t *data;
	uint8_t *null; // a byte for each row; none where no row is null
} cells;

typedef struct {
	uint64_t rows;
	char *heap;
	cells column[];
} page;

typedef struct {
	char *name;
	int32_t type;
	uint8_t precision, scale;
	uint8_t width; // bytes of a value
	uint8_t text;
} column_of;

// overlay is what a scan reads: rows in pages, in order.
typedef struct {
	uint64_t rows, pages, columns;
	page **page;
	column_of column[];
} overlay;

// What a thread takes at once.
enum { unit = 16 };

typedef struct {
	const overlay *o;
	uint64_t next; // the first page that no thread has taken
	uint64_t columns;
	uint64_t column[];
} all_threads;

typedef struct {
	uint64_t page, end, row;
} one_thread;

static void nothing(void *p) {}

static void scan_bind(void *info) {
	void *address = duckdb_bind_get_parameter(info, 0);
	overlay *o = (overlay *)duckdb_get_int64(address);
	duckdb_destroy_value(&address);
	for (uint64_t i = 0; i < o->columns; i++) {
		const column_of *c = &o->column[i];
		void *type = c->precision ? duckdb_create_decimal_type(c->precision, c->scale) : duckdb_create_logical_type(c->type);
		duckdb_bind_add_result_column(info, c->name, type);
		duckdb_destroy_logical_type(&type);
	}
	duckdb_bind_set_cardinality(info, o->rows, true);
	duckdb_bind_set_bind_data(info, o, nothing);
}

static void scan_init(void *info) {
	const overlay *o = duckdb_init_get_bind_data(info);
	uint64_t n = duckdb_init_get_column_count(info);
	all_threads *a = malloc(sizeof(all_threads) + n * sizeof(uint64_t));
	a->o = o;
	a->next = 0;
	a->columns = n;
	for (uint64_t i = 0; i < n; i++)
		a->column[i] = duckdb_init_get_column_index(info, i);
	duckdb_init_set_init_data(info, a, free);
	duckdb_init_set_max_threads(info, o->pages / unit + 1);
}

static void scan_thread(void *info) {
	duckdb_init_set_init_data(info, calloc(1, sizeof(one_thread)), free);
}

// copy puts n rows of a page, from row on, into a vector from place at on.
static void copy(const column_of *c, const page *p, const cells *from, uint64_t row, uint64_t n, void *vector, uint64_t at) {
	uint8_t *data = duckdb_vector_get_data(vector);
	const uint8_t *in = from->data + row * c->width;
	memcpy(data + at * c->width, in, n * c->width);
	if (c->text) {
		for (uint64_t i = 0; i < n; i++) {
			uint32_t size;
			uint64_t place;
			memcpy(&size, in + i * 16, sizeof size);
			if (size <= 12)
				continue;
			memcpy(&place, in + i * 16 + 8, sizeof place);
			duckdb_unsafe_vector_assign_string_element_len(vector, at + i, p->heap + place, size);
		}
	}
	if (!from->null)
		return;
	duckdb_vector_ensure_validity_writable(vector);
	uint64_t *valid = duckdb_vector_get_validity(vector);
	for (uint64_t i = 0; i < n; i++)
		if (from->null[row + i])
			valid[(at + i) / 64] &= ~(1ULL << (at + i) % 64);
}

static void scan(void *info, void *out) {
	all_threads *a = duckdb_function_get_init_data(info);
	one_thread *t = duckdb_function_get_local_init_data(info);
	const overlay *o = a->o;
	uint64_t most = duckdb_vector_size(), n = 0;
	while (n < most) {
		if (t->page == t->end) {
			t->page = __atomic_fetch_add(&a->next, unit, __ATOMIC_RELAXED);
			t->end = t->page + unit < o->pages ? t->page + unit : o->pages;
			t->row = 0;
			if (t->page >= o->pages) {
				t->end = t->page;
				break;
			}
		}
		const page *p = o->page[t->page];
		uint64_t take = p->rows - t->row < most - n ? p->rows - t->row : most - n;
		for (uint64_t i = 0; i < a->columns; i++)
			if (a->column[i] < o->columns) // else nobody looks at it: rows are only counted
				copy(&o->column[a->column[i]], p, &p->column[a->column[i]], t->row, take, duckdb_data_chunk_get_vector(out, i), n);
		n += take;
		if ((t->row += take) == p->rows) {
			t->page++;
			t->row = 0;
		}
	}
	duckdb_data_chunk_set_size(out, n);
}

static void *scan_bind_function(void) { return scan_bind; }
static void *scan_init_function(void) { return scan_init; }
static void *scan_thread_function(void) { return scan_thread; }
static void *scan_function(void) { return scan; }
*/
import "C"

import (
	"unsafe"

	bindings "github.com/duckdb/duckdb-go-bindings"

	"anabranch/event"
	"anabranch/fault"
)

// scanned is the engine's table function that reads an overlay, whose address
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
	places := make([]int, len(widths))
	for i, w := range widths {
		places[i] = size
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
		at.data = (*C.uint8_t)(unsafe.Add(unsafe.Pointer(p), places[i]))
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

// sheet is what scan takes: pages in C memory.
type sheet struct{ o *C.overlay }

func newSheet(fields []event.Field, widths []int, pages []*page, rows int) sheet {
	o := (*C.overlay)(zeroed(int(unsafe.Sizeof(C.overlay{})) + len(fields)*int(unsafe.Sizeof(C.column_of{}))))
	o.rows, o.pages, o.columns = C.uint64_t(rows), C.uint64_t(len(pages)), C.uint64_t(len(fields))
	o.page = (**C.page)(C.malloc(C.size_t(max(1, len(pages)) * int(unsafe.Sizeof(uintptr(0))))))
	for i, p := range pages {
		*(**C.page)(unsafe.Add(unsafe.Pointer(o.page), i*int(unsafe.Sizeof(uintptr(0))))) = p.block.p
	}
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
		if f.Type.Storage() == event.InCodes {
			c.text = 1
		}
	}
	return s
}

func (s sheet) column(i int) *C.column_of {
	return (*C.column_of)(unsafe.Add(unsafe.Pointer(s.o), int(unsafe.Sizeof(C.overlay{}))+i*int(unsafe.Sizeof(C.column_of{}))))
}

// address is what the table function takes. It is good until free.
func (s sheet) address() int64 { return int64(uintptr(unsafe.Pointer(s.o))) }

func (s sheet) free() {
	for i := range int(s.o.columns) {
		C.free(unsafe.Pointer(s.column(i).name))
	}
	C.free(unsafe.Pointer(s.o.page))
	C.free(unsafe.Pointer(s.o))
}
