package view

import (
	"encoding/json"
	"math"
)

// The tree that DuckDB's json_serialize_sql writes, as far as it is read here.

type astAnswer struct {
	Error      bool   `json:"error"`
	Message    string `json:"error_message"`
	Position   string `json:"position"`
	Statements []struct {
		Node *astSelect `json:"node"`
	} `json:"statements"`
}

type astSelect struct {
	Type      string            `json:"type"`
	Modifiers []json.RawMessage `json:"modifiers"`
	With      struct {
		Map []json.RawMessage `json:"map"`
	} `json:"cte_map"`
	List      []*astNode `json:"select_list"`
	From      *astFrom   `json:"from_table"`
	Where     *astNode   `json:"where_clause"`
	GroupBy   []*astNode `json:"group_expressions"`
	GroupSets [][]int    `json:"group_sets"`
	Handling  string     `json:"aggregate_handling"` // FORCE_AGGREGATES: GROUP BY ALL
	Having    *astNode   `json:"having"`
	Sample    *struct{}  `json:"sample"`
	Qualify   *astNode   `json:"qualify"`
}

type astFrom struct {
	Type     string    `json:"type"`
	Alias    string    `json:"alias"`
	Sample   *struct{} `json:"sample"`
	Location uint64    `json:"query_location"`
	Schema   string    `json:"schema_name"`
	Catalog  string    `json:"catalog_name"`
	Table    string    `json:"table_name"`
	Columns  []string  `json:"column_name_alias"`
}

// astNode is one expression; which members are set follows from Class.
type astNode struct {
	Class    string `json:"class"`
	Type     string `json:"type"`
	Alias    string `json:"alias"`
	Location uint64 `json:"query_location"`

	Schema   string     `json:"schema"`
	Function string     `json:"function_name"`
	Children []*astNode `json:"children"`
	Filter   *astNode   `json:"filter"`
	Distinct bool       `json:"distinct"`
	OrderBys *struct {
		Orders []*astOrder `json:"orders"`
	} `json:"order_bys"`

	Columns []string `json:"column_names"`

	Value *astValue `json:"value"`

	Left  *astNode `json:"left"`
	Right *astNode `json:"right"`
	Input *astNode `json:"input"`
	Lower *astNode `json:"lower"`
	Upper *astNode `json:"upper"`

	Child    *astNode `json:"child"`
	CastType *astType `json:"cast_type"`
	TryCast  bool     `json:"try_cast"`

	Checks []*astCheck `json:"case_checks"`
	Else   *astNode    `json:"else_expr"`
}

type astOrder struct {
	Type  string   `json:"type"`
	Nulls string   `json:"null_order"`
	Expr  *astNode `json:"expression"`
}

type astCheck struct {
	When *astNode `json:"when_expr"`
	Then *astNode `json:"then_expr"`
}

type astType struct {
	ID   string `json:"id"`
	Info *struct {
		Width uint8 `json:"width"`
		Scale uint8 `json:"scale"`
	} `json:"type_info"`
}

type astValue struct {
	Type  astType         `json:"type"`
	Null  bool            `json:"is_null"`
	Value json.RawMessage `json:"value"`
}

// nowhere is DuckDB's location of a node it made up itself.
const nowhere = math.MaxUint64

// place returns where n begins in the text: its own location, or the first
// one among what it is made of; -1 when there is none.
func (n *astNode) place() int {
	if n == nil {
		return -1
	}
	if n.Location != nowhere {
		return int(n.Location)
	}
	least := -1
	for _, c := range n.parts() {
		if p := c.place(); p >= 0 && (least < 0 || p < least) {
			least = p
		}
	}
	return least
}

// parts returns the expressions that n is made of.
func (n *astNode) parts() []*astNode {
	var p []*astNode
	add := func(nodes ...*astNode) {
		for _, c := range nodes {
			if c != nil {
				p = append(p, c)
			}
		}
	}
	add(n.Children...)
	add(n.Filter, n.Left, n.Right, n.Input, n.Lower, n.Upper, n.Child)
	for _, c := range n.Checks {
		add(c.When, c.Then)
	}
	add(n.Else)
	if n.OrderBys != nil {
		for _, o := range n.OrderBys.Orders {
			add(o.Expr)
		}
	}
	return p
}
