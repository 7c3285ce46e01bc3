package pgwire

import (
	"fmt"
	"strconv"

	"github.com/duckdb/duckdb-go/v2"
)

// isoIntervals is the IntervalStyle that Rails sets, and other clients that
// read intervals by their standard.
const isoIntervals = "iso_8601"

func appendInterval(dst []byte, i duckdb.Interval, in style) []byte {
	if in.iso {
		return appendISOInterval(dst, i)
	}
	return appendUnits(dst, i)
}

// appendISOInterval writes an interval as PostgreSQL's style "iso_8601" has it:
// P1Y2M3DT4H5M6.5S, with a sign at each number and no zeros.
func appendISOInterval(dst []byte, i duckdb.Interval) []byte {
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
		dst = append(appendFraction(strconv.AppendInt(dst, us/1_000_000, 10), us%1_000_000), 'S')
	}
	return dst
}

// appendFraction writes microseconds behind a whole number of seconds.
func appendFraction(dst []byte, us int64) []byte {
	if us == 0 {
		return dst
	}
	dst = fmt.Appendf(dst, ".%06d", us)
	for dst[len(dst)-1] == '0' {
		dst = dst[:len(dst)-1]
	}
	return dst
}

// appendUnits writes an interval as PostgreSQL's style "postgres" has it:
// 1 year 2 mons 3 days 04:05:06.5.
func appendUnits(dst []byte, i duckdb.Interval) []byte {
	from := len(dst)
	unit := func(n int32, name string) {
		if n == 0 {
			return
		}
		if len(dst) > from {
			dst = append(dst, ' ')
		}
		dst = strconv.AppendInt(dst, int64(n), 10)
		dst = append(append(dst, ' '), name...)
		if n != 1 {
			dst = append(dst, 's')
		}
	}
	unit(i.Months/12, "year")
	unit(i.Months%12, "mon")
	unit(i.Days, "day")
	if i.Micros == 0 && len(dst) > from {
		return dst
	}
	if len(dst) > from {
		dst = append(dst, ' ')
	}
	us := uint64(i.Micros)
	if i.Micros < 0 {
		dst, us = append(dst, '-'), -us
	}
	dst = fmt.Appendf(dst, "%02d:%02d:%02d", us/3_600_000_000, us/60_000_000%60, us/1_000_000%60)
	return appendFraction(dst, int64(us%1_000_000))
}
