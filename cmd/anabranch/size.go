package main

import (
	"math"
	"strconv"
	"strings"

	"anabranch/fault"
)

// size is a flag of bytes: 512MiB, 2GiB, 100MB or a plain number.
type size int64

var sizeUnits = []struct {
	suffix string
	bytes  float64
}{
	{"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30}, {"TiB", 1 << 40},
	{"KB", 1e3}, {"MB", 1e6}, {"GB", 1e9}, {"TB", 1e12}, {"B", 1}, {"", 1},
}

// String implements pflag.Value.
func (s *size) String() string {
	for i := 3; i >= 0; i-- {
		if u := sizeUnits[i]; *s != 0 && *s%size(u.bytes) == 0 {
			return strconv.FormatInt(int64(*s)/int64(u.bytes), 10) + u.suffix
		}
	}
	return strconv.FormatInt(int64(*s), 10)
}

// Set implements pflag.Value.
func (s *size) Set(text string) error {
	for _, u := range sizeUnits {
		digits, ok := strings.CutSuffix(text, u.suffix)
		if !ok {
			continue
		}
		n, err := strconv.ParseFloat(strings.TrimSpace(digits), 64)
		if err != nil || !(n >= 0) || n*u.bytes >= math.MaxInt64 {
			break
		}
		*s = size(n * u.bytes)
		return nil
	}
	return fault.New(fault.Invalid, "%q is not a size: write 512MiB, 2GiB or a number of bytes", text)
}

// Type implements pflag.Value.
func (s *size) Type() string { return "size" }
