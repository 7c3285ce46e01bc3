package openapi

import (
	"encoding/json"
	"fmt"
	"path"
	"reflect"
	"strings"
	"time"
)

// Schema says what a value looks like, as OpenAPI 3.0 writes it.
type Schema struct {
	Ref         string             `json:"$ref,omitempty"`
	AllOf       []*Schema          `json:"allOf,omitempty"`
	Type        string             `json:"type,omitempty"`
	Format      string             `json:"format,omitempty"`
	Description string             `json:"description,omitempty"`
	Nullable    bool               `json:"nullable,omitempty"`
	Enum        []string           `json:"enum,omitempty"`
	Pattern     string             `json:"pattern,omitempty"`
	Minimum     *int64             `json:"minimum,omitempty"`
	Maximum     *int64             `json:"maximum,omitempty"`
	Items       *Schema            `json:"items,omitempty"`
	Properties  map[string]*Schema `json:"properties,omitempty"`
	Additional  *Schema            `json:"additionalProperties,omitempty"`
	Required    []string           `json:"required,omitempty"`
}

var (
	timeType    = reflect.TypeFor[time.Time]()
	rawType     = reflect.TypeFor[json.RawMessage]()
	marshalType = reflect.TypeFor[json.Marshaler]()
)

// schemas are those of the structs that a document names.
type schemas struct {
	named map[string]*Schema
	types map[string]reflect.Type
	// plain are the packages whose types go by their name alone; the others'
	// have that of the package before it.
	plain []string
	about func(t reflect.Type, field string) string
	// asked says that what is described is read and not written: a field that
	// may be left out may then be null as well.
	asked bool
}

// of returns the schema of what encoding/json writes for a t.
func (s *schemas) of(t reflect.Type) *Schema {
	zero := int64(0)
	switch {
	case t == timeType:
		return &Schema{Type: "string", Format: "date-time"}
	case t == rawType:
		return &Schema{}
	case t.Kind() == reflect.Struct:
		return &Schema{Ref: "#/components/schemas/" + s.name(t)}
	case t.Implements(marshalType):
		return &Schema{}
	}
	switch t.Kind() {
	case reflect.Pointer:
		return s.of(t.Elem())
	case reflect.Bool:
		return &Schema{Type: "boolean"}
	case reflect.String:
		return &Schema{Type: "string"}
	case reflect.Int, reflect.Int64:
		return &Schema{Type: "integer", Format: "int64"}
	case reflect.Int8, reflect.Int16, reflect.Int32:
		return &Schema{Type: "integer", Format: "int32"}
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return &Schema{Type: "integer", Minimum: &zero}
	case reflect.Float32:
		return &Schema{Type: "number", Format: "float"}
	case reflect.Float64:
		return &Schema{Type: "number", Format: "double"}
	case reflect.Slice, reflect.Array:
		if t.Kind() == reflect.Slice && t.Elem().Kind() == reflect.Uint8 {
			return &Schema{Type: "string", Format: "byte"}
		}
		return &Schema{Type: "array", Items: s.element(t.Elem())}
	case reflect.Map:
		return &Schema{Type: "object", Additional: s.element(t.Elem())}
	case reflect.Interface:
		return &Schema{Nullable: true}
	}
	panic(fmt.Sprintf("openapi: nothing in JSON is a %s", t))
}

// element is what a list or a map holds, which may be null where Go has nil.
func (s *schemas) element(t reflect.Type) *Schema { return orNull(s.of(t), t) }

func orNull(v *Schema, t reflect.Type) *Schema {
	switch t.Kind() {
	case reflect.Pointer, reflect.Slice, reflect.Map, reflect.Interface:
		if v.Ref != "" {
			return &Schema{AllOf: []*Schema{v}, Nullable: true}
		}
		v.Nullable = true
	}
	return v
}

// name returns the name of a struct among the schemas, having put it there.
func (s *schemas) name(t reflect.Type) string {
	name, of := t.Name(), path.Base(t.PkgPath())
	if name == "" {
		panic(fmt.Sprintf("openapi: %s has no name to go by", t))
	}
	name = strings.ToUpper(name[:1]) + name[1:]
	plain := false
	for _, p := range s.plain {
		plain = plain || p == of
	}
	if !plain {
		name = strings.ToUpper(of[:1]) + of[1:] + name
	}
	if have, ok := s.types[name]; ok {
		if have != t {
			panic(fmt.Sprintf("openapi: %s and %s are both called %s", have, t, name))
		}
		return name
	}
	s.types[name] = t
	v := &Schema{Type: "object", Properties: map[string]*Schema{}}
	if s.about != nil {
		v.Description = s.about(t, "")
	}
	s.named[name] = v
	s.fields(v, t)
	return name
}

// fields adds the fields of a struct as encoding/json has them: those of
// embedded structs stand among them.
func (s *schemas) fields(into *Schema, t reflect.Type) {
	for i := range t.NumField() {
		f := t.Field(i)
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		switch {
		case f.Tag.Get("json") == "-":
			continue
		case f.Anonymous && name == "":
			e := f.Type
			if e.Kind() == reflect.Pointer {
				e = e.Elem()
			}
			if e.Kind() == reflect.Struct {
				s.fields(into, e)
				continue
			}
		case !f.IsExported():
			continue
		}
		if name == "" {
			name = f.Name
		}
		v := s.of(f.Type)
		if strings.Contains(options, "string") {
			v = &Schema{Type: "string"}
		}
		if !strings.Contains(options, "omitempty") && !strings.Contains(options, "omitzero") {
			into.Required = append(into.Required, name)
			v = orNull(v, f.Type)
		} else if s.asked {
			v.Nullable = v.Ref == "" && (v.Type != "" || v.Nullable)
		}
		if s.about != nil {
			if text := s.about(t, f.Name); text != "" {
				if v.Ref != "" {
					v = &Schema{AllOf: []*Schema{v}}
				}
				v.Description = text
			}
		}
		into.Properties[name] = v
	}
}
