package sql

import (
	"strings"

	"anabranch/archive"
	"anabranch/serving"
)

// A reference table is read as a view's batch files are: from a verified local
// copy of its Parquet object, so that filters reach its row groups and its size
// is nobody's memory.

// reference makes a reference table; without a pin it has no rows.
func (b *builder) reference(src *serving.Source, p *serving.Pin, r *archive.Reference) {
	if b.err != nil {
		return
	}
	if p == nil {
		list := []string{}
		for _, c := range r.Columns {
			list = append(list, name(c.Name)+" "+c.Type)
		}
		b.exec("CREATE TABLE " + b.table(src.Name, r.Name).String() + "(" + strings.Join(list, ", ") + ")")
		return
	}
	local, err := p.FetchReference(b.ctx, r)
	if err != nil {
		b.err = err
		return
	}
	b.ep.local.Add(local)
	part := &part{view: src.Name + "." + r.Name, version: r.Version, reference: true, files: 1, rows: r.Rows, bytes: r.Size, paths: local.Paths, columns: map[string]string{}}
	for _, c := range r.Columns {
		part.columns[c.Name] = c.Type
	}
	b.ep.parts = append(b.ep.parts, part)
	b.relation(b.table(src.Name, r.Name), "SELECT * FROM read_parquet("+text(local.Paths[0])+")")
}

// referenceTable is a reference table as the catalog lists it.
func referenceTable(pipeline string, r *archive.Reference) Table {
	t := Table{Schema: pipeline, Name: r.Name, Kind: KindReference, Comment: r.Comment}
	for _, c := range r.Columns {
		t.Columns = append(t.Columns, Column{Name: c.Name, Type: c.Type, View: pipeline + "." + r.Name, Nullable: !c.Key, Key: c.Key, Comment: c.Comment})
	}
	return t
}
