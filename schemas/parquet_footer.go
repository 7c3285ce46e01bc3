package schemas

import (
	"bytes"
	"encoding/binary"
	"maps"
	"math"
	"slices"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/encoding/thrift"
	"github.com/parquet-go/parquet-go/format"

	"anabranch/event"
	"anabranch/fault"
)

// footer returns the end of the file: what is in it, and where.
func (w *ParquetWriter) footer(meta map[string]string) ([]byte, error) {
	schema, orders, err := schemaElements(w.shape)
	if err != nil {
		return nil, err
	}
	text, err := encodeShape(w.shape)
	if err != nil {
		return nil, fault.New(fault.Bug, "write parquet: %w", err)
	}
	file := format.FileMetaData{
		Version: 2, Schema: schema, ColumnOrders: orders, RowGroups: w.groups, CreatedBy: "anabranch version 1",
		KeyValueMetadata: []format.KeyValue{{Key: shapeKey, Value: text}},
	}
	for _, k := range slices.Sorted(maps.Keys(meta)) {
		file.KeyValueMetadata = append(file.KeyValueMetadata, format.KeyValue{Key: k, Value: meta[k]})
	}
	for i := range w.groups {
		file.NumRows += w.groups[i].NumRows
	}
	out, err := thrift.Marshal(new(thrift.CompactProtocol), &file)
	if err != nil {
		return nil, fault.New(fault.Bug, "write parquet: encode the footer: %w", err)
	}
	if len(out) > math.MaxInt32 {
		return nil, fault.New(fault.Invalid, "write parquet: a footer of %d bytes: the file has too many row groups", len(out))
	}
	out = binary.LittleEndian.AppendUint32(out, uint32(len(out)))
	return append(out, parquetID...), nil
}

// schemaElements returns how Parquet spells the columns of a shape, as its
// library does in a file of no rows.
func schemaElements(shape *event.Shape) (thrift.Slice[format.SchemaElement], thrift.Slice[format.ColumnOrder], error) {
	var empty bytes.Buffer
	err := parquet.NewGenericWriter[any](&empty, parquetSchema(shape)).Close()
	if err != nil {
		return nil, nil, fault.New(fault.Bug, "write parquet: the schema: %w", err)
	}
	file, err := parquet.OpenFile(bytes.NewReader(empty.Bytes()), int64(empty.Len()))
	if err != nil {
		return nil, nil, fault.New(fault.Bug, "write parquet: the schema: %w", err)
	}
	return file.Metadata().Schema, file.Metadata().ColumnOrders, nil
}
