package sql

import (
	"context"
	"strconv"
	"strings"

	"anabranch/fault"
)

// relation is a small table written out as SQL: what SHOW, DESCRIBE and
// information_schema say.
type relation struct {
	columns []string
	rows    [][]string // SQL
}

func (r *relation) add(cells ...string) { r.rows = append(r.rows, cells) }

// String is the relation as a subquery.
func (r *relation) String() string {
	names := make([]string, len(r.columns))
	for i, c := range r.columns {
		names[i] = name(c)
	}
	var b strings.Builder
	b.WriteString("(SELECT * FROM (VALUES ")
	rows, none := r.rows, ""
	if len(rows) == 0 {
		cells := make([]string, len(names))
		for i := range cells {
			cells[i] = "NULL::VARCHAR"
		}
		rows, none = [][]string{cells}, " WHERE false"
	}
	for i, row := range rows {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString("(" + strings.Join(row, ", ") + ")")
	}
	b.WriteString(") AS t(" + strings.Join(names, ", ") + ")" + none + ")")
	return b.String()
}

// catalogName is what tools are told the database is called.
const catalogName = "anabranch"

// information returns a table of information_schema.
func (e *Engine) information(ctx context.Context, table string) (string, error) {
	tables, err := e.Tables(ctx)
	if err != nil {
		return "", err
	}
	null := "NULL::VARCHAR"
	switch table {
	case "schemata":
		r := relation{columns: []string{"catalog_name", "schema_name", "schema_owner", "default_character_set_catalog", "default_character_set_schema", "default_character_set_name", "sql_path"}}
		for _, src := range e.serving.Sources() {
			r.add(text(catalogName), text(src.Name), text(catalogName), null, null, null, null)
		}
		return r.String(), nil
	case "tables", "views":
		r := relation{columns: []string{"table_catalog", "table_schema", "table_name", "table_type", "self_referencing_column_name", "reference_generation",
			"user_defined_type_catalog", "user_defined_type_schema", "user_defined_type_name", "is_insertable_into", "is_typed", "commit_action", "TABLE_COMMENT"}}
		for _, t := range tables {
			kind := "VIEW"
			if t.Kind == KindReference {
				kind = "BASE TABLE"
			}
			if table == "tables" || kind == "VIEW" {
				r.add(text(catalogName), text(t.Schema), text(t.Name), text(kind), null, null, null, null, null, "'NO'", "'NO'", null, textOrNull(t.Comment))
			}
		}
		return r.String(), nil
	case "columns":
		r := relation{columns: []string{"table_catalog", "table_schema", "table_name", "column_name", "ordinal_position", "column_default", "is_nullable", "data_type",
			"character_maximum_length", "character_octet_length", "numeric_precision", "numeric_precision_radix", "numeric_scale", "datetime_precision", "COLUMN_COMMENT"}}
		for _, t := range tables {
			for i, c := range t.Columns {
				precision, radix, scale := numeric(c.Type)
				r.add(text(catalogName), text(t.Schema), text(t.Name), text(c.Name), strconv.Itoa(i+1), null, yes(c.Nullable), text(c.Type),
					"NULL::INTEGER", "NULL::INTEGER", precision, radix, scale, "NULL::INTEGER", textOrNull(c.Comment))
			}
		}
		return r.String(), nil
	}
	return "", fault.WithCode(fault.New(fault.Invalid, "information_schema.%s is not answered here: there are tables, views, columns and schemata", table), "unknown_view")
}

// numeric returns precision, radix and scale of a type as SQL.
func numeric(typ string) (precision, radix, scale string) {
	const null = "NULL::INTEGER"
	switch typ {
	case "INTEGER":
		return "32", "2", "0"
	case "BIGINT":
		return "64", "2", "0"
	case "HUGEINT":
		return "128", "2", "0"
	case "DOUBLE":
		return "53", "2", null
	}
	if inside, ok := strings.CutPrefix(typ, "DECIMAL("); ok {
		p, s, _ := strings.Cut(strings.TrimSuffix(inside, ")"), ",")
		return p, "10", s
	}
	return null, null, null
}

func yes(b bool) string {
	if b {
		return "'YES'"
	}
	return "'NO'"
}

func textOrNull(s string) string {
	if s == "" {
		return "NULL::VARCHAR"
	}
	return text(s)
}

// show returns what answers SHOW TABLES, SHOW SCHEMAS and DESCRIBE of a table;
// ok tells that the statement is one of them.
func (e *Engine) show(ctx context.Context, statement map[string]any) (query string, ok bool, err error) {
	node, _ := statement["node"].(map[string]any)
	from, _ := node["from_table"].(map[string]any)
	if from["type"] != "SHOW_REF" {
		return "", false, nil
	}
	which, _ := from["table_name"].(string)
	schema, _ := from["schema_name"].(string)
	tables, err := e.Tables(ctx)
	if err != nil {
		return "", false, err
	}
	switch {
	case which == `"tables"`, which == "__show_tables_expanded", from["show_type"] == "SHOW_FROM":
		if schema != "" {
			if _, err := e.serving.Source(strings.ToLower(schema)); err != nil {
				return "", false, fault.WithCode(err, "unknown_pipeline")
			}
		}
		r := relation{columns: []string{"schema", "name", "kind", "comment"}}
		for _, t := range tables {
			if schema == "" || strings.EqualFold(schema, t.Schema) {
				r.add(text(t.Schema), text(t.Name), text(t.Kind), textOrNull(t.Comment))
			}
		}
		return "FROM " + r.String(), true, nil
	case which == `"databases"`, which == `"schemas"`:
		r := relation{columns: []string{"name"}}
		for _, src := range e.serving.Sources() {
			r.add(text(src.Name))
		}
		return "FROM " + r.String(), true, nil
	case which != "":
		return "", false, refused("not_answered", "SHOW %s is not answered here: write SHOW TABLES, SHOW SCHEMAS or DESCRIBE pipeline.view", which)
	}
	if t := described(from, tables); t != nil {
		r := relation{columns: []string{"column_name", "column_type", "null", "key", "comment"}}
		for _, c := range t.Columns {
			key := "NULL::VARCHAR"
			if c.Key {
				key = "'KEY'"
			}
			r.add(text(c.Name), text(c.Type), yes(c.Nullable), key, textOrNull(c.Comment))
		}
		return "FROM " + r.String(), true, nil
	}
	return "", false, nil
}

// described returns the table of DESCRIBE pipeline.view; nil for a DESCRIBE of
// anything else.
func described(show map[string]any, tables []Table) *Table {
	query, _ := show["query"].(map[string]any)
	list, _ := query["select_list"].([]any)
	from, _ := query["from_table"].(map[string]any)
	if show["show_type"] != "DESCRIBE" || len(list) != 1 || from["type"] != "BASE_TABLE" || from["catalog_name"] != "" {
		return nil
	}
	if star, _ := list[0].(map[string]any); star["class"] != "STAR" || offset(star) >= 0 {
		return nil // DESCRIBE SELECT ...
	}
	for i, t := range tables {
		schema, _ := from["schema_name"].(string)
		table, _ := from["table_name"].(string)
		if strings.EqualFold(schema, t.Schema) && strings.EqualFold(table, t.Name) {
			return &tables[i]
		}
	}
	return nil
}
