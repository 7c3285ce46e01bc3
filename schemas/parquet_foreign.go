package schemas

import (
	"context"
	"encoding/hex"
	"fmt"
	"io"
	"math"
	"math/big"
	"strconv"
	"time"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/deprecated"
	"github.com/parquet-go/parquet-go/format"

	"anabranch/fault"
)

// ParquetText reads a Parquet file that somebody else wrote as events in
// NDJSON, so that they are judged by the rules that hold for text: one object a
// row, values written in one fixed way (2.50 for a DECIMAL of scale 2, 2011-12-09
// 12:50:00 for a TIMESTAMP, with Z where it is a moment in time).
type ParquetText struct {
	file   *parquet.File
	fields []func(out []byte, v parquet.Value) []byte // by leaf
	names  [][]byte                                   // `"name":`
	group  int
	rows   parquet.Rows
	buffer []parquet.Row
	row    int // next one, 1-based
	size   int
}

// NewParquetText opens a file; the chunks of it hold about chunk bytes. Corrupt
// for what is not Parquet, Invalid for nested columns.
func NewParquetText(r io.ReaderAt, size int64, chunk int) (p *ParquetText, err error) {
	defer recoverCorrupt(&err)
	file, err := parquet.OpenFile(r, size, parquet.SkipPageIndex(true), parquet.SkipBloomFilters(true), parquet.ReadBufferSize(1<<20))
	if err != nil {
		return nil, foreign(err)
	}
	p = &ParquetText{file: file, buffer: make([]parquet.Row, 256), row: 1, size: chunk}
	for _, c := range file.Root().Columns() {
		if !c.Leaf() || c.Repeated() {
			return nil, fault.New(fault.Invalid, "column %s is nested: only flat columns can be read", c.Name())
		}
		write, err := textOf(c)
		if err != nil {
			return nil, err
		}
		p.fields = append(p.fields, write)
		p.names = append(p.names, append(appendQuoted(nil, []byte(c.Name())), ':'))
	}
	return p, nil
}

// Next returns the next rows, or io.EOF. FirstLine is the number of the first
// row in the file, from 1.
func (p *ParquetText) Next(ctx context.Context) (c Chunk, err error) {
	defer recoverCorrupt(&err)
	c.FirstLine = p.row
	for len(c.Body) < p.size {
		if err := ctx.Err(); err != nil {
			return Chunk{}, err
		}
		if p.rows == nil {
			groups := p.file.RowGroups()
			if p.group == len(groups) {
				break
			}
			p.rows = groups[p.group].Rows()
			p.group++
		}
		n, err := p.rows.ReadRows(p.buffer)
		for _, row := range p.buffer[:n] {
			c.Body = p.line(c.Body, row)
			p.row++
		}
		if err == io.EOF || err == nil && n == 0 {
			err = p.rows.Close()
			p.rows = nil
		}
		if err != nil {
			return Chunk{}, foreign(err)
		}
	}
	if len(c.Body) == 0 {
		return Chunk{}, io.EOF
	}
	return c, nil
}

// Close lets the file go.
func (p *ParquetText) Close() {
	if p.rows != nil {
		_ = p.rows.Close()
		p.rows = nil
	}
}

func (p *ParquetText) line(out []byte, row parquet.Row) []byte {
	out = append(out, '{')
	first := true
	for _, v := range row {
		if v.IsNull() {
			continue
		}
		if !first {
			out = append(out, ',')
		}
		first = false
		out = append(out, p.names[v.Column()]...)
		out = p.fields[v.Column()](out, v)
	}
	return append(out, '}', '\n')
}

// textOf returns what writes a value of a column as JSON.
func textOf(c *parquet.Column) (func([]byte, parquet.Value) []byte, error) {
	kind, logical := c.Type().Kind(), c.Type().LogicalType()
	if logical == nil {
		return plainOf(kind), nil
	}
	switch l := logical.Value.(type) {
	case *format.DecimalType:
		return func(out []byte, v parquet.Value) []byte { return appendDecimal(out, v, int(l.Scale)) }, nil
	case *format.DateType:
		return func(out []byte, v parquet.Value) []byte {
			return append(time.Unix(int64(v.Int32())*24*60*60, 0).UTC().AppendFormat(append(out, '"'), time.DateOnly), '"')
		}, nil
	case *format.TimestampType:
		if l.Unit.Value == nil {
			break
		}
		unit, zone := l.Unit.Value.Duration(), ""
		if l.IsAdjustedToUTC {
			zone = "Z"
		}
		perSecond := int64(time.Second / unit)
		return func(out []byte, v parquet.Value) []byte {
			n := v.Int64()
			return appendTime(out, time.Unix(n/perSecond, n%perSecond*int64(unit)), zone) // Unix takes what is below zero too
		}, nil
	case *format.UUIDType:
		return func(out []byte, v parquet.Value) []byte {
			h := hex.EncodeToString(v.ByteArray())
			if len(h) != 32 {
				return appendQuoted(out, []byte(h))
			}
			return fmt.Appendf(out, `"%s-%s-%s-%s-%s"`, h[:8], h[8:12], h[12:16], h[16:20], h[20:])
		}, nil
	case *format.IntType:
		if l.IsSigned {
			return plainOf(kind), nil
		}
		return func(out []byte, v parquet.Value) []byte {
			if kind == parquet.Int32 {
				return strconv.AppendUint(out, uint64(uint32(v.Int32())), 10)
			}
			return strconv.AppendUint(out, uint64(v.Int64()), 10)
		}, nil
	case *format.StringType, *format.EnumType, *format.JsonType:
		return plainOf(kind), nil
	}
	return nil, fault.New(fault.Invalid, "column %s is of type %s, which cannot be read", c.Name(), c.Type())
}

func plainOf(kind parquet.Kind) func([]byte, parquet.Value) []byte {
	switch kind {
	case parquet.Boolean:
		return func(out []byte, v parquet.Value) []byte { return strconv.AppendBool(out, v.Boolean()) }
	case parquet.Int32:
		return func(out []byte, v parquet.Value) []byte { return strconv.AppendInt(out, int64(v.Int32()), 10) }
	case parquet.Int64:
		return func(out []byte, v parquet.Value) []byte { return strconv.AppendInt(out, v.Int64(), 10) }
	case parquet.Int96:
		return func(out []byte, v parquet.Value) []byte { return appendInt96(out, v.Int96()) }
	case parquet.Float:
		return func(out []byte, v parquet.Value) []byte { return appendFloat(out, float64(v.Float()), 32) }
	case parquet.Double:
		return func(out []byte, v parquet.Value) []byte { return appendFloat(out, v.Double(), 64) }
	}
	return func(out []byte, v parquet.Value) []byte { return appendQuoted(out, v.ByteArray()) }
}

func appendFloat(out []byte, f float64, bits int) []byte {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return fmt.Appendf(out, `"%v"`, f)
	}
	return strconv.AppendFloat(out, f, 'g', -1, bits)
}

func appendTime(out []byte, t time.Time, zone string) []byte {
	out = t.UTC().AppendFormat(append(out, '"'), "2006-01-02 15:04:05.999999999")
	return append(append(out, zone...), '"')
}

// appendInt96 writes the old form of a timestamp: nanoseconds of a Julian day.
func appendInt96(out []byte, v deprecated.Int96) []byte {
	const julian1970 = 2440588
	nanos := int64(uint64(v[1])<<32 | uint64(v[0]))
	return appendTime(out, time.Unix((int64(v[2])-julian1970)*24*60*60, nanos), "")
}

func appendDecimal(out []byte, v parquet.Value, scale int) []byte {
	var n big.Int
	switch v.Kind() {
	case parquet.Int32:
		n.SetInt64(int64(v.Int32()))
	case parquet.Int64:
		n.SetInt64(v.Int64())
	default: // two's complement, the highest byte first
		b := v.ByteArray()
		n.SetBytes(b)
		if len(b) > 0 && b[0]&0x80 != 0 {
			n.Sub(&n, new(big.Int).Lsh(big.NewInt(1), uint(8*len(b))))
		}
	}
	digits := n.Append(nil, 10)
	if n.Sign() < 0 {
		out, digits = append(out, '-'), digits[1:]
	}
	for len(digits) <= scale {
		digits = append([]byte{'0'}, digits...)
	}
	out = append(out, digits[:len(digits)-scale]...)
	if scale > 0 {
		out = append(append(out, '.'), digits[len(digits)-scale:]...)
	}
	return out
}

// appendQuoted writes a JSON string. Bytes that are not UTF-8 stay as they are,
// for the decoder to refuse.
func appendQuoted(out, text []byte) []byte {
	out = append(out, '"')
	for _, c := range text {
		switch {
		case c == '"' || c == '\\':
			out = append(out, '\\', c)
		case c < 0x20:
			out = fmt.Appendf(out, `\u%04x`, c)
		default:
			out = append(out, c)
		}
	}
	return append(out, '"')
}
