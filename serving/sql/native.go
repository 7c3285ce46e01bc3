package sql

/*
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

// What is used of DuckDB's C interface, with which the driver links.
extern uint64_t duckdb_data_chunk_get_size(void *chunk);
extern void *duckdb_data_chunk_get_vector(void *chunk, uint64_t column);
extern void *duckdb_vector_get_data(void *vector);
extern uint64_t *duckdb_vector_get_validity(void *vector);
extern void duckdb_vector_ensure_validity_writable(void *vector);

// as_huge gives a decimal(38, 0) as the 128-bit integer that it is.
static void as_huge(void *info, void *in, void *out) {
	uint64_t n = duckdb_data_chunk_get_size(in);
	void *from = duckdb_data_chunk_get_vector(in, 0);
	memcpy(duckdb_vector_get_data(out), duckdb_vector_get_data(from), n * 16);
	uint64_t *valid = duckdb_vector_get_validity(from);
	if (valid) {
		duckdb_vector_ensure_validity_writable(out);
		memcpy(duckdb_vector_get_validity(out), valid, (n + 63) / 64 * 8);
	}
}

// marks are a bit for each row of a file, up to the last that is set.
typedef struct {
	uint64_t bits;
	uint8_t bytes[];
} marks;

// unmarked(slot of marks, row) tells whether a row's bit is clear. The rows
// of a chunk ascend, and mostly follow each other as the file has them: then
// eight bits become eight bytes at once.
static void unmarked(void *info, void *in, void *out) {
	uint64_t n = duckdb_data_chunk_get_size(in), i = 0;
	if (n == 0)
		return;
	const marks *m = **(const marks ***)duckdb_vector_get_data(duckdb_data_chunk_get_vector(in, 0));
	const int64_t *row = duckdb_vector_get_data(duckdb_data_chunk_get_vector(in, 1));
	uint8_t *clear = duckdb_vector_get_data(out);
	while (i < n) {
		uint64_t r = (uint64_t)row[i];
		if (r % 8 || i + 8 > n || (uint64_t)row[i + 7] != r + 7) {
			clear[i++] = r >= m->bits || !(m->bytes[r >> 3] >> (r & 7) & 1);
			continue;
		}
		uint64_t eight = r < m->bits ? m->bytes[r >> 3] : 0;
		// Bit k to the lowest bit of byte k.
		eight = (eight * 0x0101010101010101 & 0x8040201008040201) + 0x7f7f7f7f7f7f7f7f;
		eight = ~eight >> 7 & 0x0101010101010101;
		memcpy(clear + i, &eight, 8);
		i += 8;
	}
}

static marks *new_marks(const void *bytes, uint64_t n) {
	marks *m = malloc(sizeof(marks) + n);
	if (m) {
		m->bits = n * 8;
		memcpy(m->bytes, bytes, n);
	}
	return m;
}

static void *as_huge_function(void) { return as_huge; }
static void *unmarked_function(void) { return unmarked; }
*/
import "C"

import (
	"context"
	"database/sql"
	"unsafe"

	bindings "github.com/duckdb/duckdb-go-bindings"

	"anabranch/event"
	"anabranch/fault"
)

// The engine's own functions, in C because DuckDB calls them for every chunk of
// a scan, from its own threads. Their names cannot be written by readers, who
// may call only what the lists in functions.go have.
const (
	// asHuge casts DECIMAL(38,0), which is what a view file has for HUGEINT.
	// DuckDB's cast divides every value by one, which costs more than reading it.
	asHuge = "the engine's huge"
	// unmarked tells whether the bit of a row is clear in marks, as 1 or 0.
	unmarked = "the engine's unmarked"
)

// ownFunctions makes them known to the engine.
func ownFunctions(ctx context.Context, db *sql.DB) error {
	conn, err := db.Conn(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	return conn.Raw(func(dc any) error {
		c, err := handle[bindings.Connection](dc, "conn")
		if err != nil {
			return err
		}
		decimal, number := event.Type{Kind: event.Decimal, Precision: 38}, event.Type{Kind: event.Int64}
		if err := ownFunction(c, asHuge, C.as_huge_function(), bindings.CreateLogicalType(bindings.TypeHugeInt), decimal); err != nil {
			return err
		}
		if err := ownFunction(c, unmarked, C.unmarked_function(), bindings.CreateLogicalType(bindings.TypeUTinyInt), number, number); err != nil {
			return err
		}
		if err := replaceFunctions(c); err != nil {
			return err
		}
		return ownScan(c)
	})
}

// ownFunction has calls of a function run code. It destroys the type of the result;
// where that is a list, the code is told of nulls, and is not called with any
// otherwise.
func ownFunction(c bindings.Connection, name string, code unsafe.Pointer, result bindings.LogicalType, arguments ...event.Type) error {
	f := bindings.CreateScalarFunction()
	defer bindings.DestroyScalarFunction(&f)
	bindings.ScalarFunctionSetName(f, name)
	for _, a := range arguments {
		t := logicalType(a)
		bindings.ScalarFunctionAddParameter(f, t)
		bindings.DestroyLogicalType(&t)
	}
	defer bindings.DestroyLogicalType(&result)
	bindings.ScalarFunctionSetReturnType(f, result)
	if bindings.GetTypeId(result) == bindings.TypeList {
		bindings.ScalarFunctionSetSpecialHandling(f)
	}
	bindings.ScalarFunctionSetFunction(f, code)
	if bindings.RegisterScalarFunction(c, f) == bindings.StateError {
		return fault.New(fault.Bug, "DuckDB does not take the function %s", name)
	}
	return nil
}

// logicalType is DuckDB's type of a column; the caller destroys it.
func logicalType(t event.Type) bindings.LogicalType {
	if t.Kind == event.Decimal {
		return bindings.CreateDecimalType(t.Precision, t.Scale)
	}
	return bindings.CreateLogicalType(types[t.Kind])
}

// types are DuckDB's types of columns that need nothing else to be known.
var types = map[event.Kind]bindings.Type{
	event.Bool: bindings.TypeBoolean, event.Int32: bindings.TypeInteger, event.Int64: bindings.TypeBigInt, event.Float64: bindings.TypeDouble,
	event.Timestamp: bindings.TypeTimestamp, event.Date: bindings.TypeDate, event.Huge: bindings.TypeHugeInt, event.String: bindings.TypeVarchar, event.Bytes: bindings.TypeBlob,
}

// mark is C memory that says which rows of a file are marked.
type mark struct{ p *C.marks }

func newMark(bits []byte) (mark, error) {
	m := mark{C.new_marks(unsafe.Pointer(unsafe.SliceData(bits)), C.uint64_t(len(bits)))}
	if m.p == nil {
		return m, fault.New(fault.Full, "no memory for the marks of %d rows", 8*len(bits))
	}
	return m, nil
}

func (m mark) free() { C.free(unsafe.Pointer(m.p)) }

// slot is C memory that has the address of marks or of an overlay. Its own is
// what our functions take, so that the text of a view stays as it is when other
// marks and another overlay come in their place.
type slot struct{ p *unsafe.Pointer }

func newSlot() slot { return slot{(*unsafe.Pointer)(zeroed(int(unsafe.Sizeof(uintptr(0)))))} }

// put has who asks from now on find what lies at an address in C memory.
func (s slot) put(at unsafe.Pointer) { *s.p = at }

func (s slot) address() int64 { return int64(uintptr(unsafe.Pointer(s.p))) }

func (s slot) free() { C.free(unsafe.Pointer(s.p)) }
