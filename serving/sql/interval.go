package sql

import (
	"fmt"
	"strconv"

	"github.com/duckdb/duckdb-go/v2"
)

// AppendInterval writes an interval as ISO 8601 does, P1Y2M3DT4H5M6.5S, with a
// sign at each number and no zeros; nothing is PT0S. It is PostgreSQL's style
// "iso_8601", and DuckDB reads it back.
func AppendInterval(dst []byte, i duckdb.Interval) []byte {
	unit := func(n int64, name byte) {
		if n != 0 {
			dst = append(strconv.AppendInt(dst, n, 10), name)
		}
	}
	dst = append(dst, 'P')
	unit(int64(i.Months/12), 'Y')
	unit(int64(i.Months%12), 'M')
	unit(int64(i.Days), 'D')
	if i.Micros == 0 {
		if dst[len(dst)-1] == 'P' {
			dst = append(dst, "T0S"...)
		}
		return dst
	}
	dst = append(dst, 'T')
	unit(i.Micros/3_600_000_000, 'H')
	unit(i.Micros/60_000_000%60, 'M')
	if us := i.Micros % 60_000_000; us != 0 {
		if us < 0 {
			dst, us = append(dst, '-'), -us
		}
		dst = append(AppendFraction(strconv.AppendInt(dst, us/1_000_000, 10), us%1_000_000), 'S')
	}
	return dst
}

// AppendFraction writes microseconds, fewer than a second has, behind a whole
// number of seconds.
func AppendFraction(dst []byte, us int64) []byte {
	if us == 0 {
		return dst
	}
	dst = fmt.Appendf(dst, ".%06d", us)
	for dst[len(dst)-1] == '0' {
		dst = dst[:len(dst)-1]
	}
	return dst
}
