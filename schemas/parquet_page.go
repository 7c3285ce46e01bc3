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
	lengths             []byte
	prefixes, suffixes  []int32
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
	plain []byte // doubles and wide values, as PLAIN writes them
	codes []int32

	texts   []byte // one behind the other
	lengths []int32
}

func (p *page) reset() {
	*p = page{
		levels: p.levels[:0], ints: p.ints[:0], short: p.short[:0], bits: p.bits[:0], plain: p.plain[:0], codes: p.codes[:0],
		texts: p.texts[:0], lengths: p.lengths[:0],
	}
}

// size is how long the values are before encoding.
func (p *page) size() int {
	return 8*len(p.ints) + 4*len(p.short) + 4*len(p.codes) + len(p.bits) + len(p.plain) + len(p.texts) + 4*len(p.lengths)
}

// madePage is what a page has become.
type madePage struct {
	encoding format.Encoding
	size     int  // when it is not compressed, with its header
	stored   bool // as it is: compression would have gained next to nothing
}

// appendPage appends a page, with its header. The encoding is what its values
// are to have; integers that it would make longer stay as they are. Try is
// whether to compress it.
func (e *pageEncoder) appendPage(dst []byte, p *page, encoding format.Encoding, nulls int, try bool) ([]byte, madePage, error) {
	out := madePage{encoding: encoding}
	var err error
	e.levels = e.levels[:0]
	if len(p.levels) > 0 {
		if e.levels, err = (&rle.Encoding{BitWidth: 1}).EncodeLevels(e.levels, p.levels); err != nil {
			return dst, out, encodeFault(err)
		}
	}
	if err := e.encode(p, &out.encoding); err != nil {
		return dst, out, encodeFault(err)
	}
	stored := e.body
	if try {
		if stored, err = e.compress(e.body, len(p.lengths) > 0); err != nil {
			return dst, out, err
		}
		out.stored = len(stored) == len(e.body)
	}
	dst, out.size, err = e.finish(dst, &format.PageHeader{
		Type:                 format.DataPageV2,
		UncompressedPageSize: int32(len(e.levels) + len(e.body)),
		CompressedPageSize:   int32(len(e.levels) + len(stored)),
		DataPageHeaderV2: thrift.New(format.DataPageHeaderV2{
			NumValues: int32(p.rows), NumNulls: int32(nulls), NumRows: int32(p.rows), Encoding: out.encoding,
			DefinitionLevelsByteLength: int32(len(e.levels)), IsCompressed: thrift.New(len(stored) < len(e.body)),
		}),
	}, e.levels, stored)
	return dst, out, err
}

// encode makes body of the values of p.
func (e *pageEncoder) encode(p *page, encoding *format.Encoding) (err error) {
	body := e.body[:0]
	switch *encoding {
	case format.DeltaBinaryPacked:
		if len(p.short) > 0 {
			body, err = (&delta.BinaryPackedEncoding{}).EncodeInt32(body, p.short)
			break
		}
		if body, err = (&delta.BinaryPackedEncoding{}).EncodeInt64(body, p.ints); err == nil && len(body) > 8*len(p.ints) && len(p.ints) > 0 {
			// Hashes. Eight bytes each are shorter, and need no decoding.
			*encoding, body = format.Plain, body[:0]
			for _, v := range p.ints {
				body = binary.LittleEndian.AppendUint64(body, uint64(v))
			}
		}
	case format.RLEDictionary:
		body, err = (&rle.DictionaryEncoding{}).EncodeInt32(body, p.codes)
	case format.DeltaLengthByteArray:
		if body, err = (&delta.BinaryPackedEncoding{}).EncodeInt32(body, p.lengths); err == nil {
			body = append(body, p.texts...)
		}
	case format.DeltaByteArray:
		body, err = e.encodePrefixed(body, p)
	default:
		body = append(append(body, p.bits...), p.plain...)
	}
	e.body = body
	return err
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

// compress returns b compressed, or as it is when that gains next to nothing:
// readers save a step.
func (e *pageEncoder) compress(b []byte, texts bool) ([]byte, error) {
	if texts {
		e.small = compressTexts(e.small[:0], b)
	} else {
		var err error
		if e.small, err = compression.Encode(e.small, b); err != nil {
			return nil, encodeFault(err)
		}
	}
	if len(e.small) < len(b)-len(b)/32 {
		return e.small, nil
	}
	return b, nil
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
