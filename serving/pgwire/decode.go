package pgwire

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math"
	"math/big"
	"strconv"
	"strings"
	"time"

	"github.com/duckdb/duckdb-go/v2"

	"anabranch/fault"
)

// decodeParam reads a parameter's value as what the engine takes. oid is what
// the client declared, or else what the engine expects; 0 when nobody knows.
func decodeParam(oid uint32, format int16, raw []byte) (any, error) {
	if raw == nil {
		return nil, nil
	}
	v, err := decodeText(oid, string(raw))
	if format == 1 {
		v, err = decodeBinary(oid, raw)
	}
	if list, ok := v.([]any); ok && err == nil {
		v = duckList(list) // which is cast to a list where it stands, see withArrays
	}
	if err != nil {
		return nil, fault.WithCode(fault.New(fault.Invalid, "a parameter of type %s: %v", typeName(oid), err), "parameter")
	}
	return v, nil
}

func decodeText(oid uint32, s string) (any, error) {
	switch oid {
	case 16:
		switch strings.ToLower(strings.TrimSpace(s)) {
		case "t", "true", "y", "yes", "on", "1":
			return true, nil
		case "f", "false", "n", "no", "off", "0":
			return false, nil
		}
		return nil, fmt.Errorf("%q is no boolean", s)
	case 20, 21, 23, 26:
		return strconv.ParseInt(strings.TrimSpace(s), 10, 64)
	case 700, 701:
		return strconv.ParseFloat(strings.TrimSpace(s), 64)
	case 1700:
		return parseNumeric(strings.TrimSpace(s))
	case 17:
		if digits, ok := strings.CutPrefix(s, `\x`); ok {
			return hex.DecodeString(digits)
		}
		return []byte(s), nil
	}
	if elem := elementOf(oid); elem != 0 {
		list, err := parseArray(s)
		for i := range list {
			if text, ok := list[i].(string); ok && err == nil {
				list[i], err = decodeText(elem, text)
			}
		}
		return list, err
	}
	// Times and all others as the text they are: DuckDB reads it as the type
	// that the place of the parameter wants.
	return s, nil
}

// parseNumeric reads a decimal number: an integer where it is one.
func parseNumeric(s string) (any, error) {
	whole, part, point := strings.Cut(s, ".")
	if n, ok := new(big.Int).SetString(whole+part, 10); ok {
		switch digits := len(strings.TrimLeft(whole+part, "+-0")); {
		case !point && n.IsInt64():
			return n.Int64(), nil
		case !point && digits <= 38:
			return n, nil
		case point && max(digits, len(part)) <= 38:
			return duckdb.Decimal{Width: uint8(max(digits, len(part), 1)), Scale: uint8(len(part)), Value: n}, nil
		}
	}
	f, err := strconv.ParseFloat(s, 64)
	if err != nil {
		return nil, fmt.Errorf("%q is no number", s)
	}
	return f, nil
}

func decodeBinary(oid uint32, b []byte) (any, error) {
	sizes := map[uint32]int{16: 1, 20: 8, 21: 2, 23: 4, 26: 4, 700: 4, 701: 8, 1082: 4, 1083: 8, 1114: 8, 1184: 8, 1186: 16, 2950: 16}
	if want, ok := sizes[oid]; ok && len(b) != want {
		return nil, fmt.Errorf("%d bytes, want %d", len(b), want)
	}
	be := binary.BigEndian
	switch oid {
	case 16:
		return b[0] != 0, nil
	case 21:
		return int64(int16(be.Uint16(b))), nil
	case 23:
		return int64(int32(be.Uint32(b))), nil
	case 26:
		return int64(be.Uint32(b)), nil
	case 20:
		return int64(be.Uint64(b)), nil
	case 700:
		return float64(math.Float32frombits(be.Uint32(b))), nil
	case 701:
		return math.Float64frombits(be.Uint64(b)), nil
	case 17:
		return append([]byte{}, b...), nil
	case 1700:
		return decodeNumeric(b)
	case 1082:
		return epoch.AddDate(0, 0, int(int32(be.Uint32(b)))).Format(time.DateOnly), nil
	case 1083:
		return time.UnixMicro(int64(be.Uint64(b))).UTC().Format("15:04:05.999999"), nil
	case 1114:
		return time.UnixMicro(int64(be.Uint64(b)) + epoch.UnixMicro()).UTC().Format("2006-01-02 15:04:05.999999"), nil
	case 1184:
		return time.UnixMicro(int64(be.Uint64(b)) + epoch.UnixMicro()).UTC(), nil
	case 1186:
		i := duckdb.Interval{Micros: int64(be.Uint64(b)), Days: int32(be.Uint32(b[8:])), Months: int32(be.Uint32(b[12:]))}
		return string(appendUnits(nil, i)), nil
	case 2950:
		return string(appendText(nil, &pgType{kind: kUUID}, b, style{zone: time.UTC})), nil
	case 0, 18, 19, 25, 114, 705, 1042, 1043:
		return string(b), nil
	case 3802:
		if len(b) > 0 && b[0] == 1 {
			return string(b[1:]), nil
		}
	}
	if elem := elementOf(oid); elem != 0 {
		return decodeArray(elem, b)
	}
	return nil, fmt.Errorf("the binary format is not read for it, the text format is")
}

// elementOf is the OID of an array's elements, 0 for other types.
func elementOf(array uint32) uint32 {
	for _, t := range scalars {
		if t.array == array {
			return t.oid
		}
	}
	switch array {
	case 1015, 1002, 1003, 1014: // varchar[], "char"[], name[], bpchar[]
		return 25
	case 1028:
		return 26
	}
	return 0
}

// decodeArray reads an array of one dimension.
func decodeArray(elem uint32, b []byte) (any, error) {
	be := binary.BigEndian
	if len(b) < 12 {
		return nil, fmt.Errorf("%d bytes are no array", len(b))
	}
	switch be.Uint32(b) {
	case 0:
		return []any{}, nil
	case 1:
	default:
		return nil, fmt.Errorf("%d dimensions, one is read", be.Uint32(b))
	}
	if len(b) < 20 {
		return nil, fmt.Errorf("%d bytes are no array", len(b))
	}
	n, rest := int(be.Uint32(b[12:])), b[20:]
	if n > len(rest)/4 {
		return nil, fmt.Errorf("%d elements in %d bytes", n, len(rest))
	}
	list := make([]any, 0, n)
	for range n {
		if len(rest) < 4 {
			return nil, fmt.Errorf("the array is cut off")
		}
		size := int(int32(be.Uint32(rest)))
		rest = rest[4:]
		if size < 0 {
			list = append(list, nil)
			continue
		}
		if size > len(rest) {
			return nil, fmt.Errorf("the array is cut off")
		}
		v, err := decodeBinary(elem, rest[:size])
		if err != nil {
			return nil, err
		}
		list, rest = append(list, v), rest[size:]
	}
	return list, nil
}

func decodeNumeric(b []byte) (any, error) {
	be := binary.BigEndian
	if len(b) < 8 {
		return nil, fmt.Errorf("%d bytes are no numeric", len(b))
	}
	groups, weight, sign, scale := int(be.Uint16(b)), int(int16(be.Uint16(b[2:]))), be.Uint16(b[4:]), int(be.Uint16(b[6:]))
	switch {
	case sign == 0xC000:
		return math.NaN(), nil
	case sign == 0xD000:
		return math.Inf(1), nil
	case sign == 0xF000:
		return math.Inf(-1), nil
	case len(b) < 8+2*groups || weight > 64 || weight < -64 || scale > 256:
		return nil, fmt.Errorf("not a number that fits")
	}
	var text strings.Builder
	if sign == 0x4000 {
		text.WriteByte('-')
	}
	group := func(i int) uint16 {
		if i < 0 || i >= groups {
			return 0
		}
		return be.Uint16(b[8+2*i:])
	}
	text.WriteByte('0')
	for i := 0; i <= weight; i++ {
		fmt.Fprintf(&text, "%04d", group(i))
	}
	if scale > 0 {
		var part strings.Builder
		for i := weight + 1; part.Len() < scale; i++ {
			fmt.Fprintf(&part, "%04d", group(i))
		}
		text.WriteString("." + part.String()[:scale])
	}
	return parseNumeric(text.String())
}

// typeName names a type for errors.
func typeName(oid uint32) string {
	if name, ok := typeNames[oid]; ok {
		return name
	}
	return fmt.Sprintf("with OID %d", oid)
}
