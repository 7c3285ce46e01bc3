package sql

import (
	"context"
	"slices"

	"anabranch/archive"
	"anabranch/view"
)

// Table is something that queries may read.
type Table struct {
	Schema  string // the pipeline
	Name    string
	Kind    string // KindView or KindReference
	Comment string
	Columns []Column
}

// Kinds of tables.
const (
	KindView      = "view"
	KindReference = "reference" // a file that the definition brings along
)

// Tables lists what there is, by schema and name.
func (e *Engine) Tables(context.Context) ([]Table, error) {
	var all []Table
	for _, src := range e.serving.Sources() {
		for _, v := range src.Views {
			shown := src.Shown(v.Name())
			about, columns := columnsOf(src.Name, shown)
			all = append(all, Table{Schema: src.Name, Name: v.Name(), Kind: KindView, Comment: about, Columns: columns})
		}
		for i := range src.References {
			all = append(all, referenceTable(src.Name, &src.References[i]))
		}
	}
	return all, nil
}

// columnsOf returns a view's columns, and what its text says about it.
func columnsOf(pipeline string, v *view.View) (about string, list []Column) {
	shape := v.Output()
	about, comments := commentsOf(v.SQL(), shape)
	for i, from := range v.Lineage().Columns {
		if comments[i] == "" {
			comments[i] = from.Doc // the schema's word for what is told apart by it
		}
	}
	list = make([]Column, len(shape.Fields))
	for i, f := range shape.Fields {
		list[i] = Column{Name: f.Name, Type: f.Type.SQL(), View: pipeline + "." + archive.ViewOf(v.Name()), Nullable: f.Nullable, Key: slices.Contains(v.Keys(), i), Comment: comments[i]}
	}
	return about, list
}
