package schemas

import (
	"fmt"
	"strings"
	"testing"

	"anabranch/fault"
)

func TestChangesOfSchemas(t *testing.T) {
	t.Parallel()
	parse := func(version uint32, fields string) *Schema {
		s, err := Parse(version, []byte(`{"type": "record", "name": "order", "fields": [`+fields+`]}`))
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	old := parse(1, `{"name": "id", "type": "string"}, {"name": "n", "type": "int"}, {"name": "town", "type": "string"}, {"name": "gone", "type": "int"}, {"name": "price", "type": "int"}`)
	is := parse(2, `{"name": "id", "type": "string"}, {"name": "n", "type": "long"}, {"name": "city", "type": "string", "aliases": ["town"]}, {"name": "shop", "type": "string", "default": "web"}, {"name": "price", "type": ["null", "int"]}`)
	var got []string
	for _, c := range FieldChanges(old, is) {
		got = append(got, fmt.Sprintf("%s %s %s -> %s", c.Name, c.Change, c.From, c.To))
	}
	want := []string{
		"n promoted INTEGER -> BIGINT", "city renamed town VARCHAR -> VARCHAR, also called town", "shop added  -> VARCHAR, with a default",
		"price changed INTEGER -> INTEGER, nullable", "gone removed INTEGER -> ",
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if c := FieldChanges(old, old); len(c) != 0 {
		t.Errorf("%v", c)
	}
}

// What tells events apart never changes, but its fields may have new names.
func TestWhatTellsEventsApartIsSettled(t *testing.T) {
	t.Parallel()
	read := func(change func(map[string]string)) *Definition {
		files := small()
		change(files)
		d, err := ReadDefinition(folder(files))
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	replace := func(file, old, new string) func(map[string]string) {
		return func(files map[string]string) { files[file] = strings.Replace(files[file], old, new, 1) }
	}
	was := read(func(map[string]string) {})
	for name, c := range map[string]struct {
		change func(map[string]string)
		what   string // empty: it is allowed
	}{
		"nothing":  {func(map[string]string) {}, ""},
		"lateness": {replace("pipeline.yaml", "lateness: 2d", "lateness: 3d"), ""},
		"id":       {replace("pipeline.yaml", "{field: id}", "{content_hash: [id]}"), "event.id"},
		"key":      {replace("pipeline.yaml", "key: [city, id]", "key: [city]"), "event.key"},
		"a new name": {func(files map[string]string) {
			replace("schema.avsc", `{"name": "city",`, `{"name": "town", "aliases": ["city"],`)(files)
			replace("pipeline.yaml", "key: [city, id]", "key: [town, id]")(files)
		}, ""},
	} {
		err := Settled(was, read(c.change))
		if (err != nil) != (c.what != "") || err != nil && (!fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), c.what)) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if c := PolicyChanges(was, read(replace("pipeline.yaml", "lateness: 2d", "lateness: 3d"))); len(c) != 1 || c[0].Name != "lateness" {
		t.Errorf("%v", c)
	}
	if c := RuleChanges(was, read(replace("pipeline.yaml", "price = 0", "price = 1"))); len(c) != 1 || c[0].Name != "free" || c[0].Change != Changed {
		t.Errorf("%v", c)
	}
}
