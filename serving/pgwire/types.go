package pgwire

import (
	"strconv"
	"strings"

	"anabranch/serving/sql"
)

// A pgType is what a type of DuckDB is over the wire.
type pgType struct {
	kind  kind
	oid   uint32
	array uint32 // OID of arrays of it, 0 for none
	size  int16  // bytes, -1 varies
	mod   int32  // typmod, -1 none

	elem *pgType   // of a list
	duck *sql.Type // by which JSON is written
}

// kind is how values of a type are written.
type kind byte

const (
	kText kind = iota
	kBool
	kInt2
	kInt4
	kInt8
	kOID
	kFloat4
	kFloat8
	kNumeric
	kBytes
	kDate
	kTime
	kTimeTZ
	kTimestamp
	kTimestampTZ
	kInterval
	kUUID
	kArray
	kJSON
)

// scalars are the types without parameters, by DuckDB's names. Integers that
// PostgreSQL does not have go to the next wider type, and numeric last.
var scalars = map[string]pgType{
	"BOOLEAN":   {kind: kBool, oid: 16, array: 1000, size: 1},
	"TINYINT":   {kind: kInt2, oid: 21, array: 1005, size: 2},
	"UTINYINT":  {kind: kInt2, oid: 21, array: 1005, size: 2},
	"SMALLINT":  {kind: kInt2, oid: 21, array: 1005, size: 2},
	"USMALLINT": {kind: kInt4, oid: 23, array: 1007, size: 4},
	"INTEGER":   {kind: kInt4, oid: 23, array: 1007, size: 4},
	"UINTEGER":  {kind: kInt8, oid: 20, array: 1016, size: 8},
	"BIGINT":    {kind: kInt8, oid: 20, array: 1016, size: 8},
	"UBIGINT":   {kind: kNumeric, oid: 1700, array: 1231, size: -1},
	"HUGEINT":   {kind: kNumeric, oid: 1700, array: 1231, size: -1},
	"UHUGEINT":  {kind: kNumeric, oid: 1700, array: 1231, size: -1},
	"BIGNUM":    {kind: kNumeric, oid: 1700, array: 1231, size: -1},
	"FLOAT":     {kind: kFloat4, oid: 700, array: 1021, size: 4},
	"DOUBLE":    {kind: kFloat8, oid: 701, array: 1022, size: 8},
	"DECIMAL":   {kind: kNumeric, oid: 1700, array: 1231, size: -1},
	"VARCHAR":   {kind: kText, oid: 25, array: 1009, size: -1},
	"BLOB":      {kind: kBytes, oid: 17, array: 1001, size: -1},
	"DATE":      {kind: kDate, oid: 1082, array: 1182, size: 4},
	"TIME":      {kind: kTime, oid: 1083, array: 1183, size: 8},
	"TIME_NS":   {kind: kTime, oid: 1083, array: 1183, size: 8},
	"TIMETZ":    {kind: kTimeTZ, oid: 1266, array: 1270, size: 12},
	"TIMESTAMP": {kind: kTimestamp, oid: 1114, array: 1115, size: 8},

	"TIMESTAMP_S":  {kind: kTimestamp, oid: 1114, array: 1115, size: 8},
	"TIMESTAMP_MS": {kind: kTimestamp, oid: 1114, array: 1115, size: 8},
	"TIMESTAMP_NS": {kind: kTimestamp, oid: 1114, array: 1115, size: 8},
	"TIMESTAMPTZ":  {kind: kTimestampTZ, oid: 1184, array: 1185, size: 8},
	"INTERVAL":     {kind: kInterval, oid: 1186, array: 1187, size: 16},
	"UUID":         {kind: kUUID, oid: 2950, array: 2951, size: 16},
	"JSON":         {kind: kJSON, oid: 114, array: 199, size: -1},

	"TIMESTAMP WITH TIME ZONE": {kind: kTimestampTZ, oid: 1184, array: 1185, size: 8},
	"TIME WITH TIME ZONE":      {kind: kTimeTZ, oid: 1266, array: 1270, size: 12},
}

// typeOf returns what a DuckDB type is over the wire. What PostgreSQL does not
// know is text; what has parts is JSON, but for lists of scalars.
func typeOf(duck string) *pgType { return pgTypeOf(sql.TypeNamed(duck)) }

func pgTypeOf(duck *sql.Type) *pgType {
	switch duck.Name {
	case "LIST":
		elem := pgTypeOf(duck.Elem)
		list := &pgType{kind: kArray, oid: elem.array, size: -1, mod: elem.mod, elem: elem, duck: duck}
		if elem.array == 0 {
			list.oid, list.mod = 114, -1
		}
		return list
	case "STRUCT", "UNION", "MAP":
		return &pgType{kind: kJSON, oid: 114, size: -1, mod: -1, duck: duck}
	}
	t, ok := scalars[duck.Name]
	if !ok {
		t = scalars["VARCHAR"]
	}
	t.mod, t.duck = -1, duck
	if duck.Name == "DECIMAL" {
		if w, s, ok := strings.Cut(duck.Params, ","); ok {
			width, _ := strconv.Atoi(strings.TrimSpace(w))
			scale, _ := strconv.Atoi(strings.TrimSpace(s))
			t.mod = int32(width<<16|scale) + 4
		}
	}
	return &t
}
