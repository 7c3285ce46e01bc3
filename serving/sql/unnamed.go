package sql

import (
	"cmp"
	"regexp"
	"strings"
)

// asWritten is the name of a function as a query has it.
var asWritten = regexp.MustCompile(`^(?:"?[\pL_][\pL\pN_$]*"?\s*\.\s*)*"?([\pL_][\pL\pN_$]*)"?`)

// nameless is what PostgreSQL calls a column for which it finds no name.
const nameless = "?column?"

// postgresName is what PostgreSQL calls an item of a SELECT list that has no name:
// count for count(*), where the engine has count_star(). It is the outermost column
// or function, inside of casts, or a type where there is neither.
func postgresName(text string, item map[string]any) string {
	if s, _ := item["alias"].(string); s != "" {
		return s
	}
	if name, _ := nameInside(text, item); name != "" {
		return name
	}
	return nameless
}

// nameInside returns weak for a name that a cast or a CASE around it replaces by
// its own.
func nameInside(text string, v map[string]any) (name string, weak bool) {
	child := func(key string) map[string]any {
		c, _ := v[key].(map[string]any)
		return c
	}
	switch v["class"] {
	case "COLUMN_REF":
		if names := textsOf(v["column_names"]); len(names) > 0 {
			return names[len(names)-1], false
		}
	case "FUNCTION", "WINDOW":
		return functionName(text, v), false
	case "CAST":
		name, weak := nameInside(text, child("child"))
		if name != "" && !weak {
			return name, false
		}
		t, _ := child("cast_type")["id"].(string)
		if t == "BOOLEAN" && offset(v) < 0 { // true and false are casts to the engine
			return "", false
		}
		return postgresType(t), true
	case "CASE":
		if name, weak := nameInside(text, child("else_expr")); name != "" && !weak {
			return name, false
		}
		return "case", true
	case "COLLATE":
		return nameInside(text, child("child"))
	case "OPERATOR":
		switch v["type"] {
		case "OPERATOR_COALESCE":
			return "coalesce", false
		case "OPERATOR_NULLIF":
			return "nullif", false
		case "ARRAY_CONSTRUCTOR":
			return "array", false
		case "ARRAY_EXTRACT", "ARRAY_SLICE":
			if of, _ := v["children"].([]any); len(of) > 0 {
				inner, _ := of[0].(map[string]any)
				return nameInside(text, inner)
			}
		case "STRUCT_EXTRACT":
			if of, _ := v["children"].([]any); len(of) == 2 {
				field, _ := of[1].(map[string]any)
				value, _ := field["value"].(map[string]any)
				s, _ := value["value"].(string)
				return s, false
			}
		}
	case "SUBQUERY":
		switch v["subquery_type"] {
		case "EXISTS":
			return "exists", false
		case "SCALAR":
			node, _ := child("subquery")["node"].(map[string]any)
			if list, _ := node["select_list"].([]any); len(list) > 0 {
				first, _ := list[0].(map[string]any)
				if s, _ := first["alias"].(string); s != "" {
					return s, false
				}
				return nameInside(text, first)
			}
		}
	}
	return "", false
}

// functionName is a function as it is written, EXTRACT for what is date_part
// to the engine; none for an operator.
func functionName(text string, v map[string]any) string {
	name, _ := v["function_name"].(string)
	if is, _ := v["is_operator"].(bool); is {
		return ""
	}
	if name == "trim" {
		return "btrim"
	}
	if at := offset(v); at >= 0 && at < len(text) {
		if m := asWritten.FindStringSubmatch(text[at:]); m != nil {
			return strings.ToLower(m[1])
		}
	}
	switch {
	case name == "list_value":
		return "array"
	case asWritten.FindString(name) != name:
		return ""
	}
	return strings.TrimSuffix(name, "_star") // count(*)
}

// postgresTypes are what PostgreSQL calls types that have other names here.
var postgresTypes = map[string]string{
	"BOOLEAN": "bool", "SMALLINT": "int2", "INTEGER": "int4", "BIGINT": "int8", "FLOAT": "float4", "DOUBLE": "float8", "DECIMAL": "numeric",
	"VARCHAR": "text", "BLOB": "bytea", "TIMESTAMP WITH TIME ZONE": "timestamptz", "TIME WITH TIME ZONE": "timetz",
}

// postgresType is a type of the engine's as PostgreSQL names it.
func postgresType(id string) string { return cmp.Or(postgresTypes[id], strings.ToLower(id)) }

// spreads reports whether an item may be several columns.
func spreads(n any) bool {
	switch v := n.(type) {
	case []any:
		for _, child := range v {
			if spreads(child) {
				return true
			}
		}
	case map[string]any:
		if v["class"] == "STAR" {
			return true
		}
		if v["class"] == "SUBQUERY" {
			return false
		}
		for _, child := range v {
			if spreads(child) {
				return true
			}
		}
	}
	return false
}
