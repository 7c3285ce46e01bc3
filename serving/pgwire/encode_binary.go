package pgwire

import (
	"encoding/binary"
	"math"
	"math/big"
	"strconv"
	"time"

	"github.com/duckdb/duckdb-go/v2"

	"anabranch/serving/sql"
)

// appendBinary writes a value, never nil, in PostgreSQL's binary format.
func appendBinary(dst []byte, t *pgType, v any) []byte {
	n, _ := integer(v)
	switch t.kind {
	case kBool:
		if b, _ := v.(bool); b {
			return append(dst, 1)
		}
		return append(dst, 0)
	case kInt2:
		return binary.BigEndian.AppendUint16(dst, uint16(n))
	case kInt4, kOID:
		return binary.BigEndian.AppendUint32(dst, uint32(n))
	case kInt8:
		return binary.BigEndian.AppendUint64(dst, uint64(n))
	case kFloat4:
		return binary.BigEndian.AppendUint32(dst, math.Float32bits(float32(float(v))))
	case kFloat8:
		return binary.BigEndian.AppendUint64(dst, math.Float64bits(float(v)))
	case kNumeric:
		return appendNumeric(dst, v)
	case kDate, kTime, kTimeTZ, kTimestamp, kTimestampTZ:
		if at, ok := v.(time.Time); ok {
			return appendBinaryTime(dst, t.kind, at)
		}
	case kInterval:
		if i, ok := v.(duckdb.Interval); ok {
			dst = binary.BigEndian.AppendUint64(dst, uint64(i.Micros))
			dst = binary.BigEndian.AppendUint32(dst, uint32(i.Days))
			return binary.BigEndian.AppendUint32(dst, uint32(i.Months))
		}
	case kUUID, kBytes:
		if b, ok := v.([]byte); ok {
			return append(dst, b...)
		}
	case kArray:
		if list, ok := v.([]any); ok && t.elem.array != 0 {
			return appendBinaryArray(dst, t.elem, list)
		}
	}
	return appendText(dst, t, v, style{zone: time.UTC})
}

func appendBinaryTime(dst []byte, k kind, at time.Time) []byte {
	sign := infinite(k, at)
	switch k {
	case kDate:
		// Counted by days from 1970, which lie apart from those of 2000.
		days := floorDiv(at.Unix(), 86400) - epoch.Unix()/86400
		if sign != 0 {
			days = map[int]int64{1: math.MaxInt32, -1: math.MinInt32}[sign]
		}
		return binary.BigEndian.AppendUint32(dst, uint32(int32(days)))
	case kTime, kTimeTZ:
		us := int64(at.Hour())*3_600_000_000 + int64(at.Minute())*60_000_000 + int64(at.Second())*1_000_000 + int64(at.Nanosecond())/1000
		if sql.EndOfDay(at) {
			us = 24 * 3_600_000_000
		}
		dst = binary.BigEndian.AppendUint64(dst, uint64(us))
		if k == kTimeTZ {
			_, off := at.Zone()
			dst = binary.BigEndian.AppendUint32(dst, uint32(int32(-off)))
		}
		return dst
	}
	us := at.UnixMicro() - epoch.UnixMicro()
	if sign != 0 {
		us = map[int]int64{1: math.MaxInt64, -1: math.MinInt64}[sign]
	}
	return binary.BigEndian.AppendUint64(dst, uint64(us))
}

func floorDiv(a, b int64) int64 {
	q := a / b
	if a%b < 0 {
		q--
	}
	return q
}

func appendBinaryArray(dst []byte, elem *pgType, list []any) []byte {
	dims, nulls := uint32(1), uint32(0)
	if len(list) == 0 {
		dims = 0
	}
	for _, v := range list {
		if v == nil {
			nulls = 1
		}
	}
	dst = binary.BigEndian.AppendUint32(dst, dims)
	dst = binary.BigEndian.AppendUint32(dst, nulls)
	dst = binary.BigEndian.AppendUint32(dst, elem.oid)
	if dims == 0 {
		return dst
	}
	dst = binary.BigEndian.AppendUint32(dst, uint32(len(list)))
	dst = binary.BigEndian.AppendUint32(dst, 1) // the first index
	for _, v := range list {
		dst = appendValue(dst, elem, v, 1, style{zone: time.UTC})
	}
	return dst
}

// appendNumeric writes a number as groups of four decimal digits.
func appendNumeric(dst []byte, v any) []byte {
	unscaled, scale := new(big.Int), 0
	switch x := v.(type) {
	case *big.Int:
		unscaled.Set(x)
	case duckdb.Decimal:
		unscaled.Set(x.Value)
		scale = int(x.Scale)
	case uint64:
		unscaled.SetUint64(x)
	default:
		n, _ := integer(v)
		unscaled.SetInt64(n)
	}
	sign := uint16(0)
	if unscaled.Sign() < 0 {
		sign = 0x4000
		unscaled.Neg(unscaled)
	}
	digits := unscaled.String()
	if digits == "0" {
		digits = ""
	}
	for len(digits) < scale {
		digits = "0" + digits
	}
	whole, part := digits[:len(digits)-scale], digits[len(digits)-scale:]
	for len(whole)%4 != 0 {
		whole = "0" + whole
	}
	for len(part)%4 != 0 {
		part += "0"
	}
	weight := len(whole)/4 - 1
	all := whole + part
	for len(all) > 0 && all[:4] == "0000" {
		all, weight = all[4:], weight-1
	}
	for len(all) > 0 && all[len(all)-4:] == "0000" {
		all = all[:len(all)-4]
	}
	if len(all) == 0 {
		weight, sign = 0, 0
	}
	dst = binary.BigEndian.AppendUint16(dst, uint16(len(all)/4))
	dst = binary.BigEndian.AppendUint16(dst, uint16(int16(weight)))
	dst = binary.BigEndian.AppendUint16(dst, sign)
	dst = binary.BigEndian.AppendUint16(dst, uint16(scale))
	for ; len(all) > 0; all = all[4:] {
		n, _ := strconv.ParseUint(all[:4], 10, 16)
		dst = binary.BigEndian.AppendUint16(dst, uint16(n))
	}
	return dst
}
