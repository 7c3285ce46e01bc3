package sql

import (
	"context"
	"database/sql"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"anabranch/archive"
	"anabranch/fault"
	"anabranch/schemas"
	"anabranch/serving"
)

// checked is a query that may run.
type checked struct {
	text  string // what runs
	asked map[*serving.Source][]string
	asOf  *serving.Receipt // nil: the newest cut
	edits []edit
	extras
	explain bool             // tell where the rows come from, and no more
	needs   map[string]*need // of views, by pipeline.view
	origins
}

// check decides about a query on its parsed tree, and finds the views it
// reads. It needs a connection for DuckDB's parser, and runs nothing.
func (e *Engine) check(ctx context.Context, conn *sql.Conn, r *Request) (*checked, error) {
	text := r.SQL
	if len(text) > e.o.MaxSQL {
		return nil, fault.WithCode(fault.New(fault.Invalid, "the query has %d bytes, the limit is %d", len(text), e.o.MaxSQL), "sql_too_long")
	}
	if i := strings.IndexByte(text, 0); i >= 0 {
		return nil, fault.WithCode(fault.New(fault.Invalid, "a byte of the query is zero%s", placeAt(text, i)), "syntax")
	}
	if !utf8.ValidString(text) {
		return nil, fault.WithCode(fault.New(fault.Invalid, "the query is not UTF-8"), "syntax")
	}
	if commentsIn(text) > maxComments {
		return nil, fault.WithCode(fault.New(fault.Invalid, "comments stand in comments more than %d deep", maxComments), "sql_too_complex")
	}
	text, asOf, err := cutAsOf(text)
	if err != nil {
		return nil, err
	}
	if r.AsOf != nil {
		asOf = r.AsOf
	}
	text, explain := cutExplain(text)
	statement, err := e.parses.of(ctx, conn, text)
	if err != nil {
		return nil, err
	}
	c := &checked{text: text, asOf: asOf, explain: explain}
	if show, ok, err := e.show(ctx, statement); ok || err != nil {
		c.text = show
		return c, err
	}
	w := walker{text: text, args: r.Args}
	w.walk(statement, nil)
	if w.err != nil {
		return nil, w.err
	}
	if !explain {
		c.origins = e.origins(text, statement)
	}
	slices.SortFunc(w.reads, func(a, b read) int { return a.at - b.at })
	var references map[*serving.Source][]archive.Reference
	if c.asked, references, err = e.resolve(text, w.reads, asOf); err != nil {
		return nil, err
	}
	if c.edits, err = e.withCatalog(ctx, text, w.reads); err != nil {
		return nil, err
	}
	merges, wanted, err := e.merges(text, w.uses)
	if err != nil {
		return nil, err
	}
	c.edits, c.extras = slices.Concat(c.edits, merges, e.narrowed(w.amongst), exactly(text, r.Args)), extras{merge: wanted, state: w.state, references: references}
	c.needs = e.needs(&w)
	return c, nil
}

// informationSchema is the schema of the tables that list tables.
const informationSchema = "information_schema"

// resolve finds the views and the reference tables that a query reads, by
// pipeline. A pipeline of which it reads only reference tables has no views in
// asked. Before something is said not to exist it is looked for once more:
// another process may have put it in force a moment ago.
func (e *Engine) resolve(text string, reads []read, asOf *serving.Receipt) (asked map[*serving.Source][]string, references map[*serving.Source][]archive.Reference, err error) {
	asked, references, err = e.named(text, reads, asOf)
	if code := fault.CodeOf(err); code == "unknown_pipeline" || code == "unknown_view" {
		e.serving.Seek()
		return e.named(text, reads, asOf)
	}
	return asked, references, err
}

// named is resolve among what is known here.
func (e *Engine) named(text string, reads []read, asOf *serving.Receipt) (asked map[*serving.Source][]string, references map[*serving.Source][]archive.Reference, err error) {
	asked, references = map[*serving.Source][]string{}, map[*serving.Source][]archive.Reference{}
	for _, r := range reads {
		schema, name, at := strings.ToLower(r.schema), strings.ToLower(r.name), placeAt(text, r.at)
		switch schema {
		case informationSchema:
			continue
		case "":
			return nil, nil, e.unqualified(name, at)
		case "pg_catalog":
			return nil, nil, fault.WithHint(refused("not_answered", "pg_catalog.%s is not answered here%s", name, at), "read information_schema.tables and information_schema.columns")
		}
		src, err := e.serving.Source(schema)
		if err != nil {
			return nil, nil, fault.WithCode(fmt.Errorf("%s.%s%s: %w", schema, name, at, err), "unknown_pipeline")
		}
		if asked[src] == nil {
			asked[src] = []string{}
		}
		if src.View(name) == nil {
			ref, err := src.ReferenceAt(name, asOf)
			if err != nil {
				return nil, nil, fmt.Errorf("%s.%s%s: %w", schema, name, at, err)
			}
			if ref != nil {
				if !slices.ContainsFunc(references[src], func(o archive.Reference) bool { return o.Name == name }) {
					references[src] = append(references[src], *ref)
				}
				continue
			}
			names := tableNames(src)
			err = fault.WithCode(fault.New(fault.Invalid, "pipeline %s has no view %q%s", schema, name, at), "unknown_view")
			return nil, nil, fault.WithHint(err, "%s", nearAndAll(name, names))
		}
		if !contains(asked[src], name) {
			asked[src] = append(asked[src], name)
		}
	}
	return asked, references, nil
}

func tableNames(src *serving.Source) (names []string) {
	for _, v := range src.Views {
		names = append(names, v.Name())
	}
	for _, r := range src.References {
		names = append(names, r.Name)
	}
	return names
}

// nearAndAll names the nearest of some names, and all of them.
func nearAndAll(word string, names []string) string {
	if len(names) == 0 {
		return "it has none"
	}
	near := ""
	if n := schemas.Nearest(word, names); n != "" {
		near = fmt.Sprintf("did you mean %q? ", n)
	}
	return near + "There is " + strings.Join(names, ", ")
}

// unqualified is the error about a table without its pipeline. No such name is
// left to DuckDB, which may take it for a file.
func (e *Engine) unqualified(name, at string) error {
	var all []string
	for _, src := range e.serving.Sources() {
		for _, v := range tableNames(src) {
			if v == name {
				return fault.WithCode(fault.New(fault.Invalid, "table %q is not known%s: did you mean %s.%s?", name, at, src.Name, name), "unknown_view")
			}
			all = append(all, src.Name+"."+v)
		}
	}
	err := fault.WithCode(fault.New(fault.Invalid, "table %q is not known%s", name, at), "unknown_view")
	near := slices.IndexFunc(all, func(full string) bool {
		_, v, _ := strings.Cut(full, ".")
		return schemas.Nearest(name, []string{v}) != ""
	})
	switch {
	case near >= 0:
		return fault.WithHint(err, "did you mean %s? There is %s", all[near], strings.Join(all, ", "))
	case len(all) == 0:
		return fault.WithHint(err, "there is no view yet")
	}
	return fault.WithHint(err, "there is %s", strings.Join(all, ", "))
}

// qualified is how a catalog table is written.
var qualified = regexp.MustCompile(`^(?i:"information_schema"|information_schema)\s*\.\s*("[A-Za-z_]+"|[A-Za-z_]+)`)

// withCatalog replaces the tables of information_schema by what
// they say: DuckDB's own would tell of every cut there is.
func (e *Engine) withCatalog(ctx context.Context, text string, reads []read) (edits []edit, err error) {
	for _, r := range reads {
		if !strings.EqualFold(r.schema, informationSchema) {
			continue
		}
		rows, err := e.information(ctx, strings.ToLower(r.name))
		if err != nil {
			return nil, fmt.Errorf("%w%s", err, placeAt(text, r.at))
		}
		if r.at < 0 || r.at > len(text) {
			return nil, fault.New(fault.Bug, "information_schema.%s has no place", r.name)
		}
		written := qualified.FindString(text[r.at:])
		if written == "" {
			return nil, fault.WithCode(fault.New(fault.Invalid, "write information_schema.%s without anything between%s", r.name, placeAt(text, r.at)), "syntax")
		}
		if r.alias == "" {
			rows += " AS " + name(strings.ToLower(r.name))
		}
		edits = append(edits, edit{r.at, r.at + len(written), func(context.Context, *sql.Conn, *epoch) (string, error) { return rows, nil }})
	}
	return edits, nil
}
