package schemas

import (
	"bytes"
	"encoding/binary"

	"github.com/parquet-go/parquet-go/compress/zstd"
	"github.com/parquet-go/parquet-go/encoding/delta"
	plainencoding "github.com/parquet-go/parquet-go/encoding/plain"
	"github.com/parquet-go/parquet-go/encoding/rle"
	"github.com/parquet-go/parquet-go/encoding/thrift"
	"github.com/parquet-go/parquet-go/format"

	"anabranch/event"
	"anabranch/fault"
)

// compression is shared by all writers: it keeps its encoders between uses,
// and making one costs more than a small file does.
var compression = &zstd.Codec{Level: zstd.SpeedFastest}

// pageEncoder makes pages of values; one serves all columns of a writer.
type pageEncoder struct {
	levels, body, small []byte
	header              bytes.Buffer
}

// page is what a page is made of: the values that are there, in one of the
// slices, and which rows have one.
type page struct {
	rows   int
	levels []byte // 1 for each row with a value, 0 for a null; empty when the column has none

	ints  []int64
	short []int32
	bits  []byte // booleans, one bit each
	flags int    // how many of them
	plain []byte // doubles, wide values and texts, as PLAIN writes them
	codes []int32
}

func (p *page) reset() {
	*p = page{levels: p.levels[:0], ints: p.ints[:0], short: p.short[:0], bits: p.bits[:0], plain: p.plain[:0], codes: p.codes[:0]}
}

// size is how long the values are before encoding.
func (p *page) size() int {
	return 8*len(p.ints) + 4*len(p.short) + 4*len(p.codes) + len(p.bits) + len(p.plain)
}

// appendPage appends a page of the given encoding, with its header, and
// returns how long it is when it is not compressed.
func (e *pageEncoder) appendPage(dst []byte, p *page, encoding format.Encoding, nulls int) ([]byte, int, error) {
	var err error
	e.levels = e.levels[:0]
	if len(p.levels) > 0 {
		if e.levels, err = (&rle.Encoding{BitWidth: 1}).EncodeLevels(e.levels, p.levels); err != nil {
			return dst, 0, encodeFault(err)
		}
	}
	body := e.body[:0]
	switch {
	case encoding == format.DeltaBinaryPacked && len(p.short) > 0:
		body, err = (&delta.BinaryPackedEncoding{}).EncodeInt32(body, p.short)
	case encoding == format.DeltaBinaryPacked:
		body, err = (&delta.BinaryPackedEncoding{}).EncodeInt64(body, p.ints)
	case encoding == format.RLEDictionary:
		body, err = (&rle.DictionaryEncoding{}).EncodeInt32(body, p.codes)
	case len(p.bits) > 0:
		body = append(body, p.bits...)
	default:
		body = append(body, p.plain...)
	}
	if err != nil {
		return dst, 0, encodeFault(err)
	}
	e.body = body
	stored, compressed, err := e.compress(body)
	if err != nil {
		return dst, 0, err
	}
	return e.finish(dst, &format.PageHeader{
		Type:                 format.DataPageV2,
		UncompressedPageSize: int32(len(e.levels) + len(body)),
		CompressedPageSize:   int32(len(e.levels) + len(stored)),
		DataPageHeaderV2: thrift.New(format.DataPageHeaderV2{
			NumValues: int32(p.rows), NumNulls: int32(nulls), NumRows: int32(p.rows), Encoding: encoding,
			DefinitionLevelsByteLength: int32(len(e.levels)), IsCompressed: thrift.New(compressed),
		}),
	}, e.levels, stored)
}

// appendDictionary appends the page that codes point into.
func (e *pageEncoder) appendDictionary(dst []byte, d *event.Dict) ([]byte, int, error) {
	body, err := (&plainencoding.Encoding{}).EncodeByteArray(e.body[:0], d.Data, d.Offsets)
	if err != nil {
		return dst, 0, encodeFault(err)
	}
	e.body = body
	// Its header cannot tell that it is not compressed, so it always is.
	if e.small, err = compression.Encode(e.small, body); err != nil {
		return dst, 0, encodeFault(err)
	}
	return e.finish(dst, &format.PageHeader{
		Type: format.DictionaryPage, UncompressedPageSize: int32(len(body)), CompressedPageSize: int32(len(e.small)),
		DictionaryPageHeader: thrift.New(format.DictionaryPageHeader{NumValues: int32(d.Len()), Encoding: format.Plain}),
	}, nil, e.small)
}

// compress returns b compressed, or as it is when that gains nothing.
func (e *pageEncoder) compress(b []byte) (stored []byte, compressed bool, err error) {
	if e.small, err = compression.Encode(e.small, b); err != nil {
		return nil, false, encodeFault(err)
	}
	if len(e.small) < len(b) {
		return e.small, true, nil
	}
	return b, false, nil
}

func (e *pageEncoder) finish(dst []byte, header *format.PageHeader, levels, stored []byte) ([]byte, int, error) {
	e.header.Reset()
	if err := thrift.NewEncoder(new(thrift.CompactProtocol).NewWriter(&e.header)).Encode(header); err != nil {
		return dst, 0, encodeFault(err)
	}
	dst = append(dst, e.header.Bytes()...)
	dst = append(dst, levels...)
	return append(dst, stored...), e.header.Len() + int(header.UncompressedPageSize), nil
}

func encodeFault(err error) error {
	return fault.New(fault.Bug, "write parquet: encode a page: %w", err)
}

// appendText appends a text as PLAIN writes it.
func appendText(dst, text []byte) []byte {
	dst = binary.LittleEndian.AppendUint32(dst, uint32(len(text)))
	return append(dst, text...)
}
