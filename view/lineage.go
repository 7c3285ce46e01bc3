package view

import (
	"cmp"
	"slices"
)

// Lineage says which columns of the event each column of a view comes from,
// as the typed tree of the view has it.
type Lineage struct {
	Columns []ColumnLineage // as Output
	// Groups are inputs that decide what a group is, Filters those that decide
	// which events count at all.
	Groups, Filters []string
}

// ColumnLineage is where one column comes from.
type ColumnLineage struct {
	Column string
	Inputs []Input // in the order of the event's shape
	// Doc is what the schema says of the event's column that the column is, as
	// it is; empty for others.
	Doc string
}

// Input is one column of the event, and what it does for a column of a view.
type Input struct {
	Field string
	Way   Way
}

// Way is how an input makes a value.
type Way uint8

// The ways, the most direct first: of several the first is told.
const (
	Identity       Way = iota + 1 // the value as it is
	Transformation                // a function of it
	Aggregation                   // of those of many events
	Conditional                   // it decides which of several values is taken
	Filter                        // it decides which events an aggregate counts
	Sort                          // it decides which event is the first, or the last
)

// Lineage returns where the columns come from.
func (v *View) Lineage() Lineage { return v.lineage }

// findLineage reads it off the typed tree.
func (s *selection) findLineage() Lineage {
	var out Lineage
	for i, e := range s.items {
		found := map[int]Way{}
		way := Transformation
		if e.op == "column" {
			way = Identity
		}
		e.inputs(way, found)
		c := ColumnLineage{Column: s.output.Fields[i].Name}
		if way == Identity {
			c.Doc = s.shape.Fields[e.column].Doc
		}
		for column, way := range found {
			c.Inputs = append(c.Inputs, Input{s.shape.Fields[column].Name, way})
		}
		slices.SortFunc(c.Inputs, func(a, b Input) int { return cmp.Compare(s.shape.Index(a.Field), s.shape.Index(b.Field)) })
		out.Columns = append(out.Columns, c)
	}
	out.Groups, out.Filters = s.columnsOf(s.keys...), s.columnsOf(s.where)
	return out
}

// columnsOf returns the names of the event's columns that expressions read.
func (s *selection) columnsOf(all ...*expr) (names []string) {
	used := map[int]bool{}
	for _, e := range all {
		e.walk(func(e *expr) {
			if e.op == "column" {
				used[e.column] = true
			}
		})
	}
	for i, f := range s.shape.Fields {
		if used[i] {
			names = append(names, f.Name)
		}
	}
	return names
}

// inputs notes the event's columns below e, which is used in some way; the
// most direct way of each stays.
func (e *expr) inputs(way Way, found map[int]Way) {
	if e == nil {
		return
	}
	switch e.op {
	case "column":
		if was := found[e.column]; was == 0 || way < was {
			found[e.column] = way
		}
	case "aggregate":
		e.agg.arg.inputs(max(way, Aggregation), found)
		e.agg.by.inputs(max(way, Sort), found)
		e.agg.filter.inputs(max(way, Filter), found)
	case "case":
		for i, a := range e.args {
			if i%2 == 0 && i < len(e.args)-1 {
				a.inputs(max(way, Conditional), found) // WHEN
				continue
			}
			a.inputs(way, found)
		}
	default:
		for _, a := range e.args {
			a.inputs(max(way, Transformation), found)
		}
	}
}
