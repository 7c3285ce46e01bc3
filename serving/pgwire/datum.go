package pgwire

import (
	"encoding/binary"
	"strconv"

	"anabranch/serving/sql"
)

// appendDatum is appendValue for a value where it lies.
func appendDatum(dst []byte, t *pgType, d *sql.Datum, format int16, in style) []byte {
	at := len(dst)
	dst = append(dst, 0xff, 0xff, 0xff, 0xff)
	if d.Is == sql.IsNull {
		return dst
	}
	if format == 1 {
		dst = appendDatumBinary(dst, t, d)
	} else {
		dst = appendDatumText(dst, t, d, in)
	}
	binary.BigEndian.PutUint32(dst[at:], uint32(len(dst)-at-4))
	return dst
}

// appendDatumText is appendText for a value where it lies, never null.
func appendDatumText(dst []byte, t *pgType, d *sql.Datum, in style) []byte {
	switch t.kind {
	case kInt2, kInt4, kInt8, kOID, kNumeric:
		switch d.Is {
		case sql.InInt:
			return strconv.AppendInt(dst, d.Int, 10)
		case sql.InDecimal:
			return sql.AppendScaled(dst, d.Int, int(d.Scale))
		}
	case kText:
		if d.Is == sql.InText {
			return append(dst, d.Text...)
		}
	case kFloat8:
		if d.Is == sql.InFloat {
			return appendFloat64(dst, d.Float, 64)
		}
	case kDate, kTimestamp, kTimestampTZ:
		if d.Is == sql.InDays || d.Is == sql.InMicros {
			return appendTime(dst, t.kind, d.Time(), in)
		}
	}
	return appendText(dst, t, d.Any(), in)
}

func appendDatumBinary(dst []byte, t *pgType, d *sql.Datum) []byte {
	switch t.kind {
	case kInt2:
		if d.Is == sql.InInt {
			return binary.BigEndian.AppendUint16(dst, uint16(d.Int))
		}
	case kInt4, kOID:
		if d.Is == sql.InInt {
			return binary.BigEndian.AppendUint32(dst, uint32(d.Int))
		}
	case kInt8:
		if d.Is == sql.InInt {
			return binary.BigEndian.AppendUint64(dst, uint64(d.Int))
		}
	case kText:
		if d.Is == sql.InText {
			return append(dst, d.Text...)
		}
	case kDate, kTimestamp, kTimestampTZ:
		if d.Is == sql.InDays || d.Is == sql.InMicros {
			return appendBinaryTime(dst, t.kind, d.Time())
		}
	}
	return appendBinary(dst, t, d.Any())
}
