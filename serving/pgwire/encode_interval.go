package pgwire

import (
	"fmt"
	"strconv"

	"github.com/duckdb/duckdb-go/v2"

	"anabranch/serving/sql"
)

// isoIntervals is the IntervalStyle that Rails sets, and other clients that
// read intervals by their standard.
const isoIntervals = "iso_8601"

func appendInterval(dst []byte, i duckdb.Interval, in style) []byte {
	if in.iso {
		return sql.AppendInterval(dst, i)
	}
	return appendUnits(dst, i)
}

// appendUnits writes an interval as PostgreSQL's style "postgres" has it:
// 1 year 2 mons 3 days 04:05:06.5, with a plus behind what is less than nothing.
func appendUnits(dst []byte, i duckdb.Interval) []byte {
	from, before := len(dst), false
	unit := func(n int32, name string) {
		if n == 0 {
			return
		}
		if len(dst) > from {
			dst = append(dst, ' ')
		}
		if before && n > 0 {
			dst = append(dst, '+')
		}
		before = n < 0
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
	} else if before {
		dst = append(dst, '+')
	}
	dst = fmt.Appendf(dst, "%02d:%02d:%02d", us/3_600_000_000, us/60_000_000%60, us/1_000_000%60)
	return sql.AppendFraction(dst, int64(us%1_000_000))
}
