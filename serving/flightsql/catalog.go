package flightsql

import (
	"cmp"
	"context"
	"regexp"
	"slices"
	"strings"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/flight"
	"github.com/apache/arrow/go/v17/arrow/flight/flightsql"
	"github.com/apache/arrow/go/v17/arrow/flight/flightsql/schema_ref"
	"github.com/apache/arrow/go/v17/arrow/memory"

	"anabranch/serving/sql"
)

// Pipelines are schemas and views are tables, in one catalog without a name:
// SQL names a view by its pipeline and its name.
const catalogName = ""

// kinds are the types of tables, by the kinds of the engine.
var kinds = map[string]string{sql.KindView: "VIEW", sql.KindReference: "TABLE"}

// plainInfo is the flight info of a list: its ticket is the question itself.
func plainInfo(desc *flight.FlightDescriptor, schema *arrow.Schema) (*flight.FlightInfo, error) {
	return &flight.FlightInfo{
		Schema: serialize(schema), FlightDescriptor: desc, TotalRecords: -1, TotalBytes: -1,
		Endpoint: []*flight.FlightEndpoint{{Ticket: &flight.Ticket{Ticket: desc.Cmd}}},
	}, nil
}

// rows answers with a list: fill appends its rows, nil: there are none.
func rows(schema *arrow.Schema, fill func(*array.RecordBuilder)) (*arrow.Schema, <-chan flight.StreamChunk, error) {
	b := array.NewRecordBuilder(memory.DefaultAllocator, schema)
	defer b.Release()
	if fill != nil {
		fill(b)
	}
	out := make(chan flight.StreamChunk, 1)
	out <- flight.StreamChunk{Data: b.NewRecord()}
	close(out)
	return schema, out, nil
}

func text(b *array.RecordBuilder, column int, s string) {
	b.Field(column).(*array.StringBuilder).Append(s)
}

// like makes a filter of a pattern with % and _; nil lets everything through.
func like(pattern *string) func(string) bool {
	if pattern == nil {
		return func(string) bool { return true }
	}
	expr := regexp.QuoteMeta(*pattern)
	expr = strings.NewReplacer(`\\%`, `%`, `\\_`, `_`, `%`, `.*`, `_`, `.`).Replace(expr)
	return regexp.MustCompile("(?s)^" + expr + "$").MatchString
}

func ours(catalog *string) bool { return catalog == nil || *catalog == catalogName }

// GetFlightInfoCatalogs describes the list of catalogs.
func (d *Door) GetFlightInfoCatalogs(_ context.Context, desc *flight.FlightDescriptor) (*flight.FlightInfo, error) {
	return plainInfo(desc, schema_ref.Catalogs)
}

// DoGetCatalogs lists the one catalog.
func (d *Door) DoGetCatalogs(context.Context) (*arrow.Schema, <-chan flight.StreamChunk, error) {
	return rows(schema_ref.Catalogs, func(b *array.RecordBuilder) { text(b, 0, catalogName) })
}

// GetFlightInfoSchemas describes the list of pipelines.
func (d *Door) GetFlightInfoSchemas(_ context.Context, _ flightsql.GetDBSchemas, desc *flight.FlightDescriptor) (*flight.FlightInfo, error) {
	return plainInfo(desc, schema_ref.DBSchemas)
}

// DoGetDBSchemas lists the pipelines.
func (d *Door) DoGetDBSchemas(ctx context.Context, q flightsql.GetDBSchemas) (*arrow.Schema, <-chan flight.StreamChunk, error) {
	tables, err := d.engine.Tables(ctx)
	if err != nil {
		return nil, nil, err
	}
	fits := like(q.GetDBSchemaFilterPattern())
	var names []string
	for _, t := range tables {
		if ours(q.GetCatalog()) && fits(t.Schema) {
			names = append(names, t.Schema)
		}
	}
	slices.Sort(names)
	return rows(schema_ref.DBSchemas, func(b *array.RecordBuilder) {
		for _, n := range slices.Compact(names) {
			text(b, 0, catalogName)
			text(b, 1, n)
		}
	})
}

func tablesSchema(q flightsql.GetTables) *arrow.Schema {
	if q.GetIncludeSchema() {
		return schema_ref.TablesWithIncludedSchema
	}
	return schema_ref.Tables
}

// GetFlightInfoTables describes the list of views.
func (d *Door) GetFlightInfoTables(_ context.Context, q flightsql.GetTables, desc *flight.FlightDescriptor) (*flight.FlightInfo, error) {
	return plainInfo(desc, tablesSchema(q))
}

// DoGetTables lists the views and reference tables, with their columns when
// they are asked for.
func (d *Door) DoGetTables(ctx context.Context, q flightsql.GetTables) (*arrow.Schema, <-chan flight.StreamChunk, error) {
	tables, err := d.engine.Tables(ctx)
	if err != nil {
		return nil, nil, err
	}
	inSchema, named := like(q.GetDBSchemaFilterPattern()), like(q.GetTableNameFilterPattern())
	tables = slices.DeleteFunc(tables, func(t sql.Table) bool {
		return !ours(q.GetCatalog()) || !inSchema(t.Schema) || !named(t.Name) || len(q.GetTableTypes()) > 0 && !slices.Contains(q.GetTableTypes(), kinds[t.Kind])
	})
	slices.SortFunc(tables, func(a, b sql.Table) int {
		return cmp.Or(strings.Compare(kinds[a.Kind], kinds[b.Kind]), strings.Compare(a.Schema, b.Schema), strings.Compare(a.Name, b.Name))
	})
	columns := make([][]byte, len(tables))
	for i, t := range tables {
		if q.GetIncludeSchema() {
			if columns[i], err = d.columns(ctx, t); err != nil {
				return nil, nil, err
			}
		}
	}
	return rows(tablesSchema(q), func(b *array.RecordBuilder) {
		for i, t := range tables {
			text(b, 0, catalogName)
			text(b, 1, t.Schema)
			text(b, 2, t.Name)
			text(b, 3, kinds[t.Kind])
			if q.GetIncludeSchema() {
				b.Field(4).(*array.BinaryBuilder).Append(columns[i])
			}
		}
	})
}

// columns is the schema of a table, with the comments of its columns.
func (d *Door) columns(ctx context.Context, t sql.Table) ([]byte, error) {
	shape, _, err := d.engine.Shapes(ctx, sql.Request{SQL: "SELECT * FROM " + quote(t.Schema) + "." + quote(t.Name), User: userOf(ctx)})
	if err != nil {
		return nil, err
	}
	fields := shape.Fields()
	for i, f := range fields {
		m := flightsql.NewColumnMetadataBuilder().CatalogName(catalogName).SchemaName(t.Schema).TableName(t.Name).IsReadOnly(true)
		keys, values := []string{}, []string{}
		for _, c := range t.Columns {
			if c.Name == f.Name {
				m.TypeName(c.Type)
				fields[i].Nullable = c.Nullable
				if c.Comment != "" {
					keys, values = append(keys, "comment"), append(values, c.Comment)
				}
			}
		}
		md := m.Metadata()
		md = arrow.NewMetadata(append(md.Keys(), keys...), append(md.Values(), values...))
		fields[i].Metadata = md
	}
	return serialize(arrow.NewSchema(fields, nil)), nil
}

func quote(name string) string { return `"` + strings.ReplaceAll(name, `"`, `""`) + `"` }

// GetFlightInfoTableTypes describes the list of types of tables.
func (d *Door) GetFlightInfoTableTypes(_ context.Context, desc *flight.FlightDescriptor) (*flight.FlightInfo, error) {
	return plainInfo(desc, schema_ref.TableTypes)
}

// DoGetTableTypes lists the types of tables.
func (d *Door) DoGetTableTypes(context.Context) (*arrow.Schema, <-chan flight.StreamChunk, error) {
	return rows(schema_ref.TableTypes, func(b *array.RecordBuilder) {
		text(b, 0, kinds[sql.KindReference])
		text(b, 0, kinds[sql.KindView])
	})
}

// GetFlightInfoPrimaryKeys describes the list of primary keys.
func (d *Door) GetFlightInfoPrimaryKeys(_ context.Context, _ flightsql.TableRef, desc *flight.FlightDescriptor) (*flight.FlightInfo, error) {
	return plainInfo(desc, schema_ref.PrimaryKeys)
}

// DoGetPrimaryKeys lists none: views declare no keys.
func (d *Door) DoGetPrimaryKeys(context.Context, flightsql.TableRef) (*arrow.Schema, <-chan flight.StreamChunk, error) {
	return rows(schema_ref.PrimaryKeys, nil)
}

// GetFlightInfoExportedKeys describes the list of foreign keys to a table.
func (d *Door) GetFlightInfoExportedKeys(_ context.Context, _ flightsql.TableRef, desc *flight.FlightDescriptor) (*flight.FlightInfo, error) {
	return plainInfo(desc, schema_ref.ExportedKeys)
}

// DoGetExportedKeys lists none.
func (d *Door) DoGetExportedKeys(context.Context, flightsql.TableRef) (*arrow.Schema, <-chan flight.StreamChunk, error) {
	return rows(schema_ref.ExportedKeys, nil)
}

// GetFlightInfoImportedKeys describes the list of foreign keys of a table.
func (d *Door) GetFlightInfoImportedKeys(_ context.Context, _ flightsql.TableRef, desc *flight.FlightDescriptor) (*flight.FlightInfo, error) {
	return plainInfo(desc, schema_ref.ImportedKeys)
}

// DoGetImportedKeys lists none.
func (d *Door) DoGetImportedKeys(context.Context, flightsql.TableRef) (*arrow.Schema, <-chan flight.StreamChunk, error) {
	return rows(schema_ref.ImportedKeys, nil)
}

// GetFlightInfoCrossReference describes the list of foreign keys between two
// tables.
func (d *Door) GetFlightInfoCrossReference(_ context.Context, _ flightsql.CrossTableRef, desc *flight.FlightDescriptor) (*flight.FlightInfo, error) {
	return plainInfo(desc, schema_ref.CrossReference)
}

// DoGetCrossReference lists none.
func (d *Door) DoGetCrossReference(context.Context, flightsql.CrossTableRef) (*arrow.Schema, <-chan flight.StreamChunk, error) {
	return rows(schema_ref.CrossReference, nil)
}

// GetFlightInfoXdbcTypeInfo describes the list of types.
func (d *Door) GetFlightInfoXdbcTypeInfo(_ context.Context, _ flightsql.GetXdbcTypeInfo, desc *flight.FlightDescriptor) (*flight.FlightInfo, error) {
	return plainInfo(desc, schema_ref.XdbcTypeInfo)
}

// DoGetXdbcTypeInfo lists none: Arrow's own types say all there is to say.
func (d *Door) DoGetXdbcTypeInfo(context.Context, flightsql.GetXdbcTypeInfo) (*arrow.Schema, <-chan flight.StreamChunk, error) {
	return rows(schema_ref.XdbcTypeInfo, nil)
}
