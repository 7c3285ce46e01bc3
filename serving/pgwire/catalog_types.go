package pgwire

import (
	"slices"
	"strconv"
	"strings"
)

// typeRow is a line of pgtypes.txt.
type typeRow struct {
	oid                                       uint32
	name, size, category, elem, array, family string
	written                                   string
}

func pgTypes() (out []typeRow) {
	for line := range strings.Lines(typesText) {
		f := strings.SplitN(strings.TrimSpace(line), " ", 8)
		if len(f) < 7 || f[0] == "#" || strings.HasPrefix(line, "#") {
			continue
		}
		n, _ := strconv.ParseUint(f[0], 10, 32)
		t := typeRow{oid: uint32(n), name: f[1], size: f[2], category: f[3], elem: f[4], array: f[5], family: f[6], written: f[1]}
		if len(f) == 8 {
			t.written = f[7]
		}
		out = append(out, t)
	}
	return out
}

// underscored are the types whose functions have an underscore in their names.
var underscored = []string{"date", "time", "timetz", "timestamp", "timestamptz", "interval", "numeric", "uuid", "json", "jsonb", "bit", "varbit", "inet", "record", "void", "any", "anyarray", "anyelement", "cstring", "trigger"}

// function names the function that reads or writes values of a type: "in",
// "out", "recv" or "send". Clients know types by it.
func (t typeRow) function(does string) string {
	switch {
	case t.category == "A", strings.HasPrefix(t.name, "_"):
		return "array_" + does
	case slices.Contains(underscored, t.name):
		return t.name + "_" + does
	}
	return t.name + does
}

// returned is the OID of what such a function returns.
func (t typeRow) returned(does string) uint32 {
	const bytea, cstring, anyArray = 17, 2275, 2277
	switch {
	case does == "out":
		return cstring
	case does == "send":
		return bytea
	case strings.HasPrefix(t.function(does), "array_"):
		return anyArray
	}
	return t.oid
}
