package pgwire

import (
	"encoding/json"
	"encoding/xml"
	"fmt"
	"strings"

	"anabranch/fault"
	"anabranch/serving/sql"
)

// planNode is a node of a plan as PostgreSQL writes it: what is said of it, in
// order, and what is below.
type planNode struct {
	said  []said
	below []planNode
}

type said struct {
	name  string
	value any
}

// planOf makes a plan of the rows of the engine's EXPLAIN: one node over one for
// each source of rows.
func planOf(r rows) (planNode, error) {
	root := planNode{said: []said{{"Node Type", "Append"}}, below: []planNode{}}
	for {
		row, err := r.next()
		if err != nil || row == nil {
			return root, err
		}
		scan := planNode{said: []said{{"Node Type", "Seq Scan"}, {"Parent Relationship", "Member"}}}
		for i, c := range r.columns() {
			v := row[i].Any()
			if v == nil {
				continue
			}
			switch text := fmt.Sprint(v); c.name {
			case "view":
				schema, table, _ := strings.Cut(text, ".")
				scan.said = append(scan.said, said{"Schema", schema}, said{"Relation Name", table}, said{"Alias", table})
			case "rows_read":
				scan.said = append(scan.said, said{"Plan Rows", v})
			case "filters":
				scan.said = append(scan.said, said{"Filter", text})
			default:
				words := strings.Split(c.name, "_")
				for k, w := range words {
					words[k] = strings.ToUpper(w[:1]) + w[1:]
				}
				scan.said = append(scan.said, said{strings.Join(words, " "), v})
			}
		}
		root.below = append(root.below, scan)
	}
}

func (n planNode) json() (sql.JSON, error) {
	text, err := json.Marshal([]map[string]any{{"Plan": n.object()}})
	return sql.JSON(text), fault.Wrap(fault.Bug, err)
}

func (n planNode) object() map[string]any {
	o := map[string]any{}
	for _, s := range n.said {
		o[s.name] = s.value
	}
	if n.below != nil {
		plans := make([]map[string]any, len(n.below))
		for i, b := range n.below {
			plans[i] = b.object()
		}
		o["Plans"] = plans
	}
	return o
}

// xmlType is of EXPLAIN (FORMAT XML) alone: nothing in DuckDB is XML.
var xmlType = &pgType{kind: kText, oid: 142, array: 143, size: -1, mod: -1, duck: sql.TypeNamed("VARCHAR")}

func (n planNode) xml() string {
	var b strings.Builder
	b.WriteString("<explain xmlns=\"http://www.postgresql.org/2009/explain\">\n  <Query>\n")
	n.element(&b, "    ")
	b.WriteString("  </Query>\n</explain>")
	return b.String()
}

func (n planNode) element(b *strings.Builder, indent string) {
	fmt.Fprintf(b, "%s<Plan>\n", indent)
	for _, s := range n.said {
		tag := strings.ReplaceAll(s.name, " ", "-")
		fmt.Fprintf(b, "%s  <%s>", indent, tag)
		_ = xml.EscapeText(b, []byte(fmt.Sprint(s.value))) // a builder has no errors
		fmt.Fprintf(b, "</%s>\n", tag)
	}
	if n.below != nil {
		fmt.Fprintf(b, "%s  <Plans>\n", indent)
		for _, p := range n.below {
			p.element(b, indent+"    ")
		}
		fmt.Fprintf(b, "%s  </Plans>\n", indent)
	}
	fmt.Fprintf(b, "%s</Plan>\n", indent)
}
